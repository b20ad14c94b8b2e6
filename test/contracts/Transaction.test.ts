import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { TransactionContract } from "../../src/testing/contracts/TransactionContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(TransactionContract, { memory: UsersMemory.layer, live: UsersLive.layer })
