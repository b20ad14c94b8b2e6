import * as PgTypes from "@effect/sql-pg/PgTypes"
import { dateText, isFarDate } from "./FarDate.ts"
import { oidOf } from "./ParameterProblem.ts"

const isDateOrNothing = (value: unknown): boolean =>
  value === null || value === undefined || (value instanceof Date && !Number.isNaN(value.getTime()))

const datesParameter = (values: ReadonlyArray<unknown>): unknown =>
  values.some(isFarDate) && values.every(isDateOrNothing)
    ? `{${values.map((value) => (value instanceof Date ? `"${dateText(value)}"` : "NULL")).join(",")}}`
    : values

/**
 * An array as the driver can send it whatever its elements are: numbers as the type that holds all of them, nulls alone and
 * dates that are far from now as text.
 *
 * The driver takes the type of each element by itself, `integer` for 5 and `bigint` for 5,000,000,000, and refuses an array of
 * both; and it finds no type for nulls. So an array would be refused or not by the values that are in it.
 */
export const arrayParameter = (values: ReadonlyArray<unknown>): unknown => {
  const types = new Set<number | undefined>()
  for (const value of values) {
    if (value === null || value === undefined) continue
    if (value instanceof Date) return datesParameter(values)
    if (typeof value !== "number" && typeof value !== "bigint") return values
    types.add(oidOf(value))
  }
  if (types.size === 0) return values.length === 0 ? values : `{${values.map(() => "NULL").join(",")}}`
  if (types.size === 1) return values
  const widen = types.has(PgTypes.OID.float8) ? (value: number) => PgTypes.float8(value) : BigInt
  return values.map((value) => (typeof value === "number" ? widen(value) : value))
}
