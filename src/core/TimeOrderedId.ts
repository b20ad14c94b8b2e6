import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { make, randomBytesUnsafe } from "effect/crypto/SecureRandom"

/** A UUIDv7 in lower case: it sorts by the time of its making. */
export const TimeOrderedId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, {
    expected: "a UUIDv7 in lower case"
  })
)

/**
 * Makes a generator of UUIDv7s in lower case: random, and sorted by the Clock's time at which they were made.
 *
 * Each is greater than the one before of the same generator, also within a millisecond and when the clock steps back.
 */
export const makeIds = (): Effect.Effect<string> => make(randomBytesUnsafe).uuidV7()

/**
 * Makes a generator of the ids of one kind of thing; see {@link makeIds}.
 *
 * @example
 * ```ts
 * const UserId = TimeOrderedId.pipe(Schema.brand("UserId"))
 * const nextId = makeIdsOf(UserId)
 * ```
 */
export const makeIdsOf = <Id extends string>(schema: Schema.Codec<Id, string>): Effect.Effect<Id> => {
  const brand = Schema.decodeSync(schema)
  return Effect.map(makeIds(), brand)
}
