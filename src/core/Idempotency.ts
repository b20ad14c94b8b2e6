import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import { WebCrypto } from "effect/crypto/WebCrypto"
import { canonicalJson } from "./CanonicalJson.ts"
import { textOf } from "./Text.ts"

/** Names one request, so that sending it again does nothing twice: 1 to 200 characters that the caller chooses. */
export const IdempotencyKey = textOf(1, 200).pipe(Schema.brand("IdempotencyKey"))
export type IdempotencyKey = typeof IdempotencyKey.Type

/** The key was used before, for another request; the first one stands. */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>(
  "@ai-core/database/IdempotencyConflict"
)("IdempotencyConflict", {
  /** What the key was used for: `payment`. */
  subject: Schema.String,
  key: Schema.String
}) {
  override get message(): string {
    return `another ${this.subject} was made with the key ${JSON.stringify(this.key)}`
  }
}

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** JSON writes a field that is `undefined` as null, or not at all; a request means the same by both. */
const withoutUndefined = (value: unknown, json: unknown): unknown => {
  if (!isObject(value) || !isObject(json)) return json
  if (Array.isArray(json)) return Array.isArray(value) ? json.map((item, i) => withoutUndefined(value[i], item)) : json
  return Object.fromEntries(
    Object.entries(json)
      .filter(([field]) => !(field in value && value[field] === undefined))
      .map(([field, item]) => [field, withoutUndefined(value[field], item)])
  )
}

/**
 * Makes a function that hashes requests: SHA-256 in 64 hexadecimal digits, the same for equal requests whatever the order of
 * their fields, another one for any other request.
 *
 * Stored beside the key, it tells a request that is sent again from another one that uses its key.
 *
 * @example
 * ```ts
 * const hashOf = requestHash(Schema.Struct({ invoiceId: InvoiceId, amount: Money }))
 * const hash = yield* hashOf({ invoiceId, amount })
 * ```
 */
export const requestHash = <A>(schema: Schema.ConstraintCodec<A, unknown>): ((request: A) => Effect.Effect<string>) => {
  const encode = SchemaParser.encodeUnknownSync(Schema.toCodecJson(schema))
  return (request) =>
    Effect.flatMap(WebCrypto, ({ subtle }) => {
      const json = withoutUndefined(request, encode(request))
      return Effect.map(
        Effect.promise((): Promise<ArrayBuffer> =>
          subtle.digest("SHA-256", new TextEncoder().encode(canonicalJson(json, json)))
        ),
        hex
      )
    })
}
