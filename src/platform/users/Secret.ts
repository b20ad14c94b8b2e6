import { durationBetween } from "../../core/DurationInput.ts"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytesUnsafe } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { createHash } from "node:crypto"

const secretBytes = 32

/** How long what a secret opens may live. */
export const TimeToLive = durationBetween("1 millis", "36500 days")

/** Makes a secret that nobody can guess: 32 random bytes as 43 characters of base64url. Only its {@link hashSecret} is kept. */
export const makeSecret: Effect.Effect<Redacted.Redacted> = Effect.sync(() =>
  Redacted.make(Base64Url.encode(randomBytesUnsafe(secretBytes)))
)

/**
 * What a store keeps of a secret: its SHA-256 in hexadecimal.
 *
 * Enough for a secret of 32 random bytes, which is found by its hash; a password needs a slow hash with a salt instead.
 */
export const hashSecret = (secret: Redacted.Redacted): string =>
  createHash("sha256").update(Redacted.value(secret)).digest("hex")
