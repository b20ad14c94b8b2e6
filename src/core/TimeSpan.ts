import { Duration, Effect, Option, Schema, SchemaIssue, SchemaTransformation } from "effect"

const longestMillis = Duration.toMillis("36500 days")

const spanOf = (input: unknown): Option.Option<Duration.Duration> =>
  Option.filter(Duration.fromInput(input as Duration.Input), (duration) => {
    const millis = Duration.toMillis(duration)
    return millis >= 1 && millis <= longestMillis
  })

/** A length of time as callers write it, `"15 minutes"` or a `Duration`: from a millisecond to a hundred years. */
export const TimeSpan: Schema.Codec<Duration.Duration, unknown> = Schema.Unknown.pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transformEffect<Duration.Duration, unknown>({
      decode: (input, options) =>
        Option.match(spanOf(input), {
          onNone: () =>
            Effect.fail(
              new SchemaIssue.InvalidValue({ expected: "a length of time from 1 ms to 100 years" }, input, options)
            ),
          onSome: Effect.succeed
        }),
      encode: Effect.succeed
    })
  )
)
