import { DateTime, Effect, Redacted } from "effect"
import { unique } from "../../../src/testing/Contract.ts"

/** An id that nothing has. */
export const nothing = "01900000-0000-7000-8000-000000000000"

export const time = DateTime.makeUnsafe("2024-05-01T00:00:00Z")
export const later = DateTime.makeUnsafe("2024-06-01T00:00:00Z")

export const hash = Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")

/** JSON with text in an object and in a list. */
export const json = { text: "text", list: ["text", { text: "text" }] }

export const slug = (prefix: string): Effect.Effect<string> => Effect.map(unique(prefix), (name) => name.toLowerCase())

/** A cursor as this list gives it: JSON that is not meant to be read. */
export const cursorText = (list: string, key: object): string =>
  Buffer.from(JSON.stringify([list, key])).toString("base64url")

/** What a cursor by time holds. */
export const atTime = { order: "newest-first", at: time.epochMilliseconds, id: nothing } as const
