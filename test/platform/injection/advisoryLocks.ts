import { Effect } from "effect"
import type { AdvisoryLocks } from "../../../src/postgres/AdvisoryLocks.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { unique } from "../../../src/testing/Contract.ts"
import type { Attempts } from "./Attempt.ts"

const key = unique("lock")
const waiting = Effect.map(key, (key) => [key, { wait: "1 second" }] as const)
const only = Effect.map(key, (key) => [key] as const)

const inTransaction = <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.flatMap(Transaction, ({ run }) => run(call))

/** A key is hashed, and held by no row. */
const passing = ["key"]

export const advisoryLocks: Attempts<AdvisoryLocks["Service"], Transaction> = {
  withinTransaction: { parameters: ["key", ""], samples: [waiting], within: inTransaction, passing },
  tryWithinTransaction: { parameters: ["key"], samples: [only], within: inTransaction, passing },
  lease: { parameters: ["key", ""], samples: [waiting], within: Effect.scoped, passing },
  tryLease: { parameters: ["key"], samples: [only], within: Effect.scoped, passing }
}
