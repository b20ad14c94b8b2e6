import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { invalidData, type Subject } from "../../core/Decode.ts"
import type { StoreError } from "../../core/StoreError.ts"

/** How far a reporter's clock may be ahead. */
const aheadMillis = 5 * 60 * 1000

/** Refuses a time that somebody reports from the future: by the newest one wins, and it would silence those that follow. */
export const notAhead = (
  at: Subject,
  field: string,
  reported: DateTime.Utc,
  now: DateTime.Utc
): Effect.Effect<void, StoreError> =>
  reported.epochMilliseconds > now.epochMilliseconds + aheadMillis
    ? Effect.fail(invalidData(at, [{ field, problem: "must be at most 5 minutes ahead of the clock" }]))
    : Effect.void
