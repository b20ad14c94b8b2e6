import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { describe } from "vitest"
import { AdvisoryLocks } from "../../src/postgres/AdvisoryLocks.ts"
import * as AdvisoryLocksLive from "../../src/postgres/AdvisoryLocksLive.ts"
import * as AdvisoryLocksMemory from "../../src/postgres/AdvisoryLocksMemory.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import {
  AdvisoryLocksContract,
  AdvisoryLocksInTransactionsContract
} from "../../src/testing/contracts/AdvisoryLocksContract.ts"
import { refuses } from "../../src/testing/Expectations.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { freshPostgres } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

const memory = Layer.mergeAll(AdvisoryLocksMemory.layer, TransactionMemory.layer).pipe(
  Layer.provide(PostgresMemory.layer)
)
const live = () =>
  Layer.mergeAll(AdvisoryLocksLive.layer, TransactionLive.layer).pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) => PostgresClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
      )
    )
  )

const embedded = Layer.mergeAll(AdvisoryLocksLive.layer, TransactionLive.layer).pipe(Layer.provide(sharedEngine))

runContract(AdvisoryLocksContract, { implementation: "memory", layer: memory })
runContract(AdvisoryLocksContract, { implementation: "live", stores: ["postgresql"], layer: live })
runContract(AdvisoryLocksInTransactionsContract, { implementation: "embedded", layer: embedded })

describe("leases of the embedded engine, which has one connection", () => {
  it.live("are refused by the field that would have to be larger", () =>
    Effect.gen(function* () {
      const locks = yield* AdvisoryLocks
      yield* refuses(Effect.scoped(locks.lease("nightly")), "AdvisoryLocks.lease", ["maxConnections"])
      yield* refuses(Effect.scoped(locks.tryLease("nightly")), "AdvisoryLocks.tryLease", ["maxConnections"])
    }).pipe(Effect.provide(embedded))
  )
})
