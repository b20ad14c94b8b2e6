import * as Schema from "effect/Schema"

const mostLevels = 64

const fits = (json: Schema.Json, levels: number): boolean => {
  if (typeof json !== "object" || json === null) return true
  if (levels === 0) return false
  for (const value of Array.isArray(json) ? json : Object.values(json)) if (!fits(value, levels - 1)) return false
  return true
}

/**
 * Refuses JSON of more than 64 levels of objects and lists, itself the first of them; the checks after it are then left out.
 *
 * MongoDB stores no document of more than 100 levels (its manual, "MongoDB Limits"), and JSON.stringify overflows the stack at
 * some thousand.
 */
export const shallow = Schema.makeFilter((json: Schema.Json) => fits(json, mostLevels), {
  expected: `JSON of at most ${mostLevels} levels`
}).abort()
