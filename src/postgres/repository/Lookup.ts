import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Statement } from "effect/sql/Statement"
import { Deadline } from "../../core/Deadline.ts"
import { StoreError, Timeout } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import type { ComposedLookupSpec, Lookup } from "./LookupShape.ts"
import type { RowReader } from "./Row.ts"
import { CurrentTenant } from "../Tenant.ts"

type Answer<A> = Effect.Effect<Option.Option<A>, StoreError>

type Waiter<A> = (answer: Answer<A>) => void

/** Keys that one statement seeks, with those who wait for each. */
interface Batch<Key, A> {
  /** The transaction it is part of; nothing outside. */
  readonly transaction: unknown
  readonly tenant: string | undefined
  readonly waiters: Map<Key, Set<Waiter<A>>>
  /** The latest of all who wait. */
  deadline: number
  fiber: Fiber.Fiber<void> | undefined
}

/** What has been asked for in this turn of the event loop has been entered once its microtasks run. */
const restOfTurn = Effect.promise(() => Promise.resolve())

/** How the rows of a lookup are found and read. */
export interface LookupSpec<Key extends string | number | bigint, Row extends object, A> {
  /** The method that the caller knows: `Users.findById`. */
  readonly operation: string
  /** Seeks the rows of these keys, at most `maxKeys` different ones. */
  readonly select: (keys: ReadonlyArray<Key>) => Statement<Row>
  /**
   * Seeks the row of one key that is asked for alone, by `=`; `select` where there is none.
   *
   * PostgreSQL keeps its plan for `=`, and plans `= any` anew each time, which costs more than finding the row.
   */
  readonly selectOne?: ((key: Key) => Statement<Row>) | undefined
  /** The key of a row as the driver gives it. */
  readonly key: (row: Row) => Key
  readonly rows: RowReader<A>
  /** Keys that one statement seeks; 1000. */
  readonly maxKeys?: number | undefined
}

/** Keys that one statement seeks, where nothing is said. */
const mostKeys = 1000

/** Gathers those who ask at once, and asks for them together. */
const makeBatches = <Key extends string | number | bigint, A>(
  { sql: { transactionService } }: PostgresClient["Service"],
  operation: string,
  maxKeys: number,
  answers: (keys: ReadonlyArray<Key>) => Effect.Effect<ReadonlyMap<Key, Answer<A>>, StoreError>
): Lookup<Key, A> => {
  /** The batches that take more keys: one of each transaction and tenant. */
  const open = new Set<Batch<Key, A>>()

  const close = (batch: Batch<Key, A>): void => {
    open.delete(batch)
  }

  const answer = ({ waiters }: Batch<Key, A>, of: (key: Key) => Answer<A>): void => {
    for (const [key, ofKey] of waiters) for (const waiter of ofKey) waiter(of(key))
  }

  /** Suspended, so that what `select` throws reaches each who waits and not only the one who starts the batch. */
  const asked = (batch: Batch<Key, A>): Effect.Effect<ReadonlyMap<Key, Answer<A>>, StoreError> =>
    Effect.provideService(
      Effect.suspend(() => answers([...batch.waiters.keys()])),
      Deadline,
      batch.deadline
    )

  const run = (batch: Batch<Key, A>): Effect.Effect<void> =>
    Effect.matchCause(asked(batch), {
      onSuccess: (found) => answer(batch, (key) => found.get(key) ?? Effect.succeedNone),
      onFailure: (cause) => answer(batch, () => Effect.failCause(cause))
    })

  /** A fiber of its own, because who asked first may be interrupted before the others have their answer. */
  const start = (batch: Batch<Key, A>, { context }: Fiber.Fiber<unknown, unknown>): void => {
    if (batch.waiters.size > 0) batch.fiber = Effect.runForkWith(context)(run(batch))
  }

  const waitersOf = ({ waiters }: Batch<Key, A>, key: Key): Set<Waiter<A>> => {
    const known = waiters.get(key)
    if (known !== undefined) return known
    const made = new Set<Waiter<A>>()
    waiters.set(key, made)
    return made
  }

  const joined = (batch: Batch<Key, A>, key: Key, deadline: number, whenJoined?: () => void): Answer<A> =>
    Effect.callback((waiter) => {
      waitersOf(batch, key).add(waiter)
      batch.deadline = Math.max(batch.deadline, deadline)
      whenJoined?.()
      return left(batch, key, waiter)
    })

  /** Who asks first waits for the rest of the turn; still alone then, it asks by itself. */
  const first = (
    fiber: Fiber.Fiber<unknown, unknown>,
    around: Pick<Batch<Key, A>, "transaction" | "tenant">,
    key: Key,
    deadline: number
  ): Answer<A> => {
    const batch: Batch<Key, A> = { ...around, waiters: new Map(), deadline: 0, fiber: undefined }
    const own = waitersOf(batch, key)
    open.add(batch)
    const others = Effect.sync(() => {
      close(batch)
      if (own.size === 0) batch.waiters.delete(key)
      start(batch, fiber)
    })
    return Effect.flatMap(
      Effect.onInterrupt(restOfTurn, () => others),
      () => {
        close(batch)
        return batch.waiters.size === 1 && own.size === 0
          ? Effect.flatMap(answers([key]), (found) => found.get(key) ?? Effect.succeedNone)
          : joined(batch, key, deadline, () => start(batch, fiber))
      }
    )
  }

  const sought = (fiber: Fiber.Fiber<unknown, unknown>, key: Key, deadline: number): Answer<A> =>
    Effect.suspend(() => {
      const transaction = Context.getOrUndefined(fiber.context, transactionService)
      const tenant = fiber.getRef(CurrentTenant)
      for (const batch of open) {
        if (
          batch.transaction === transaction &&
          batch.tenant === tenant &&
          (batch.waiters.size < maxKeys || batch.waiters.has(key))
        ) {
          return joined(batch, key, deadline)
        }
      }
      return first(fiber, { transaction, tenant }, key, deadline)
    })

  /** Who is interrupted goes; the last one ends the statement, and waits until it has ended. */
  const left = (batch: Batch<Key, A>, key: Key, waiter: Waiter<A>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { fiber, waiters } = batch
      const ofKey = waiters.get(key)
      ofKey?.delete(waiter)
      if (ofKey?.size === 0) waiters.delete(key)
      return waiters.size > 0 || fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
    })

  const tooLate = (afterMillis: number): StoreError =>
    new StoreError({
      store: "postgresql",
      operation,
      outcome: "not-applied",
      reason: new Timeout({ afterMillis })
    })

  const find: Lookup<Key, A>["find"] = (key) =>
    Effect.withFiber((fiber) => {
      const deadline = fiber.getRef(Deadline)
      if (deadline === Number.POSITIVE_INFINITY) return sought(fiber, key, deadline)
      const left = deadline - fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      return left <= 0
        ? Effect.fail(tooLate(0))
        : Effect.timeoutOrElse(sought(fiber, key, deadline), {
            duration: left,
            orElse: () => Effect.fail(tooLate(left))
          })
    })

  const findMany: Lookup<Key, A>["findMany"] = (keys) =>
    Effect.flatMap(Effect.forEach(Arr.chunksOf(Arr.dedupe(keys), maxKeys), answers), (chunks) => {
      const found = new Map(chunks.flatMap((chunk) => [...chunk]))
      return Effect.forEach(keys, (key) => found.get(key) ?? Effect.succeedNone)
    })

  return { find, findMany }
}

