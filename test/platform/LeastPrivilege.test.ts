import { it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import assert from "node:assert/strict"
import { isStoreError } from "../../src/core/StoreError.ts"
import { AuditLog } from "../../src/platform/audit/AuditLog.ts"
import type { PostgresRepositories } from "../../src/platform/PostgresRepositories.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import * as Tenant from "../../src/postgres/Tenant.ts"
import type { Contract } from "../../src/testing/Contract.ts"
import { AdvisoryLocksContract } from "../../src/testing/contracts/AdvisoryLocksContract.ts"
import { ApiKeysContract } from "../../src/testing/contracts/ApiKeysContract.ts"
import { AuditLogContract } from "../../src/testing/contracts/AuditLogContract.ts"
import { BillingContract } from "../../src/testing/contracts/BillingContract.ts"
import { FederationContract } from "../../src/testing/contracts/FederationContract.ts"
import { NotificationsContract } from "../../src/testing/contracts/NotificationsContract.ts"
import { RolesContract } from "../../src/testing/contracts/RolesContract.ts"
import { TransactionContract } from "../../src/testing/contracts/TransactionContract.ts"
import { UsersContract } from "../../src/testing/contracts/UsersContract.ts"
import { UserTokensContract } from "../../src/testing/contracts/UserTokensContract.ts"
import { schedules } from "../../src/testing/contracts/workflows/schedules.ts"
import { WorkflowsContract } from "../../src/testing/contracts/WorkflowsContract.ts"
import { describeLive } from "../servers/index.ts"
import { clientOf, GuideDatabase, layer } from "./guideRoles.ts"

/** Most of a run is waiting for schedules, so their cases have a turn of their own beside the other ones. */
const [scheduling, otherwise] = [true, false].map((scheduling): Contract<PostgresRepositories> => {
  const { capability, cases } = WorkflowsContract
  return {
    capability: scheduling ? `${capability}, the schedules` : capability,
    cases: cases.filter(({ name }) => scheduling === name in schedules)
  }
})

const contracts: ReadonlyArray<Contract<PostgresRepositories>> = [
  scheduling!,
  otherwise!,
  RolesContract,
  ApiKeysContract,
  UserTokensContract,
  AuditLogContract,
  BillingContract,
  FederationContract,
  NotificationsContract,
  TransactionContract,
  AdvisoryLocksContract
]

const asApp = PostgresRepositoriesLive.layer.pipe(Layer.provideMerge(clientOf("app", 20)), Layer.provideMerge(layer))

/** Fails unless the server forbids the statement, and our client says so. */
const forbidden = (statement: string) =>
  Effect.gen(function* () {
    const { session, sql } = yield* PostgresClient
    // A session of its own, because a shared one may not be changed by anybody.
    const error = yield* Effect.flip(
      Effect.scoped(
        Effect.flatMap(session, ({ query }) =>
          query({ operation: "Test.forbidden", kind: "write" }, sql.unsafe(statement))
        )
      )
    )
    assert.ok(isStoreError(error) && error.reason._tag === "Forbidden", `${statement}: ${String(error)}`)
    assert.deepEqual([error.reason.code, error.outcome], ["42501", "not-applied"], statement)
  })

/** What the role may do to each of the platform's tables, and what was done to them; ends the sessions that did it. */
const tables = Effect.gen(function* () {
  const { sql } = yield* PostgresClient
  const { appRole } = yield* GuideDatabase
  yield* sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${appRole}`
  return yield* sql<{
    readonly name: string
    readonly may: ReadonlyArray<string>
    readonly did: ReadonlyArray<string>
  }>`select c.relname as name,
      array(select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) as p
        where has_table_privilege(${appRole}, c.oid, p)) as may,
      array_remove(array['SELECT', case when s.n_tup_ins > 0 then 'INSERT' end,
        case when s.n_tup_upd > 0 then 'UPDATE' end, case when s.n_tup_del > 0 then 'DELETE' end], null) as did
    from pg_class as c join pg_stat_user_tables as s on s.relid = c.oid
    where c.relkind = 'r' and s.schemaname = 'ai_core' order by c.relname`
})

const never: Record<string, ReadonlyArray<string>> = {
  "change, remove or empty the audit log, or what keeps it": [
    "update ai_core.audit_log set action = 'x'",
    "delete from ai_core.audit_log",
    "truncate ai_core.audit_log",
    "select from ai_core.audit_log for update",
    "alter table ai_core.audit_log disable trigger all",
    "drop trigger audit_log_append_only on ai_core.audit_log",
    "create or replace function ai_core.refuse_audit_log_change() returns trigger language plpgsql as 'begin return old; end'",
    "set session_replication_role = replica"
  ],
  "change or remove what billing only adds to, and what was published": [
    "update ai_core.credit_movements set amount = 1",
    "delete from ai_core.credit_movements",
    "update ai_core.usage_records set quantity = 1",
    "update ai_core.workflow_versions set steps = '[]'",
    "delete from ai_core.invoices",
    "delete from ai_core.payments",
    "truncate ai_core.invoice_lines"
  ],
  "alter or drop tables, or read as another role": [
    "alter table ai_core.users add column admin boolean",
    "alter table ai_core.users owner to current_user",
    "drop table ai_core.users",
    "drop schema ai_core cascade",
    "create index on ai_core.users (email)",
    "create trigger t before insert on ai_core.users execute function ai_core.refuse_audit_log_change()"
  ],
  "take a tenant's policies away": [
    "alter table invoices disable row level security",
    "alter table invoices no force row level security",
    "drop policy own_rows on invoices",
    "create policy every_row on invoices using (true)",
    "alter role current_user bypassrls"
  ],
  "touch the migrations' history": [
    "select from ai_core.schema_migrations",
    "select from ai_core.schema_migrations for update",
    "insert into ai_core.schema_migrations (version, name, checksum, elapsed_ms) values (1, 'x', 'x', 1)",
    "update ai_core.schema_migrations set checksum = 'x'",
    "delete from ai_core.schema_migrations"
  ],
  "make anything": [
    "create table ai_core.mine (id int)",
    "create function ai_core.mine() returns int language sql as 'select 1'",
    "create table public.mine (id int)",
    "create temporary table mine (id int)",
    "create schema mine",
    "create role mine"
  ]
}

/** Runs the cases one after the other; a failure says which case it is of. */
const keeping = ({ capability, cases }: Contract<PostgresRepositories>) =>
  Effect.forEach(
    cases,
    ({ name, run }) => Effect.mapError(run, (cause) => new Error(`${capability}: ${name}`, { cause })),
    { discard: true }
  )
const titleOf = ({ capability, cases }: Contract<PostgresRepositories>) =>
  `keeps to the ${cases.length} cases of ${capability}`

describeLive("postgresql", "The guide's role for programs", () => {
  it.layer(asApp, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    // It lists all users, whom the others make.
    it.effect(titleOf(UsersContract), () => keeping(UsersContract))
    for (const contract of contracts) {
      it.effect(titleOf(contract), () => keeping(contract), { concurrent: true, timeout: 180_000 })
    }

    for (const [what, statements] of Object.entries(never)) {
      it.effect(`never may ${what}`, () => Effect.forEach(statements, forbidden, { discard: true }))
    }

    it.effect("finds no way to change the audit log in its repository", () =>
      Effect.map(AuditLog, (log) =>
        assert.deepEqual(Object.keys(log).sort(), ["append", "appendMany", "list", "stream"])
      )
    )

    it.effect("sees one tenant's rows, and without a tenant none", () =>
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient
        const add = sql`insert into invoices (total) values (1)`
        const tenants = sql`select tenant from invoices`
        yield* Tenant.within("acme")(add)
        yield* Tenant.within("globex")(add)
        assert.deepEqual(yield* Tenant.within("acme")(tenants), [{ tenant: "acme" }])
        assert.deepEqual(yield* tenants, [])
        yield* forbidden("insert into invoices (tenant, total) values ('acme', 1)")
      })
    )

    it.effect("may do to each table what the repositories did, and nothing else", () =>
      Effect.gen(function* () {
        const done = yield* Effect.repeat(tables, {
          // What a session did is told when it has ended, a moment later.
          until: (all) => all.every(({ did, may }) => may.every((privilege) => did.includes(privilege))),
          schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: 300 }), Schedule.passthrough)
        })
        assert.ok(done.length > 30)
        for (const { did, may, name } of done) {
          if (name.startsWith("schema_migrations")) assert.deepEqual(may, [], name)
          else {
            assert.deepEqual(may.slice(0, 2), ["SELECT", "INSERT"], name)
            assert.deepEqual([name, ...may.filter((privilege) => !did.includes(privilege))], [name])
          }
        }
      }).pipe(Effect.provide(clientOf("administrator", 2)))
    )
  })
})
