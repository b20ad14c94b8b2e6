import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { UsersContract } from "../../src/testing/contracts/UsersContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(UsersContract, { memory: UsersMemory.layer, live: UsersLive.layer })
