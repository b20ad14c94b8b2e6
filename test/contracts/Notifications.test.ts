import { Layer } from "effect"
import * as NotificationsLive from "../../src/platform/notifications/NotificationsLive.ts"
import * as NotificationsMemory from "../../src/platform/notifications/NotificationsMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { NotificationsContract } from "../../src/testing/contracts/NotificationsContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(NotificationsContract, {
  memory: Layer.mergeAll(UsersMemory.layer, NotificationsMemory.layer),
  live: Layer.mergeAll(UsersLive.layer, NotificationsLive.layer)
})
