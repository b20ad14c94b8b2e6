import { Effect, Layer, Redacted } from "effect"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import * as WorkflowsLive from "../../src/platform/workflows/WorkflowsLive.ts"
import * as WorkflowsMemory from "../../src/platform/workflows/WorkflowsMemory.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import { WorkflowsContract } from "../../src/testing/contracts/WorkflowsContract.ts"
import { freshPostgres } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

const memory = Layer.mergeAll(UsersMemory.layer, WorkflowsMemory.layer, TransactionMemory.layer).pipe(
  Layer.provide(PostgresMemory.layer)
)

const repositories = Layer.mergeAll(UsersLive.layer, WorkflowsLive.layer).pipe(
  Layer.provideMerge(TransactionLive.layer),
  Layer.provide(PlatformMigrations.layerPostgres)
)
const embedded = repositories.pipe(Layer.provide(PostgresEmbedded.layer()))
const live = () =>
  repositories.pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) => PostgresClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
      )
    )
  )

runContract(WorkflowsContract, { implementation: "memory", layer: memory })
runContract(WorkflowsContract, { implementation: "embedded", layer: embedded })
runContract(WorkflowsContract, { implementation: "live", stores: ["postgresql"], layer: live })
