import * as PgTypes from "@effect/sql-pg/PgTypes"

const isInt32 = (value: unknown): boolean => value === (Number(value) | 0)
const isWhole = (value: unknown): boolean => typeof value === "bigint" || Number.isSafeInteger(value)

/**
 * An array as the driver can send it whatever its elements are: numbers as the type that holds all of them, nulls alone as text.
 *
 * The driver takes the type of each element by itself, `integer` for 5 and `bigint` for 5,000,000,000, and refuses an array of
 * both; and it finds no type for nulls. So an array would be refused or not by the values that are in it.
 */
export const arrayParameter = (values: ReadonlyArray<unknown>): unknown => {
  let numbers = 0
  let narrow = true
  let whole = true
  let fractional = true
  for (const value of values) {
    if (value === null || value === undefined) continue
    if (typeof value !== "number" && typeof value !== "bigint") return values
    numbers++
    narrow &&= typeof value === "number" && isInt32(value)
    whole &&= isWhole(value)
    fractional &&= typeof value === "number" && !isWhole(value)
  }
  if (numbers === 0) return values.length === 0 ? values : `{${values.map(() => "NULL").join(",")}}`
  if (narrow || fractional) return values
  const widen = whole
    ? (value: number | bigint) => BigInt(value)
    : (value: number | bigint) => (typeof value === "bigint" ? value : PgTypes.float8(value))
  return values.map((value) => (typeof value === "number" || typeof value === "bigint" ? widen(value) : value))
}
