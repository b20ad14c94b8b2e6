import { Layer } from "effect"
import * as RolesLive from "../../src/platform/users/RolesLive.ts"
import * as RolesMemory from "../../src/platform/users/RolesMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { RolesContract } from "../../src/testing/contracts/RolesContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(RolesContract, {
  memory: Layer.merge(RolesMemory.layer, UsersMemory.layer),
  live: Layer.merge(RolesLive.layer, UsersLive.layer)
})
