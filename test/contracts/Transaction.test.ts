import { Effect, Layer, Redacted } from "effect"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import { TransactionContract } from "../../src/testing/contracts/TransactionContract.ts"
import { freshPostgres } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

const memory = Layer.mergeAll(UsersMemory.layer, TransactionMemory.layer).pipe(Layer.provide(PostgresMemory.layer))

const stored = Layer.mergeAll(UsersLive.layer, TransactionLive.layer).pipe(
  Layer.provide(PlatformMigrations.layerPostgres)
)
const embedded = stored.pipe(Layer.provide(PostgresEmbedded.layer()))
const live = () =>
  stored.pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) => PostgresClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
      )
    )
  )

runContract(TransactionContract, { implementation: "memory", layer: memory })
runContract(TransactionContract, { implementation: "embedded", layer: embedded })
runContract(TransactionContract, { implementation: "live", stores: ["postgresql"], layer: live })
