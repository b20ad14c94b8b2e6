import { Layer } from "effect"
import * as BillingLive from "../../src/platform/billing/BillingLive.ts"
import * as BillingMemory from "../../src/platform/billing/BillingMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { BillingContract } from "../../src/testing/contracts/BillingContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(BillingContract, {
  memory: Layer.merge(BillingMemory.layer, UsersMemory.layer),
  live: Layer.merge(BillingLive.layer, UsersLive.layer)
})
