import * as Schema from "effect/Schema"
import { shallow } from "./JsonDepth.ts"

const holdsText = (text: string): boolean => !text.includes("\0") && text.isWellFormed()

const holds = (json: Schema.Json): boolean => {
  if (typeof json === "string") return holdsText(json)
  if (typeof json !== "object" || json === null) return true
  return Array.isArray(json)
    ? json.every(holds)
    : Object.entries(json).every(([key, value]) => holdsText(key) && holds(value))
}

/** Refuses JSON whose texts and names PostgreSQL's `jsonb` cannot hold: NUL, or half of a surrogate pair. */
const storableTexts = Schema.makeFilter(holds, { expected: "JSON without NUL and without broken Unicode" })

/** A JSON object that PostgreSQL can hold, of at most 64 levels. */
export const StorableJsonObject = Schema.JsonObject.check(shallow, storableTexts)
export type StorableJsonObject = typeof StorableJsonObject.Type

/** Any JSON that PostgreSQL can hold, of at most 64 levels. */
export const StorableJson = Schema.Json.check(shallow, storableTexts)
export type StorableJson = typeof StorableJson.Type

/** JSON as it comes back from a store: a copy of its own, in which -0 is 0. */
export const storedJson = <Json extends Schema.Json>(json: Json): Json => JSON.parse(JSON.stringify(json))
