import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { durationBetween } from "../../core/DurationInput.ts"

/** The isolation levels that may be asked for. */
const Isolation = Schema.Literals(["read committed", "repeatable read", "serializable"])

const Repetition = Schema.Unknown.check(
  Schema.makeFilter((given: unknown) => given === false || Schedule.isSchedule(given), {
    expected: "a schedule, or false"
  })
)

const options = decodeInput(
  Schema.Struct({
    isolation: Schema.optional(Isolation),
    readOnly: Schema.optional(Schema.Boolean),
    deferrable: Schema.optional(Schema.Boolean),
    timeout: Schema.optional(durationBetween(0, "Infinity")),
    retry: Schema.optional(Repetition)
  })
)

/** The check of what callers ask of a transaction, some of which becomes part of BEGIN: one for every implementation. */
export const checkOptions = (given: unknown) =>
  options({ store: "postgresql", operation: "Transaction.begin", subject: "input" }, given)
