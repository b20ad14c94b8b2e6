import { Effect, Layer, Redacted } from "effect"
import * as AdvisoryLocksLive from "../../src/postgres/AdvisoryLocksLive.ts"
import * as AdvisoryLocksMemory from "../../src/postgres/AdvisoryLocksMemory.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import { AdvisoryLocksContract } from "../../src/testing/contracts/AdvisoryLocksContract.ts"
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

runContract(AdvisoryLocksContract, { implementation: "memory", layer: memory })
runContract(AdvisoryLocksContract, { implementation: "live", stores: ["postgresql"], layer: live })
