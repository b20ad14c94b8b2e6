import type { SqlError } from "effect/sql/SqlError"
import { isServerError } from "./ServerError.ts"

/**
 * What may be kept of the driver's error: PostgreSQL's messages repeat values, its details whole rows, and what the driver could
 * not encode or decode it repeats too.
 */
export const safeCause = (error: SqlError): unknown => {
  const { _tag, cause } = error.reason
  if (!isServerError(cause)) return _tag === "UnknownError" ? new Error(error.message) : error
  const { code, column, constraint, position, schema, table } = cause
  return Object.assign(new Error(`SQLSTATE ${code}`), { code, schema, table, column, constraint, position })
}
