import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { decodeStored, invalidData, type Subject } from "../core/Decode.ts"
import { fieldProblems } from "../core/FieldProblems.ts"
import type { FieldProblem, StoreError } from "../core/StoreError.ts"
import { canonicalJson } from "../core/CanonicalJson.ts"
import { invalidInput } from "./InvalidInput.ts"
import { keySegment } from "./KeySegment.ts"

/** One place in the cache, and what may stand there; made by a family of keys, see {@link make}. */
export interface CacheKey<A> {
  /** Name of the family: `profile`. */
  readonly family: string
  /** The key as the store has it, `profile:alice`; fails where what it was made of does not fit the family's schema. */
  readonly text: (operation: string) => Effect.Effect<string, StoreError>
  /** Writes a value as JSON; fails with `InvalidData` where it does not fit the schema. */
  readonly encode: (operation: string, value: A) => Effect.Effect<string, StoreError>
  /** Reads a value; fails with `InvalidData` where it is not JSON of the schema. */
  readonly decode: (operation: string, stored: string) => Effect.Effect<A, StoreError>
}

const encoder = <A>(schema: Schema.ConstraintCodec<A, unknown>) => {
  const encode = SchemaParser.encodeUnknownExit(schema, { errors: "all" })
  return (input: unknown, under: string): Exit.Exit<unknown, ReadonlyArray<FieldProblem>> =>
    Exit.mapError(encode(input), (issue: SchemaIssue.Issue) =>
      fieldProblems(issue).map(({ field, problem }) => ({ field: field === "" ? under : `${under}.${field}`, problem }))
    )
}

const problemsOf = (cause: Cause.Cause<ReadonlyArray<FieldProblem>>): ReadonlyArray<FieldProblem> =>
  Option.getOrElse(Cause.findErrorOption(cause), () => [{ field: "", problem: "cannot be encoded" }])

/** Apart from the schema, because a schema over JSON text takes twice as long. */
const parseJson = (at: Subject, text: string): Result.Result<unknown, StoreError> =>
  Result.try({
    try: (): unknown => JSON.parse(text),
    catch: () => invalidData(at, [{ field: "", problem: "must be JSON" }])
  })

/**
 * Makes a family of keys: a name, what a key is made of, and what is stored under it.
 *
 * No two keys collide that their schema encodes differently: text, numbers, bigints, dates and the like stay apart also within
 * a union, in arrays, structs, records, maps and sets. A record's fields count in any order, and one that is `undefined`
 * counts as absent. The limits: -0 is 0, and what is inside any other class of value (an Option of a union, say) is told apart
 * by its JSON and the name of the class. Values are stored as the JSON of their schema (a Date as ISO text). What
 * does not fit fails the call that uses the key with `StoreError` (`InvalidData`).
 *
 * @example
 * ```ts
 * const profileKey = CacheKey.make("profile", { key: Schema.String, value: UserProfile })
 * const profile = yield* cache.get(profileKey(alice.id))
 * ```
 */
export const make = <K, A>(
  family: string,
  schemas: { readonly key: Schema.ConstraintCodec<K, unknown>; readonly value: Schema.ConstraintCodec<A, unknown> }
): ((key: K) => CacheKey<A>) => {
  const prefix = keySegment(family)
  const encodeKey = encoder(schemas.key)
  const encodeKeyJson = encoder(Schema.toCodecJson(schemas.key))
  const value = Schema.toCodecJson(schemas.value)
  const encodeValue = encoder(value)
  const decodeValue = decodeStored<A>(value)

  const encode: CacheKey<A>["encode"] = (operation, input) => {
    const exit = encodeValue(input, "value")
    return Exit.isSuccess(exit)
      ? Effect.succeed(JSON.stringify(exit.value))
      : Effect.fail(invalidInput(operation, problemsOf(exit.cause)))
  }

  const segmentOf = (key: K): Exit.Exit<string, ReadonlyArray<FieldProblem>> => {
    const encoded = encodeKey(key, "key")
    if (Exit.isFailure(encoded)) return Exit.failCause(encoded.cause)
    const value = encoded.value
    if (typeof value === "string") return Exit.succeed(keySegment(value))
    // A `=` cannot come out of a segment's encoding, so text and other values never meet.
    return Exit.map(encodeKeyJson(key, "key"), (json) => `=${keySegment(canonicalJson(value, json))}`)
  }

  return (key) => {
    const exit = Exit.map(segmentOf(key), (segment) => `${prefix}:${segment}`)
    const decode: CacheKey<A>["decode"] = (operation, text) => {
      const at = { store: "redis", operation, subject: `value of ${family}` } as const
      const json = parseJson(at, text)
      return Result.isSuccess(json) ? decodeValue(at, json.success) : Effect.fail(json.failure)
    }
    return {
      family,
      text: (operation) =>
        Exit.isSuccess(exit)
          ? Effect.succeed(exit.value)
          : Effect.fail(invalidInput(operation, problemsOf(exit.cause))),
      encode,
      decode
    }
  }
}