/**
 * Makes a lookup.
 *
 * A failure of the statement fails each who waits for it, and each waits until his own Deadline at the latest. A row that cannot
 * be read fails those who asked for it. Who is interrupted leaves the others waiting.
 *
 * @example
 * ```ts
 * const notes = makeLookup(client, {
 *   operation: "Notes.findById",
 *   select: (ids: ReadonlyArray<number>) =>
 *     client.keyed<{ id: number }>`select id, text from notes where id = any(${ids}::int[])`,
 *   key: ({ id }) => id,
 *   rows: rowReader(Note)
 * })
 * yield* Effect.forEach(ids, notes.find, { concurrency: "unbounded" })
 * ```
 */
export const makeLookup = <Key extends string | number | bigint, Row extends object, A>(
  client: PostgresClient["Service"],
  { key: keyOf, maxKeys = mostKeys, operation, rows: reader, select, selectOne }: LookupSpec<Key, Row, A>
): Lookup<Key, A> => {
  const call = { operation, kind: "read" } as const

  const statementOf = (keys: ReadonlyArray<Key>): Statement<Row> => {
    const [key] = keys
    return selectOne !== undefined && keys.length === 1 && key !== undefined ? selectOne(key) : select(keys)
  }

  /** The answer for each key that has a row. Where one row is broken, only those who asked for it are told. */
  const answers = (keys: ReadonlyArray<Key>): Effect.Effect<ReadonlyMap<Key, Answer<A>>, StoreError> =>
    Effect.flatMap(client.query(call, statementOf(keys)), (rows) =>
      Effect.match(reader.all(call, rows), {
        onSuccess: (values) =>
          new Map(rows.map((row, i) => [keyOf(row), Effect.succeed(Option.fromUndefinedOr(values[i]))])),
        onFailure: () => new Map(rows.map((row) => [keyOf(row), Effect.asSome(reader.one(call, [row]))]))
      })
    )

  return makeBatches(client, operation, maxKeys, answers)
}

/** Makes a lookup by several statements; a row that cannot be read fails all who ask together with who asks for it. */
export const makeComposedLookup = <Key extends string | number | bigint, A>(
  client: PostgresClient["Service"],
  { find, key, operation }: ComposedLookupSpec<Key, A>
): Lookup<Key, A> =>
  makeBatches(client, operation, mostKeys, (keys) =>
    Effect.map(find(keys), (all) => new Map(all.map((found) => [key(found), Effect.succeedSome(found)])))
  )
