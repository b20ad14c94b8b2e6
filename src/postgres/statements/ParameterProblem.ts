import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

const names: Readonly<Record<number, string>> = {
  [PgTypes.OID.bool]: "boolean",
  [PgTypes.OID.bytea]: "bytea",
  [PgTypes.OID.float8]: "double precision",
  [PgTypes.OID.int4]: "integer",
  [PgTypes.OID.int8]: "bigint",
  [PgTypes.OID.text]: "text",
  [PgTypes.OID.timestamptz]: "timestamptz"
}

/** The type that the driver sends a value as; undefined where it knows none. */
export const oidOf = (value: unknown): number | undefined => {
  switch (typeof value) {
    case "bigint":
      return PgTypes.OID.int8
    case "boolean":
      return PgTypes.OID.bool
    case "number":
      if (!Number.isSafeInteger(value)) return PgTypes.OID.float8
      return value === (value | 0) ? PgTypes.OID.int4 : PgTypes.OID.int8
    case "string":
      return PgTypes.OID.text
    case "object":
      if (PgTypes.isParameter(value)) return value.oid
      if (value instanceof Date) return PgTypes.OID.timestamptz
      return value instanceof Uint8Array || value instanceof Int8Array ? PgTypes.OID.bytea : undefined
    default:
      return undefined
  }
}

const isEncodable = (value: unknown, oid: number): boolean => {
  // Sent as text, of whatever type the statement asks for; an Int8Array is sent as the bytes that it is a view of.
  if (oid === 0 || typeof value === "string" || typeof value === "number" || value instanceof Int8Array) return true
  try {
    return Result.isSuccess(PgTypes.isParameter(value) ? PgTypes.encodeParameter(value) : PgTypes.encode(value, oid))
  } catch {
    return false
  }
}

const unknownType = (value: unknown): string => {
  if (typeof value !== "object") return `is a ${typeof value}, which is no type of PostgreSQL`
  if (DateTime.isDateTime(value)) return "is a DateTime: send DateTime.toDateUtc of it"
  if (BigDecimal.isBigDecimal(value)) return "is a BigDecimal: send BigDecimal.format of it, cast to numeric"
  if (Option.isOption(value)) return "is an Option: send Option.getOrNull of it"
  return "is an object, which is no type of PostgreSQL: write it as JSON text, cast to jsonb"
}

const scalarProblem = (value: unknown): string | undefined => {
  const oid = oidOf(value)
  if (oid === undefined) return unknownType(value)
  if (isEncodable(value, oid)) return undefined
  if (PgTypes.isParameter(value)) return "does not fit the type that it was given"
  return typeof value === "bigint" ? "is outside the range of bigint" : `is no time that timestamptz can hold`
}

const listProblem = (values: ReadonlyArray<unknown>): string | undefined => {
  if (values.some(Array.isArray)) return "is a list of lists: send several lists, or JSON text, cast to jsonb"
  const present = values.filter((value) => value !== null && value !== undefined)
  if (present.length === 0) return undefined
  for (const value of present) {
    const problem = scalarProblem(value)
    if (problem !== undefined) return `holds a value that ${problem}`
  }
  const oids = [...new Set(present.map(oidOf))]
  if (oids.length === 1) return undefined
  const types = oids.map((oid) => names[oid ?? 0] ?? `type ${oid}`)
  return `is a list of values of several types (${types.join(", ")}): make them of one, or send them as text, cast in the statement`
}

/**
 * Why the driver cannot send a value; undefined where it can. A value that it cannot send has left nothing on the wire.
 *
 * The driver's own failure quotes the value and does not say which one it is.
 */
export const parameterProblem = (value: unknown): string | undefined => {
  if (value === null || value === undefined) return undefined
  return Array.isArray(value) ? listProblem(value) : scalarProblem(value)
}
