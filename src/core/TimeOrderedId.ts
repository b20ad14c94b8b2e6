import type { Effect } from "effect"
import { make, randomBytesUnsafe } from "effect/crypto/SecureRandom"

/**
 * Makes a generator of UUIDv7s in lower case: random, and sorted by the Clock's time at which they were made.
 *
 * Each is greater than the one before of the same generator, also within a millisecond and when the clock steps back.
 */
export const makeIds = (): Effect.Effect<string> => make(randomBytesUnsafe).uuidV7()
