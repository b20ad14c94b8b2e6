import * as UsersLive from "../../src/platform/UsersLive.ts"
import * as UsersMemory from "../../src/platform/UsersMemory.ts"
import { UsersContract } from "../../src/testing/contracts/UsersContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(UsersContract, { memory: UsersMemory.layer, live: UsersLive.layer })
