import {
  type ConnectionHolder,
  PoolExhausted,
  type PoolDiagnosis,
  problemOf,
  type StoreError
} from "../../core/StoreError.ts"
import { isLeaked, type Lease, type Slot } from "./PoolSlots.ts"
import { summaryOf } from "../statements/StatementSummary.ts"

/** What the pool looked like when a caller gave up. */
export interface Exhaustion {
  readonly slots: Iterable<Slot>
  readonly at: number
  readonly limit: number
  /** Callers waiting, the one that gave up included. */
  readonly waiting: number
  readonly waitedMillis: number
  /** A connection held longer is leaked; never where infinite. */
  readonly leakMillis: number
  /** A connection held longer is slow. */
  readonly slowMillis: number
  /** Why no more connections could be opened. */
  readonly lastFailure: StoreError | undefined
}

const oldest = (holders: ReadonlyArray<Lease>): Lease | undefined => {
  let found: Lease | undefined
  for (const lease of holders) if (found === undefined || lease.since < found.since) found = lease
  return found
}

/** Who holds a connection: the caller that has had it longest. */
export const holderOf = (lease: Lease, at: number): ConnectionHolder => ({
  operation: lease.operation,
  heldMillis: at - lease.since,
  fiber: lease.fiber.id,
  ...(lease.statement === undefined ? {} : { statement: summaryOf(lease.statement) })
})

const seconds = (millis: number): string => `${Math.round(millis / 100) / 10} s`

/** Says why a caller had to give up, from what the connections of the pool were used for. */
export const exhausted = (found: Exhaustion): PoolExhausted => {
  const { at, lastFailure, leakMillis, limit, slowMillis, waitedMillis, waiting } = found
  const holders: Array<ConnectionHolder> = []
  let open = 0
  let kept = 0
  let leaked = 0
  let slow = 0
  for (const { holders: leases } of found.slots) {
    open++
    const lease = oldest(leases)
    if (lease === undefined) continue
    holders.push(holderOf(lease, at))
    if (lease.lasting) kept++
    else if (at - lease.since >= slowMillis) slow++
    if (isLeaked(lease, at, leakMillis)) leaked++
  }
  holders.sort((a, b) => b.heldMillis - a.heldMillis)
  const diagnose = (): readonly [PoolDiagnosis, string?] => {
    if (lastFailure !== undefined && open < limit) {
      return ["unreachable", `no more than ${open} of ${limit} can be opened: ${problemOf(lastFailure.reason)}`]
    }
    if (leaked > 0) return ["leaked", `${leaked} of ${open} have been held for more than ${seconds(leakMillis)}`]
    if (slow > 0 && slow * 2 >= open - kept) {
      return ["slow", `${slow} of ${open} have been held for more than ${seconds(slowMillis)}`]
    }
    return kept > 0 ? ["saturated", `${kept} of ${open} are kept for as long as their holders say`] : ["saturated"]
  }
  const [diagnosis, detail] = diagnose()
  return new PoolExhausted({
    limit,
    ...(open < limit ? { open } : {}),
    waiting,
    waitedMillis,
    diagnosis,
    ...(detail === undefined ? {} : { detail }),
    holders
  })
}
