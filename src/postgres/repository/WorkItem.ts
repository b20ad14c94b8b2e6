import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/** Says who has a piece of work, a UUID in lower case; `makeIdsOf(LeaseToken)` makes a new one each time it is taken. */
export const LeaseToken = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, { expected: "a lease token" })
).pipe(Schema.brand("LeaseToken"))
export type LeaseToken = typeof LeaseToken.Type

/**
 * What a row keeps of the work that it stands for: who works on it until when, how often it was tried, when it may be next.
 *
 * The columns are those of the same names, in the types that `makeClaims` shows.
 */
export const workItemFields = {
  /** Times it was taken. */
  attempts: Schema.Int,
  maxAttempts: Schema.Int,
  /** Not taken before. */
  availableAt: Schema.DateTimeUtc,
  /** Says who may finish it; a new one each time it is taken. */
  leaseToken: Schema.NullOr(LeaseToken),
  /** Until when; afterwards anybody may take it. */
  leaseUntil: Schema.NullOr(Schema.DateTimeUtc),
  lastError: Schema.NullOr(Schema.String)
}
const WorkItemFields = Schema.Struct(workItemFields)

/** The states of a work item that taking it knows of; a domain has its own names for them, and more states. */
export interface WorkStates<State extends string> {
  /** May be taken. */
  readonly waiting: State
  /** Taken by somebody. */
  readonly running: State
  /** Tried as often as it may be. */
  readonly dead: State
}

/** A row that is worked on. */
export type WorkItem<State extends string = string> = typeof WorkItemFields.Type & { readonly state: State }

/** Said of work whose last lease ended without a word. */
export const leaseEnded = "the lease ended before the work was finished"

/** Who had it let the lease end. */
export const isLeaseOver = (item: Pick<WorkItem, "leaseUntil">, now: DateTime.Utc): boolean =>
  item.leaseUntil !== null && DateTime.isLessThanOrEqualTo(item.leaseUntil, now)

/** It may be taken: it waits and its time has come, or who had it let the lease end. */
export const isReady =
  ({ running, waiting }: WorkStates<string>, now: DateTime.Utc) =>
  (item: WorkItem): boolean =>
    item.state === waiting
      ? DateTime.isLessThanOrEqualTo(item.availableAt, now)
      : item.state === running && item.attempts < item.maxAttempts && isLeaseOver(item, now)

/** Its last lease has ended, and it may not be tried again. */
export const isSpent =
  ({ running }: WorkStates<string>, now: DateTime.Utc) =>
  (item: WorkItem): boolean =>
    item.state === running && item.attempts >= item.maxAttempts && isLeaseOver(item, now)

/** The holder of this token may finish it. */
export const isHeldBy =
  ({ running }: WorkStates<string>, token: LeaseToken, now: DateTime.Utc) =>
  (item: WorkItem): boolean =>
    item.state === running && item.leaseToken === token && !isLeaseOver(item, now)

/** Nobody has it. */
export const unleased = { leaseToken: null, leaseUntil: null } as const

/** Taken by the holder of this token, for so long: one more attempt. */
export const taken = <Item extends WorkItem>(
  { running }: WorkStates<Item["state"]>,
  item: Item,
  token: LeaseToken,
  lease: Duration.Input,
  now: DateTime.Utc
): Item => ({
  ...item,
  state: running,
  attempts: item.attempts + 1,
  leaseToken: token,
  leaseUntil: DateTime.addDuration(now, lease)
})

/** After a failed try: it waits for the next one, or is dead where it was the last. */
export const failed = <Item extends WorkItem>(
  { dead, waiting }: WorkStates<Item["state"]>,
  item: Item,
  error: string,
  pause: Duration.Input,
  now: DateTime.Utc
): Item => ({
  ...item,
  ...unleased,
  lastError: error,
  ...(item.attempts < item.maxAttempts
    ? { state: waiting, availableAt: DateTime.addDuration(now, pause) }
    : { state: dead })
})

/** How long to wait before each further try. */
export interface Pauses {
  /** After the first failure; doubled after each further one. */
  readonly first: Duration.Input
  readonly longest: Duration.Input
}

/** The pause after this many tries. */
export const pauseAfter = ({ first, longest }: Pauses, attempts: number): Duration.Duration =>
  Duration.millis(Math.min(Duration.toMillis(first) * 2 ** Math.max(0, attempts - 1), Duration.toMillis(longest)))

/** A pause drawn between half of it and all of it, so that what failed together isn't tried again together; `draw` is from 0 to 1. */
export const jittered = (pause: Duration.Input, draw: number): Duration.Duration =>
  Duration.millis(Math.round(Duration.toMillis(pause) * (1 - draw / 2)))
