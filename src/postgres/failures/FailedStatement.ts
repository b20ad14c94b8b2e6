import * as Redacted from "effect/Redacted"
import type { FailedStatement } from "../../core/StoreError.ts"
import { isServerError } from "./ServerError.ts"

const typeOf = (value: unknown): string => {
  if (value === null || value === undefined) return "null"
  if (Array.isArray(value)) return value.length === 0 ? "array" : `${typeOf(value[0])}[]`
  if (value instanceof Date) return "timestamptz"
  if (value instanceof Uint8Array) return "bytea"
  switch (typeof value) {
    case "string":
      return "text"
    case "number":
      return Number.isInteger(value) ? "integer" : "double precision"
    case "bigint":
      return "bigint"
    case "boolean":
      return "boolean"
    default:
      return "object"
  }
}

/** The statement for a report: the place that the server tells, and the types of the arguments. */
export const statementOf = (cause: unknown, text: string, values: ReadonlyArray<unknown>): FailedStatement => ({
  text,
  ...(isServerError(cause) && cause.position !== undefined ? { position: Number(cause.position) - 1 } : {}),
  arguments: values.map((value) => ({ type: typeOf(value), value: Redacted.make(value) }))
})
