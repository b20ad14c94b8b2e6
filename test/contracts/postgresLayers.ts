import { Effect, Layer, Redacted } from "effect"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import type { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import type { Contract } from "../../src/testing/Contract.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { freshPostgres } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

/** Runs a contract of PostgreSQL repositories in memory, on the embedded engine and on a server, the platform's tables made. */
export const runOnPostgres = <R, E>(
  contract: Contract<R | Transaction>,
  repositories: {
    readonly memory: Layer.Layer<R, never, PostgresMemory.PostgresMemory>
    readonly live: Layer.Layer<R, E, PostgresClient.PostgresClient | Transaction>
  }
): void => {
  const memory = Layer.merge(repositories.memory, TransactionMemory.layer).pipe(Layer.provide(PostgresMemory.layer))
  const stored = repositories.live.pipe(
    Layer.provideMerge(TransactionLive.layer),
    Layer.provide(PlatformMigrations.layerPostgres)
  )
  const live = () =>
    stored.pipe(
      Layer.provide(
        Layer.unwrap(
          Effect.map(freshPostgres, (url) => PostgresClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
        )
      )
    )
  runContract(contract, { implementation: "memory", layer: memory })
  runContract(contract, { implementation: "embedded", layer: stored.pipe(Layer.provide(sharedEngine)) })
  runContract(contract, { implementation: "live", stores: ["postgresql"], layer: live })
}
