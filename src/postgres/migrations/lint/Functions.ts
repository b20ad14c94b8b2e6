import type { Node } from "libpg-query"
import { stringsOf } from "./Names.ts"

/** Functions whose value is the same for every row of one statement, so that PostgreSQL stores it once. */
const steadyFunctions: ReadonlySet<string> = new Set([
  "now",
  "current_timestamp",
  "transaction_timestamp",
  "statement_timestamp",
  "current_setting",
  "to_timestamp",
  "make_interval",
  "lower",
  "upper",
  "jsonb_build_object",
  "jsonb_build_array"
])

/** Of those that PostgreSQL brings along, what scripts call for its own sake; it changes no rows. */
const called = /^(?:pg_.*|set_config|setval|nextval|currval|lastval|version|count|exists)$/

/** Whether an expression calls a function that may give every row another value. */
export const isVolatile = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.some(isVolatile)
  if (typeof value !== "object" || value === null) return false
  return Object.entries(value).some(([key, inner]) => {
    if (key === "FuncCall" && typeof inner === "object" && inner !== null && "funcname" in inner) {
      const name = stringsOf(inner.funcname as Array<Node>).at(-1) ?? ""
      return !steadyFunctions.has(name) || isVolatile("args" in inner ? inner.args : undefined)
    }
    return isVolatile(inner)
  })
}

/** Whether a function is somebody's own, and may do anything. */
export const isOwnFunction = (names: ReadonlyArray<string>): boolean => {
  const [name = "", schema] = names.toReversed()
  return schema === undefined ? !steadyFunctions.has(name) && !called.test(name) : schema !== "pg_catalog"
}
