import * as Schema from "effect/Schema"

/** A whole number that a column of type `integer` holds: from -2^31 to 2^31 - 1. */
export const Int32 = Schema.Int.check(
  Schema.isBetween(
    { minimum: -2_147_483_648, maximum: 2_147_483_647 },
    { expected: "a whole number from -2^31 to 2^31 - 1" }
  )
)
export type Int32 = typeof Int32.Type

/** A whole number that a column of type `bigint` holds, exactly: from -2^63 to 2^63 - 1, as JavaScript's `bigint`. */
export const Int64 = Schema.BigInt.check(
  Schema.isBetweenBigInt(
    { minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n },
    { expected: "a whole number from -2^63 to 2^63 - 1" }
  )
)
export type Int64 = typeof Int64.Type
