import { Effect, Schema, SchemaTransformation } from "effect"

const mostLevels = 64

const storableText = (text: string): boolean => !text.includes("\0") && text.isWellFormed()

const fits = (json: Schema.Json, levels: number): boolean => {
  if (typeof json === "string") return storableText(json)
  if (typeof json !== "object" || json === null) return true
  if (levels === 0) return false
  return Array.isArray(json)
    ? json.every((value) => fits(value, levels - 1))
    : Object.entries(json).every(([key, value]) => storableText(key) && fits(value, levels - 1))
}

const JsonObject = Schema.Record(Schema.String, Schema.Json)

/**
 * A JSON object that PostgreSQL's `jsonb` can hold as it is: at most 64 levels, no NUL and no half of a surrogate pair in its
 * texts and names.
 *
 * Decoding copies it, so that nobody changes afterwards what was given, and writes -0 as 0, as JSON does.
 */
export const StorableJson: Schema.Codec<Schema.JsonObject, unknown> = JsonObject.check(
  Schema.makeFilter((json: Schema.JsonObject) => fits(json, mostLevels), {
    expected: `JSON of at most ${mostLevels} levels, without NUL and without broken Unicode`
  })
).pipe(
  Schema.decodeTo(
    JsonObject,
    SchemaTransformation.transformEffect<Schema.JsonObject, Schema.JsonObject>({
      decode: (json) => Effect.sync(() => JSON.parse(JSON.stringify(json))),
      encode: Effect.succeed
    })
  )
)
