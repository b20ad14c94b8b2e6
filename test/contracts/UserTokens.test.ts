import { Layer } from "effect"
import * as UserTokensLive from "../../src/platform/users/UserTokensLive.ts"
import * as UserTokensMemory from "../../src/platform/users/UserTokensMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { UserTokensContract } from "../../src/testing/contracts/UserTokensContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(UserTokensContract, {
  memory: Layer.merge(UserTokensMemory.layer, UsersMemory.layer),
  live: Layer.merge(UserTokensLive.layer, UsersLive.layer)
})
