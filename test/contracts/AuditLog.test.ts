import { Layer } from "effect"
import * as AuditLogLive from "../../src/platform/audit/AuditLogLive.ts"
import * as AuditLogMemory from "../../src/platform/audit/AuditLogMemory.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import { AuditLogContract } from "../../src/testing/contracts/AuditLogContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(AuditLogContract, {
  memory: Layer.merge(AuditLogMemory.layer, UsersMemory.layer),
  live: Layer.merge(AuditLogLive.layer, UsersLive.layer)
})
