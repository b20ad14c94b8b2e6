import { Layer } from "effect"
import * as ApiKeysLive from "../../src/platform/users/ApiKeysLive.ts"
import * as ApiKeysMemory from "../../src/platform/users/ApiKeysMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { ApiKeysContract } from "../../src/testing/contracts/ApiKeysContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(ApiKeysContract, {
  memory: Layer.merge(ApiKeysMemory.layer, UsersMemory.layer),
  live: Layer.merge(ApiKeysLive.layer, UsersLive.layer)
})
