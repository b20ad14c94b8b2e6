import { Effect, Layer } from "effect"
import { PostgresMemory } from "./PostgresMemory.ts"
import { Transaction } from "./Transaction.ts"

/** Transactions over the memory of all memory repositories. */
export const layer: Layer.Layer<Transaction, never, PostgresMemory> = Layer.effect(
  Transaction,
  Effect.map(PostgresMemory, ({ transaction }) => Transaction.of({ run: transaction }))
)
