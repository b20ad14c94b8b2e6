import { Layer } from "effect"
import * as FederationLive from "../../src/platform/federation/FederationLive.ts"
import * as FederationMemory from "../../src/platform/federation/FederationMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { FederationContract } from "../../src/testing/contracts/FederationContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(FederationContract, {
  memory: Layer.merge(FederationMemory.layer, UsersMemory.layer),
  live: Layer.merge(FederationLive.layer, UsersLive.layer)
})
