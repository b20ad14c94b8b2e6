import { describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, type Scope } from "effect"
import * as assert from "node:assert/strict"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { isStoreError } from "../../src/core/StoreError.ts"
import { MigrationError } from "../../src/migrations/MigrationError.ts"
import * as Migrations from "../../src/migrations/Migrations.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresMigrations from "../../src/postgres/PostgresMigrations.ts"
import { describeLive } from "../servers/index.ts"
import { until } from "../until.ts"
import { ground as newGround, quiet, reasonOf, server } from "./support.ts"

type Client = PostgresClient.PostgresClient

/** A folder of migrations with a history of its own; who waits for its lock soon gives up, or is patient. */
const ground = Effect.gen(function* () {
  const made = yield* newGround({ lockTimeout: "300 millis" })
  const { folder, schema } = made
  const patient = yield* PostgresMigrations.make({ schema })
  return { ...made, run: made.migrations.run, runPatiently: Migrations.make(patient, { folder }).run }
})

const tests: Record<string, Effect.Effect<void, unknown, Client | Scope.Scope>> = {
  "pending migrations are applied in order, once": Effect.gen(function* () {
    const { count, file, run } = yield* ground
    yield* file("20240101000002_fill.sql", "insert into app.a values (1), (2);")
    yield* file("20240101000001_make.sql", "create table app.a (n int);")
    const first = yield* run
    assert.deepEqual(
      first.applied.map(({ version }) => version),
      [20240101000001n, 20240101000002n]
    )
    const second = yield* run
    assert.deepEqual([second.applied, second.alreadyApplied], [[], 2])
    assert.equal(yield* count("a"), 2)
    yield* file("20991231235959_more.sql", "insert into app.a values (3);")
    const third = yield* run
    assert.deepEqual(
      third.applied.map(({ name, version }) => [version, name]),
      [[20991231235959n, "more"]]
    )
    assert.equal(yield* count("a"), 3)
  }),
  "a migration that fails leaves nothing of itself, and the next run goes on from there": Effect.gen(function* () {
    const { count, exists, file, run } = yield* ground
    yield* file("1_make.sql", "create table app.a (n int);")
    yield* file("2_half.sql", "create table app.b (n int); insert into app.a values (1); selec 1;")
    yield* file("3_after.sql", "create table app.c (n int);")
    const error = yield* Effect.flip(run)
    assert.ok(error._tag === "MigrationError" && error.reason._tag === "StatementFailed")
    assert.equal(error.reason.version, 2n)
    assert.equal(error.reason.failure.statement?.text, "selec 1")
    assert.equal(error.reason.failure.outcome, "not-applied")
    assert.deepEqual([yield* exists("a"), yield* exists("b"), yield* exists("c")], [true, false, false])
    assert.equal(yield* count("a"), 0)
    yield* file("2_half.sql", "create table app.b (n int); insert into app.a values (1);")
    const { alreadyApplied, applied } = yield* run
    assert.deepEqual([alreadyApplied, applied.length], [1, 2])
    assert.deepEqual([yield* count("a"), yield* exists("c")], [1, true])
  }),
  "bodies with semicolons arrive whole": Effect.gen(function* () {
    const { client, file, run, schema } = yield* ground
    yield* file(
      "1_function.sql",
      `create function app.twice(n int) returns int language plpgsql as $$
        declare m int; begin m := n; m := m * 2; return m; end $$;
      create function app.thrice(n int) returns int language sql begin atomic
        select 1; select case when true then n * 3 end; end;
      comment on function app.twice(int) is 'semi;colon';`
    )
    yield* run
    const rows = yield* client.sql`select ${client.sql(schema)}.twice(4) as a, ${client.sql(schema)}.thrice(4) as b`
    assert.deepEqual(rows, [{ a: 8, b: 12 }])
  }),
  "a file edited after it was applied is refused, its line ends may change": Effect.gen(function* () {
    const { file, folder, run } = yield* ground
    yield* file("1_make.sql", "create table app.a (n int);\ncreate table app.b (n int);")
    yield* run
    const path = join(folder, "1_make.sql")
    const text = yield* Effect.promise(() => readFile(path, "utf8"))
    yield* Effect.promise(() => writeFile(path, text.replaceAll("\n", "\r\n")))
    assert.equal((yield* run).alreadyApplied, 1)
    yield* Effect.promise(() => writeFile(path, text.replace("n int", "m int")))
    yield* file("2_more.sql", "create table app.c (n int);")
    assert.equal((yield* reasonOf(run))._tag, "ChecksumChanged")
  }),
  "a late migration and a lost file are refused before anything runs": Effect.gen(function* () {
    const { exists, file, folder, run } = yield* ground
    yield* file("2_make.sql", "create table app.a (n int);")
    yield* run
    yield* file("1_late.sql", "create table app.late (n int);")
    yield* file("3_next.sql", "create table app.next (n int);")
    assert.equal((yield* reasonOf(run))._tag, "OutOfOrder")
    assert.equal(yield* exists("next"), false)
    yield* Effect.promise(() => rm(join(folder, "1_late.sql")))
    yield* Effect.promise(() => rm(join(folder, "2_make.sql")))
    assert.equal((yield* reasonOf(run))._tag, "FileMissing")
    assert.equal(yield* exists("next"), false)
  }),
  "the platform's schema goes up, down and up again, and is as it was": Effect.gen(function* () {
    const { client } = yield* ground
    const migrations = yield* PlatformMigrations.migrations()
    const report = yield* migrations.run
    assert.ok(report.applied.length > 0)
    const first = (yield* migrations.verify).drift
    assert.deepEqual(first, { missing: [], unexpected: [] })
    const undone = yield* migrations.down({ to: 0n })
    assert.equal(undone.length, report.applied.length)
    const left = yield* client.sql`select table_name from information_schema.tables
      where table_schema = 'ai_core' and table_name <> 'schema_migrations'`
    assert.deepEqual(left, [])
    assert.equal((yield* migrations.run).applied.length, report.applied.length)
    yield* migrations.redo({ steps: report.applied.length })
    assert.equal((yield* migrations.verify).ok, true)
  })
}

