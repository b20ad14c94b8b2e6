import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { decodeInput } from "../core/Decode.ts"
import { durationBetween } from "../core/DurationInput.ts"
import { mostVersion } from "./MigrationFile.ts"

const migration = Schema.Unknown.check(
  Schema.makeFilter(
    (given: unknown) => Predicate.hasProperty(given, "up") && Predicate.hasProperty(given, "checksum"),
    {
      expected: "a migration, as `program` makes it"
    }
  )
)
const callback = Schema.Unknown.check(Schema.makeFilter(Predicate.isFunction, { expected: "a function" }))
const steps = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1, { expected: "a whole number from 1 on" }))
const flag = Schema.optional(Schema.Boolean)

/** The check of the options that the engine is made with; what each is for is told there. */
export const checkOptions = decodeInput(
  Schema.Struct({
    folder: Schema.optional(Schema.String),
    programs: Schema.optional(Schema.Array(migration)),
    outOfOrder: Schema.optional(Schema.Literals(["error", "allow", "skip"])),
    future: Schema.optional(Schema.Literals(["error", "allow"])),
    timeout: Schema.optional(durationBetween("1 milli", "Infinity")),
    backup: flag,
    onProgress: Schema.optional(callback)
  })
)

export const checkDown = decodeInput(
  Schema.Struct({
    steps: Schema.optional(steps),
    to: Schema.optional(
      Schema.BigInt.check(
        Schema.isBetweenBigInt({ minimum: 0n, maximum: mostVersion }, { expected: "0n, or the version of a migration" })
      )
    ),
    verify: flag
  }).check(
    Schema.makeFilter(({ steps, to }) =>
      steps === undefined || to === undefined
        ? undefined
        : { path: ["steps"], issue: "must be left out where there is a `to`, and the other way round" }
    )
  )
)

export const checkRedo = decodeInput(Schema.Struct({ steps: Schema.optional(steps) }))

export const checkRepair = decodeInput(
  Schema.Struct({ forgetMissing: flag, forgetFuture: flag, forgetUnfinished: flag, acceptSchema: flag })
)

export const checkBaseline = decodeInput(
  Schema.Struct({
    version: Schema.BigInt.check(
      Schema.isBetweenBigInt(
        { minimum: 1n, maximum: mostVersion },
        { expected: "the version of a migration, such as 20241215000001n" }
      )
    )
  })
)
