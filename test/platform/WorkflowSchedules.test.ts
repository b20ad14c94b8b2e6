import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { Workflows } from "../../src/platform/workflows/Workflows.ts"
import * as WorkflowsLive from "../../src/platform/workflows/WorkflowsLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { published } from "../../src/testing/contracts/workflows/fixtures.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

describeLive("postgresql", "WorkflowSchedules", () => {
  const repositories = Layer.merge(WorkflowsLive.layer, UsersLive.layer).pipe(
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provideMerge(freshClient())
  )
  it.layer(repositories, { excludeTestServices: true, timeout: "1 minute" })("on a server", (it) => {
    it.effect("looking for what is due reads what is due, not every schedule", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { run } = yield* Transaction
        const { sql } = yield* PostgresClient
        const { workflowId } = yield* published()
        const schedule = { workflowId, name: "Nightly", cron: "0 3 * * *", timeZone: "UTC" }
        const { id } = yield* workflows.createSchedule(schedule)
        yield* sql`insert into ai_core.workflow_schedules
          select (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'next_run_at', now() + interval '1 day'))).*
          from ai_core.workflow_schedules as s, generate_series(1, 20000)`
        yield* sql`update ai_core.workflow_schedules set next_run_at = now() - interval '1 minute' where id = ${id}::uuid`
        yield* sql`vacuum analyze ai_core.workflow_schedules`
        const [fired, read] = yield* run(
          Effect.gen(function* () {
            const fired = yield* workflows.claimDueSchedules({ limit: 100 })
            const [read] = yield* sql<{ readonly rows: number }>`select
              (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as rows
              from pg_stat_xact_user_tables where relname = 'workflow_schedules'`
            return [fired, read] as const
          })
        )
        assert.deepEqual(
          fired.map((run) => run.schedule.id),
          [id]
        )
        assert.ok(read !== undefined && read.rows > 0 && read.rows < 50, `read ${read?.rows} rows`)
      })
    )
  })
})