const suite = (layer: Layer.Layer<Client, unknown>) => (title: string) =>
  it.layer(Layer.merge(layer, quiet), { excludeTestServices: true, timeout: "1 minute" })(title, (it) => {
    for (const [name, test] of Object.entries(tests)) it.effect(name, () => test)
  })

describe("migrations on the embedded engine", () => {
  suite(PostgresEmbedded.layer())("embedded")
})

describeLive("postgresql", "migrations on a server", () => {
  suite(server())("live")

  it.layer(Layer.merge(server(), quiet), { excludeTestServices: true, timeout: "1 minute" })(
    "several at once",
    (it) => {
      it.effect("of five that migrate at once one applies, and all succeed", () =>
        Effect.gen(function* () {
          const { count, file, runPatiently } = yield* ground
          yield* file("1_make.sql", "create table app.a (n int);")
          yield* file("2_fill.sql", "insert into app.a select 1 from pg_sleep(0.2);")
          const reports = yield* Effect.all(
            Array.from({ length: 5 }, () => runPatiently),
            { concurrency: 5 }
          )
          assert.deepEqual(reports.map(({ applied }) => applied.length).sort(), [0, 0, 0, 0, 2])
          assert.equal(yield* count("a"), 1)
        })
      )

      it.effect("who waits too long is told, and the lock is free again afterwards", () =>
        Effect.gen(function* () {
          const { driver, file, run } = yield* ground
          yield* file("1_make.sql", "create table app.a (n int);")
          const [holds, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const holder = yield* Effect.forkChild(
            driver.locked(
              () => Effect.void,
              () => Effect.andThen(Deferred.succeed(holds, undefined), Deferred.await(go))
            )
          )
          yield* Deferred.await(holds)
          const error = yield* Effect.flip(run)
          assert.ok(isStoreError(error))
          assert.deepEqual(
            [error.reason._tag, error.operation, error.outcome],
            ["Conflict", "Migrations.lock", "not-applied"]
          )
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(holder)
          assert.equal((yield* run).applied.length, 1)
        })
      )

      it.effect("an interrupted migration leaves nothing, and neither lock nor connection", () =>
        Effect.gen(function* () {
          const { client, exists, file, run } = yield* ground
          yield* file("1_slow.sql", "create table app.a (n int); select pg_sleep(20);")
          const fiber = yield* Effect.forkChild(run)
          const sleeping = client.sql<{ readonly n: bigint }>`select count(*) as n from pg_stat_activity
          where datname = current_database() and query = 'select pg_sleep(20)' and state = 'active'`
          while ((yield* sleeping)[0]?.n === 0n) yield* Effect.sleep("20 millis")
          yield* Fiber.interrupt(fiber)
          assert.deepEqual(yield* until(sleeping, ([row]) => row?.n === 0n), [{ n: 0n }])
          assert.equal(yield* exists("a"), false)
          const stats = yield* client.stats
          assert.equal(stats.inUse, 0)
          yield* file("1_slow.sql", "create table app.a (n int);")
          assert.equal((yield* run).applied.length, 1)
        })
      )

      it.effect("a connection that is killed mid-migration leaves nothing, and the next run applies it", () =>
        Effect.gen(function* () {
          const { client, exists, file, run } = yield* ground
          yield* file("1_slow.sql", "create table app.a (n int); select pg_sleep(20);")
          const fiber = yield* Effect.forkChild(Effect.exit(run))
          const kill = client.sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query = 'select pg_sleep(20)' and state = 'active'`
          while ((yield* kill).length === 0) yield* Effect.sleep("20 millis")
          const exit = yield* Fiber.join(fiber)
          assert.ok(Exit.isFailure(exit))
          const error = Cause.squash(exit.cause)
          assert.ok(error instanceof MigrationError && error.reason._tag === "StatementFailed")
          const { outcome, reason } = error.reason.failure
          assert.deepEqual([reason._tag, outcome], ["ConnectionLost", "not-applied"])
          assert.equal(yield* exists("a"), false)
          yield* file("1_slow.sql", "create table app.a (n int);")
          assert.equal((yield* run).applied.length, 1)
        })
      )

      it.effect("a pool of one connection is enough", () =>
        Effect.gen(function* () {
          const { file, run } = yield* ground
          yield* file("1_make.sql", "create table app.a (n int);")
          assert.equal((yield* run).applied.length, 1)
        }).pipe(Effect.provide(server({ maxConnections: 1 })))
      )
    }
  )
})
