import type { Result } from "@effect/sql-pg/PgConnection"
import type * as Fiber from "effect/Fiber"
import type { SqlError } from "effect/sql/SqlError"
import type { Call } from "../../core/Calls.ts"
import type { PostgresSession } from "../session/PostgresSession.ts"

/**
 * To whom a connection is lent: to several short statements at once, to several units at once, or to one holder.
 *
 * Statements and units do not share one with each other: what a unit leaves open by an accident of its COMMIT refuses all that
 * is behind it, which a unit can tell from a refusal of its own, and a statement cannot.
 */
export type Kind = "statements" | "units" | "exclusive"

/**
 * Statements, or units, that may share a connection.
 *
 * At 8 a point SELECT gains as much as at 32 while durable INSERTs still commit in groups and p99 stays low: at 32, one slow
 * statement holds up 31 others. Measured in bench/postgres.
 */
export const sharedDepth = 8

/** A connection idle this long may have died unseen, and is asked before it is lent; HikariCP's bypass window. */
const freshMillis = 500

/**
 * What each fiber asks for a connection next: the method of a capability.
 *
 * A Context.Reference would say the same; providing it made a query of one caller 7 % dearer, this 1 %.
 */
const operations = new WeakMap<Fiber.Fiber<unknown, unknown>, string>()

export const announceOperation = (fiber: Fiber.Fiber<unknown, unknown>, operation: string): void => {
  operations.set(fiber, operation)
}

/** Takes what the fiber announced, so that it names nothing that comes after. */
const operationOf = (fiber: Fiber.Fiber<unknown, unknown>, otherwise: string): string => {
  const operation = operations.get(fiber)
  if (operation === undefined) return otherwise
  operations.delete(fiber)
  return operation
}

/** The answer to a BEGIN. */
export type Begun = Fiber.Fiber<Result, SqlError>

/** A place of the pool: an open connection, and who has it. */
export interface Slot extends PostgresSession {
  /** Clock milliseconds after which it is replaced once nobody holds it. */
  readonly expiresAt: number
  readonly holders: Array<Lease>
  idleSince: number
  /** To whom it is lent now. */
  kind: Kind | undefined
  /** Not to be lent again. */
  retired: boolean
  /** It is being asked whether it is alive. */
  checking: boolean
  /** The BEGIN that was sent ahead for one of those who had joined the line by then. */
  ahead: { readonly begun: Begun; readonly joined: number } | undefined
  /** Cancel requests sent for it; one that comes late would hit the next statement. */
  cancels: number
}

/** One caller's use of a connection, from the asking to the giving back. */
export interface Lease {
  readonly kind: Kind
  readonly operation: string
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** What it will send first is BEGIN, without options. */
  readonly begins: boolean
  /** It is meant to be kept for as long as it takes. */
  readonly lasting: boolean
  /** The how-manieth it was to join the line; 0 where it did not have to wait. */
  joined: number
  /** The BEGIN that was sent ahead for it. */
  begun: Begun | undefined
  slot: Slot | undefined
  /** Clock milliseconds at which it was lent. */
  since: number
  /** Clock milliseconds at which it was lent, or the rows of a stream were last asked for. */
  usedAt: number
  /** What it sent last. */
  statement: string | undefined
  call: Call | undefined
  /** It has sent a unit, which is not answered yet. */
  sending: boolean
  /** Its caller has gone, and its statement still runs. */
  abandoned: boolean
  /** It was logged as held for too long. */
  reported: boolean
}

/** A lease of this fiber; named `otherwise` where it has announced no operation. */
export const newLease = (
  kind: Kind,
  fiber: Fiber.Fiber<unknown, unknown>,
  otherwise: string,
  begins = false,
  lasting = false
): Lease => ({
  kind,
  operation: operationOf(fiber, otherwise),
  fiber,
  begins,
  lasting,
  joined: 0,
  begun: undefined,
  slot: undefined,
  since: 0,
  usedAt: 0,
  statement: undefined,
  call: undefined,
  sending: false,
  abandoned: false,
  reported: false
})

export const newSlot = (session: PostgresSession, at: number, expiresAt: number): Slot => ({
  ...session,
  expiresAt,
  holders: [],
  idleSince: at,
  kind: undefined,
  retired: false,
  checking: false,
  ahead: undefined,
  cancels: 0
})

/** When a connection opened now has lived long enough: up to a tenth sooner, so that they do not all end together. */
export const expiry = (at: number, lifetimeMillis: number, random: number): number =>
  lifetimeMillis === 0 ? Number.POSITIVE_INFINITY : at + lifetimeMillis * (1 - 0.1 * random)

export const usable = (slot: Slot): boolean => !slot.retired && slot.socket.writable

/** Open, whole, and with nobody. */
export const isIdle = (slot: Slot): boolean => slot.holders.length === 0 && !slot.checking && usable(slot)

export const isFresh = (slot: Slot, at: number): boolean => at - slot.idleSince < freshMillis

/** Whether it may never come back: kept for so long, and not by one who is meant to. */
export const isLeaked = (lease: Lease, at: number, leakMillis: number): boolean =>
  !lease.lasting && at - lease.usedAt >= leakMillis

/** How many are with somebody. */
export const lentOut = (slots: Iterable<Slot>): number => {
  let n = 0
  for (const slot of slots) if (slot.holders.length > 0) n++
  return n
}

/**
 * The connection to lend: one that is idle and fresh, else, of those that may be shared with its kind, the one that fewest share.
 *
 * `stale` is told of an idle one that was passed over because it may be dead.
 */
export const pick = (
  slots: Iterable<Slot>,
  kind: Kind,
  at: number,
  trusts: boolean,
  stale: (slot: Slot) => void
): Slot | undefined => {
  let best: Slot | undefined
  let passedOver: Slot | undefined
  for (const slot of slots) {
    if (slot.kind === "exclusive" || slot.checking || !usable(slot)) continue
    const sharers = slot.holders.length
    if (sharers === 0) {
      if (trusts || isFresh(slot, at)) return slot
      passedOver ??= slot
    } else if (kind === slot.kind && sharers < sharedDepth && (best === undefined || sharers < best.holders.length)) {
      best = slot
    }
  }
  if (passedOver !== undefined) stale(passedOver)
  return best
}

export const grant = (lease: Lease, slot: Slot, at: number): void => {
  lease.slot = slot
  lease.since = at
  lease.usedAt = at
  slot.holders.push(lease)
  slot.kind = lease.kind
}

/** Takes the connection back from its holder; nothing where it had none. */
export const giveBack = (lease: Lease, at: number): Slot | undefined => {
  const { slot } = lease
  if (slot === undefined) return undefined
  lease.slot = undefined
  const place = slot.holders.indexOf(lease)
  const last = slot.holders.pop()
  if (last !== undefined && last !== lease) slot.holders[place] = last
  if (slot.holders.length === 0) {
    slot.kind = undefined
    slot.idleSince = at
  }
  return slot
}
