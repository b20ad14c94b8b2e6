import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as assert from "node:assert/strict"
import { AuditLog } from "../../src/platform/audit/AuditLog.ts"
import * as AuditLogLive from "../../src/platform/audit/AuditLogLive.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

const layer = AuditLogLive.layer.pipe(
  Layer.provide(PlatformMigrations.layerPostgres),
  Layer.provideMerge(freshClient())
)

describeLive("postgresql", "AuditLog on a server", () => {
  it.layer(layer, { excludeTestServices: true })("append-only", (it) => {
    it.effect("nobody changes or removes an entry, not even the owner of the table", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const { query, sql } = yield* PostgresClient
        const entry = yield* log.append({ action: "tell", subjectKind: "thing", subjectId: "1" })
        const attempts = [
          sql`update ai_core.audit_log set action = 'lie'`,
          sql`update ai_core.audit_log set action = 'lie' where false`,
          sql`delete from ai_core.audit_log`,
          sql`truncate ai_core.audit_log`
        ]
        for (const attempt of attempts) {
          const error = yield* Effect.flip(query({ operation: "forge", kind: "write" }, attempt))
          assert.ok(isStoreError(error) && error.reason._tag === "Forbidden", String(error))
        }
        assert.deepEqual((yield* log.list()).items, [entry])
      })
    )
  })
})
