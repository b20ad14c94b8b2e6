import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StoreCall } from "../../core/StoreCall.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { rowReader, SafeInteger } from "../../postgres/repository/Row.ts"

const sums = rowReader(Schema.Struct({ sum: SafeInteger }))

/** A sum as a number; fails with `InvalidData` where none holds it exactly, however far beyond it is. */
export const exactSum = (call: StoreCall, sum: bigint): Effect.Effect<number, StoreError> =>
  Effect.map(sums.one(call, [{ sum }]), (row) => row.sum)
