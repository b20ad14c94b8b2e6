import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/**
 * A length of time as callers write it (`"5 minutes"`, milliseconds, a Duration), between two bounds that belong to it.
 *
 * @example
 * ```ts
 * const Lease = durationBetween("1 milli", "7 days")
 * ```
 */
export const durationBetween = (
  minimum: Duration.Input,
  maximum: Duration.Input
): Schema.Codec<Duration.Duration, unknown> => {
  const [least, most] = [Duration.fromInputUnsafe(minimum), Duration.fromInputUnsafe(maximum)]
  const expected = `a length of time from ${Duration.format(least)} to ${Duration.format(most)}`
  return Schema.Unknown.pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transformEffect<Duration.Duration, unknown>({
        // fromInput itself says what is none.
        decode: (given, options) =>
          Option.match(
            Option.filter(
              Duration.fromInput(given as Duration.Input),
              Duration.between({ minimum: least, maximum: most })
            ),
            {
              onNone: () => Effect.fail(new SchemaIssue.InvalidValue({ expected }, given, options)),
              onSome: Effect.succeed
            }
          ),
        encode: Effect.succeed
      })
    )
  )
}
