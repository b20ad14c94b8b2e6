import { Layer } from "effect"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as UsersMemory from "../../src/platform/users/UsersMemory.ts"
import * as WorkflowsLive from "../../src/platform/workflows/WorkflowsLive.ts"
import * as WorkflowsMemory from "../../src/platform/workflows/WorkflowsMemory.ts"
import { WorkflowsContract } from "../../src/testing/contracts/WorkflowsContract.ts"
import { runOnPostgres } from "./postgresLayers.ts"

runOnPostgres(WorkflowsContract, {
  memory: Layer.merge(WorkflowsMemory.layer, UsersMemory.layer),
  live: Layer.merge(WorkflowsLive.layer, UsersLive.layer)
})
