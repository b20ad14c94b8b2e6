import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/**
 * A secret, or an Effect that reads it anew for each new connection, so that a rotated one needs no restart.
 *
 * The Effect must not fail: turn a failure to read into the last known secret, or `Effect.orDie` it.
 */
export type Credential = Redacted.Redacted | Effect.Effect<Redacted.Redacted>

/** Reads the secret as it is now. */
export const currentCredential = (credential: Credential): Effect.Effect<Redacted.Redacted> =>
  Redacted.isRedacted(credential) ? Effect.succeed(credential) : credential
