import { describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Logger, References, type Scope, Stream } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as assert from "node:assert/strict"
import { isStoreError } from "../../src/core/StoreError.ts"
import { MigrationError } from "../../src/migrations/MigrationError.ts"
import * as Migrations from "../../src/migrations/Migrations.ts"
import { planText } from "../../src/migrations/PlanReport.ts"
import { program } from "../../src/migrations/Program.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import type { PostgresTags } from "../../src/postgres/PostgresClient.ts"
import { describeLive } from "../servers/index.ts"
import { ground, quiet, reasonOf, server, withoutTransaction } from "./support.ts"

const versions = (rows: ReadonlyArray<{ readonly version: bigint }>) => rows.map(({ version }) => Number(version))

const two = Effect.gen(function* () {
  const made = yield* ground()
  yield* made.file("1_a.sql", "create table app.a (n int);", "drop table app.a;")
  yield* made.file("2_b.sql", "create table app.b (n int);", "drop table app.b;")
  return made
})

const tests: Record<string, Effect.Effect<void, unknown, PostgresTags | Scope.Scope>> = {
  "a plan and a dry run write nothing, not even the history's table or schema": Effect.gen(function* () {
    const { client, migrations, schema } = yield* two
    const plan = yield* migrations.plan
    assert.deepEqual(versions(plan.pending), [1, 2])
    assert.match(planText(plan), /0 applied, 2 pending\n {2}1_a\n {4}create table app_\d+\.a \(n int\);/)
    yield* Migrations.dryRun(migrations)
    yield* migrations.status
    yield* migrations.verify
    assert.deepEqual(yield* Stream.runCollect(migrations.history), [])
    assert.deepEqual(yield* client.sql`select to_regnamespace(${schema})::text as name`, [{ name: null }])
  }),
  "a version of 64 bits comes back from the history as it was": Effect.gen(function* () {
    const { file, migrations } = yield* ground()
    yield* file("20991231235959_far.sql", "select 1;")
    yield* file("999999999999999999_last.sql", "select 1;")
    yield* migrations.run
    const rows = yield* Stream.runCollect(migrations.history)
    assert.deepEqual(
      rows.map(({ kind, name, version }) => [version, name, kind]),
      [
        [20991231235959n, "far", "migrated"],
        [999999999999999999n, "last", "migrated"]
      ]
    )
    assert.ok(rows[0]!.appliedAt.epochMilliseconds > 1.7e12)
  }),
  "late migrations: refused, applied, or left out and told, as the policy says": Effect.gen(function* () {
    const { exists, file, make } = yield* ground()
    yield* file("2_b.sql", "create table app.b (n int);")
    yield* make().run
    yield* file("1_a.sql", "create table app.a (n int);")
    yield* file("3_c.sql", "create table app.c (n int);")
    assert.deepEqual((yield* reasonOf(make().run))._tag, "OutOfOrder")
    assert.deepEqual([yield* exists("a"), yield* exists("c")], [false, false])
    const skipped = yield* make({ outOfOrder: "skip" }).run
    assert.deepEqual([versions(skipped.applied), versions(skipped.skipped)], [[3], [1]])
    assert.deepEqual(versions((yield* make({ outOfOrder: "skip" }).run).skipped), [1])
    assert.deepEqual(
      (yield* make().status).map(({ state }) => state),
      ["late", "applied", "applied"]
    )
    const allowed = yield* make({ outOfOrder: "allow" }).run
    assert.deepEqual([versions(allowed.applied), versions(allowed.skipped)], [[1], []])
    assert.equal((yield* make().verify).ok, true)
  }),
  "an older program starts on what a newer one has migrated, and says so; the policy may refuse it": Effect.gen(
    function* () {
      const { exists, file, make, remove } = yield* two
      yield* file("4_c.sql", "create table app.c (n int);", "drop table app.c;")
      yield* make().run
      yield* remove("4_c.sql")
      const said: Array<unknown> = []
      const heard = Logger.layer([
        Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn") said.push(...(Array.isArray(message) ? message : [message]))
        })
      ]).pipe(Layer.merge(Layer.succeed(References.MinimumLogLevel, "Warn")))
      const report = yield* Effect.provide(make().run, heard)
      assert.deepEqual(
        [versions(report.applied), report.alreadyApplied, report.future],
        [[], 3, [{ version: 4n, name: "c" }]]
      )
      assert.equal(said.length, 1)
      assert.match(String(said[0]), /^PostgreSQL: a newer program has migrated: 4_c/)
      const plan = yield* make().plan
      assert.deepEqual([versions(plan.future), plan.pending], [[4], []])
      assert.match(planText(plan), /\n {2}applied by a newer program: 4_c$/)
      assert.deepEqual(
        (yield* make().status).map(({ name, state }) => [name, state]),
        [
          ["a", "applied"],
          ["b", "applied"],
          ["c", "future"]
        ]
      )
      const strict = make({ future: "error" })
      const reason = yield* reasonOf(strict.run)
      assert.deepEqual({ ...reason }, { _tag: "FutureApplied", version: 4n, name: "c", newest: 2n })
      assert.equal((yield* reasonOf(strict.plan))._tag, "FutureApplied")
      // What it has itself and is pending is older than that: the other policy decides.
      yield* file("3_late.sql", "create table app.late (n int);")
      assert.equal((yield* reasonOf(make().run))._tag, "OutOfOrder")
      assert.equal((yield* reasonOf(make({ future: "error", outOfOrder: "allow" }).run))._tag, "FutureApplied")
      assert.equal(yield* exists("late"), false)
      const late = yield* make({ outOfOrder: "allow" }).run
      assert.deepEqual([versions(late.applied), versions(late.future)], [[3], [4]])
    }
  ),
  "a missing file among known ones is refused, and so is a folder without any": Effect.gen(function* () {
    const { file, make, remove } = yield* two
    yield* file("3_c.sql", "create table app.c (n int);")
    yield* make().run
    yield* remove("2_b.sql")
    const between = yield* reasonOf(make().run)
    assert.deepEqual({ ...between }, { _tag: "FileMissing", version: 2n, name: "b" })
    yield* remove("1_a.sql")
    yield* remove("3_c.sql")
    assert.deepEqual({ ...(yield* reasonOf(make().run)) }, { _tag: "FileMissing", version: 1n, name: "a" })
    assert.equal((yield* reasonOf(make().plan))._tag, "FileMissing")
  }),
  "an older program undoes nothing below what a newer one has applied": Effect.gen(function* () {
    const { exists, file, make, migrations, remove } = yield* two
    yield* file("3_c.sql", "create table app.c (n int);", "drop table app.c;")
    yield* migrations.run
    yield* remove("3_c.sql")
    for (const undo of [
      migrations.down(),
      migrations.down({ to: 1n }),
      migrations.redo(),
      make({ future: "error" }).down()
    ]) {
      const reason = yield* reasonOf(undo)
      assert.deepEqual({ ...reason }, { _tag: "FutureApplied", version: 3n, name: "c", newest: 2n })
    }
    assert.deepEqual(yield* migrations.down({ to: 3n }), [])
    assert.deepEqual([yield* exists("b"), yield* exists("c")], [true, true])
    yield* file("3_c.sql", "create table app.c (n int);", "drop table app.c;")
    assert.deepEqual(versions(yield* migrations.down({ to: 1n })), [3, 2])
  }),
  "an older program finds the newer one's schema in order, unless it is strict": Effect.gen(function* () {
    const { client, file, make, migrations, remove, schema } = yield* two
    yield* file("3_c.sql", "alter table app.b add column m int;")
    yield* migrations.run
    yield* remove("3_c.sql")
    assert.deepEqual(yield* migrations.verify, {
      ok: true,
      problems: [],
      future: [3n],
      unfinished: [],
      drift: { missing: [], unexpected: [] }
    })
    const strict = yield* make({ future: "error" }).verify
    assert.deepEqual(
      [strict.ok, strict.problems.map(({ _tag, version }) => [_tag, version])],
      [false, [["FutureApplied", 3n]]]
    )
    yield* client.sql.unsafe(`alter table ${schema}.b drop column m`)
    assert.equal((yield* migrations.verify).ok, false)
  }),
  "repair forgets what a newer program has applied only where it is told so by name": Effect.gen(function* () {
    const { file, migrations, remove } = yield* two
    yield* file("3_c.sql", "create table if not exists app.c (n int);")
    yield* migrations.run
    yield* remove("3_c.sql")
    assert.deepEqual((yield* migrations.repair({ forgetMissing: true })).forgotten, [])
    assert.deepEqual(versions((yield* migrations.plan).future), [3])
    assert.deepEqual((yield* migrations.repair({ forgetFuture: true })).forgotten, [3n])
    assert.deepEqual(
      (yield* migrations.status).map(({ state }) => state),
      ["applied", "applied"]
    )
    yield* file("3_c.sql", "create table if not exists app.c (n int);")
    assert.deepEqual(versions((yield* migrations.run).applied), [3])
  }),
  "down undoes the newest first, by steps or to a version": Effect.gen(function* () {
    const { exists, file, migrations } = yield* two
    yield* file("3_c.sql", "create table app.c (n int);", "drop table app.c;")
    yield* migrations.run
    assert.deepEqual(versions(yield* migrations.down()), [3])
    assert.deepEqual([yield* exists("b"), yield* exists("c")], [true, false])
    yield* migrations.run
    assert.deepEqual(versions(yield* migrations.down({ to: 1n })), [3, 2])
    assert.deepEqual([yield* exists("a"), yield* exists("b")], [true, false])
    assert.equal((yield* migrations.verify).drift?.missing.length, 0)
    assert.deepEqual(versions(yield* migrations.down({ steps: 9 })), [1])
    assert.deepEqual(yield* migrations.down(), [])
  }),
  "down without a way down, or with one that fails, changes nothing": Effect.gen(function* () {
    const { count, file, migrations } = yield* ground()
    yield* file("1_a.sql", "create table app.a (n int);\ninsert into app.a values (1);", "delete from app.a;\nselec 1;")
    yield* migrations.run
    assert.equal((yield* reasonOf(migrations.down()))._tag, "StatementFailed")
    assert.equal(yield* count("a"), 1)
    // Once it is down it cannot go up again, since the table is still there.
    yield* file("1_a.sql", "create table app.a (n int);\ninsert into app.a values (1);", "delete from app.a;")
    yield* migrations.repair()
    assert.equal((yield* reasonOf(migrations.down()))._tag, "StatementFailed")
    assert.equal(yield* count("a"), 1)
    yield* file("1_a.sql", "create table app.a (n int);\ninsert into app.a values (1);")
    yield* migrations.repair()
    assert.equal((yield* reasonOf(migrations.down()))._tag, "Irreversible")
    assert.equal((yield* migrations.verify).ok, true)
  }),
  "a down that leaves something behind is told line by line": Effect.gen(function* () {
    const { exists, file, make, migrations, schema } = yield* ground()
    yield* file(
      "1_a.sql",
      "create table if not exists app.a (n int);\ncreate table if not exists app.b (n int);",
      "alter table app.a add column m int;\ndrop table app.b;"
    )
    yield* migrations.run
    const reason = yield* reasonOf(migrations.down())
    assert.ok(reason._tag === "DownUnfaithful")
    assert.deepEqual([reason.missing, reason.unexpected], [[], [`column ${schema}.a 2 m integer`]])
    assert.equal(yield* exists("b"), true)
    // Who knows better may go on.
    yield* make().down({ verify: false })
    assert.equal(yield* exists("b"), false)
  }),
  "redo is one transaction, and must end where it began": Effect.gen(function* () {
    const { client, count, file, migrations, schema } = yield* two
    yield* migrations.run
    yield* client.sql`insert into ${client.sql(schema)}.a values (1)`
    assert.deepEqual(versions(yield* migrations.redo({ steps: 2 })), [1, 2])
    assert.equal(yield* count("a"), 0)
    yield* client.sql`insert into ${client.sql(schema)}.b values (1)`
    yield* file("2_b.sql", "create table app.b (n int);\nselect 1/0;", "drop table app.b;")
    yield* migrations.repair()
    assert.equal((yield* reasonOf(migrations.redo()))._tag, "StatementFailed")
    assert.equal(yield* count("b"), 1)
    assert.deepEqual(versions(yield* Stream.runCollect(migrations.history)), [1, 2])
  }),
  "verify and status tell what was edited, lost, or changed past the migrations": Effect.gen(function* () {
    const { client, file, migrations, remove, schema } = yield* two
    yield* migrations.run
    assert.deepEqual(yield* migrations.verify, {
      ok: true,
      problems: [],
      future: [],
      unfinished: [],
      drift: { missing: [], unexpected: [] }
    })
    yield* client.sql.unsafe(`alter table ${schema}.a alter column n type bigint`)
    yield* client.sql.unsafe(`create index by_hand on ${schema}.b (n)`)
    yield* file("1_a.sql", "create table app.a (n bigint);")
    yield* remove("2_b.sql")
    yield* file("3_c.sql", "create table app.c (n int);")
    const report = yield* migrations.verify
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.problems.map(({ _tag, version }) => [_tag, version]),
      [
        ["ChecksumChanged", 1n],
        ["FileMissing", 2n]
      ]
    )
    assert.deepEqual(report.drift, {
      missing: [`column ${schema}.a 1 n integer`],
      unexpected: [`column ${schema}.a 1 n bigint`, `index CREATE INDEX by_hand ON ${schema}.b USING btree (n)`]
    })
    assert.deepEqual(
      (yield* migrations.status).map(({ reversible, state }) => [state, reversible]),
      [
        ["changed", false],
        ["missing", false],
        ["pending", false]
      ]
    )
  }),
  "verify sees whatever of a schema is changed past the migrations": Effect.gen(function* () {
    const { client, file, migrations, schema } = yield* ground()
    yield* file(
      "1_all.sql",
      `create type app.mood as enum ('good', 'bad');
      create type app.pair as (a int, b int);
      create table app.t (n int primary key check (n > 0), m int, words text);
      create function app.f() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger tr before insert on app.t for each row execute function app.f();
      create rule ru as on delete to app.t do also select 1;
      create policy po on app.t using (true);
      create aggregate app.total (int) (sfunc = int4pl, stype = int);
      create sequence app.s;
      create view app.v as select n from app.t;
      create collation app.c (locale = 'C');
      create statistics app.st on n, m from app.t;
      create index i on app.t (m);`
    )
    yield* migrations.run
    assert.equal((yield* migrations.verify).ok, true)
    for (const change of [
      "create statistics app.st2 (ndistinct) on n, m from app.t",
      "alter statistics app.st set statistics 500",
      "alter table app.t replica identity full",
      "alter table app.t replica identity using index t_pkey",
      "alter table app.t cluster on t_pkey",
      "alter table app.t alter words set storage external",
      "alter table app.t alter words set compression pglz",
      "alter table app.t alter n set statistics 500",
      "alter table app.t alter n set (n_distinct = 5)",
      "alter table app.t disable rule ru",
      "create collation app.c2 (locale = 'POSIX')",
      "create type app.span as range (subtype = int)",
      "create or replace aggregate app.total (int) (sfunc = int4pl, stype = int, initcond = '7')",
      "alter table app.t owner to pg_monitor",
      "alter view app.v owner to pg_monitor",
      "alter sequence app.s owner to pg_monitor",
      "alter function app.f() owner to pg_monitor",
      "alter type app.mood owner to pg_monitor",
      "alter type app.pair owner to pg_monitor",
      "alter collation app.c owner to pg_monitor",
      "alter statistics app.st owner to pg_monitor",
      "alter schema app owner to pg_monitor",
      "grant create on schema app to public",
      "grant usage on type app.mood to pg_monitor",
      "alter default privileges in schema app grant select on tables to public",
      "comment on schema app is 'said'",
      "comment on function app.f() is 'said'",
      "comment on type app.mood is 'said'",
      "comment on constraint t_n_check on app.t is 'said'",
      "comment on trigger tr on app.t is 'said'",
      "comment on rule ru on app.t is 'said'",
      "comment on policy po on app.t is 'said'",
      "comment on statistics app.st is 'said'",
      "comment on collation app.c is 'said'",
      "comment on index app.i is 'said'"
    ]) {
      yield* client.sql.unsafe(change.replace("schema app ", `schema ${schema} `).replaceAll("app.", `${schema}.`))
      assert.equal((yield* migrations.verify).ok, false, change)
      yield* migrations.repair({ acceptSchema: true })
    }
  }),
  "repair takes the files for right, and the schema and lost files only where it is told to": Effect.gen(function* () {
    const { client, file, migrations, remove, schema } = yield* two
    yield* migrations.run
    yield* file("1_a.sql", "create table app.a (n bigint);")
    yield* remove("2_b.sql")
    yield* file("3_c.sql", "select 1;")
    yield* client.sql.unsafe(`alter table ${schema}.a alter column n type bigint`)
    assert.deepEqual(yield* migrations.repair(), { realigned: [1n], forgotten: [], abandoned: [] })
    assert.equal((yield* reasonOf(migrations.run))._tag, "FileMissing")
    assert.deepEqual(yield* migrations.repair({ forgetMissing: true }), {
      realigned: [],
      forgotten: [2n],
      abandoned: []
    })
    // What the last migration left is still expected.
    assert.equal((yield* migrations.verify).drift?.missing.length, 1)
    yield* migrations.repair({ acceptSchema: true })
    assert.equal((yield* migrations.verify).ok, true)
    assert.deepEqual(versions((yield* migrations.run).applied), [3])
  }),
  "a baseline takes over a schema that was made otherwise": Effect.gen(function* () {
    const { client, count, file, migrations, schema } = yield* two
    yield* client.sql.unsafe(`create schema ${schema}`)
    yield* client.sql.unsafe(`create table ${schema}.a as select 1 as n`)
    assert.equal((yield* reasonOf(migrations.baseline(7n)))._tag, "UnknownVersion")
    assert.deepEqual(yield* migrations.baseline(1n), [1n])
    assert.deepEqual(yield* migrations.baseline(1n), [])
    assert.deepEqual(
      (yield* migrations.status).map(({ state }) => state),
      ["baseline", "pending"]
    )
    assert.equal((yield* migrations.verify).ok, true)
    yield* file("3_c.sql", "insert into app.a values (2);")
    assert.deepEqual(versions((yield* migrations.run).applied), [2, 3])
    assert.equal(yield* count("a"), 2)
  }),
  "a history that an older release made is read, and completed": Effect.gen(function* () {
    const { client, file, migrations, schema } = yield* two
    yield* migrations.run
    yield* client.sql.unsafe(`alter table ${schema}.schema_migrations drop column kind, drop column schema_after`)
    assert.deepEqual(
      (yield* migrations.status).map(({ state }) => state),
      ["applied", "applied"]
    )
    yield* file("3_c.sql", "create table app.c (n int);")
    assert.deepEqual(versions((yield* migrations.run).applied), [3])
    assert.equal((yield* migrations.verify).ok, true)
  }),
  "a program takes part in the transaction of its migration, and in one order with the files": Effect.gen(function* () {
    const { count, file, make, schema } = yield* ground()
    yield* file("1_a.sql", "create table app.a (n int);")
    yield* file("3_c.sql", "insert into app.a values (3);")
    const insert = (n: number) =>
      Effect.flatMap(SqlClient, (sql) => sql.unsafe(`insert into ${schema}.a values (${n})`))
    const nested = Effect.flatMap(SqlClient, (sql) => sql.withTransaction(insert(20)))
    const steps = (up: Effect.Effect<unknown, unknown, SqlClient>) =>
      make({ programs: [program({ version: 2n, name: "fill", revision: "1", up })] })
    const broken = steps(Effect.andThen(Effect.andThen(insert(2), nested), Effect.fail({ _tag: "NoMore" as const })))
    const reason = yield* reasonOf(broken.run)
    assert.ok(reason._tag === "StepFailed" && reason.version === 2n)
    assert.deepEqual(reason.cause, { _tag: "NoMore" })
    assert.equal(yield* count("a"), 0)
    const refused = yield* reasonOf(
      steps(
        Effect.andThen(
          insert(2),
          Effect.flatMap(SqlClient, (sql) => sql`selec`)
        )
      ).run
    )
    assert.ok(refused._tag === "StatementFailed" && refused.failure.reason._tag === "InvalidStatement")
    assert.equal(yield* count("a"), 0)
    const report = yield* steps(Effect.andThen(insert(2), nested)).run
    assert.deepEqual(versions(report.applied), [2, 3])
    assert.equal(yield* count("a"), 3)
    const other = make({ programs: [program({ version: 2n, name: "fill", revision: "2", up: Effect.void })] })
    assert.equal((yield* reasonOf(other.run))._tag, "ChecksumChanged")
    const twice = make({ programs: [program({ version: 1n, name: "again", revision: "1", up: Effect.void })] })
    assert.equal((yield* reasonOf(twice.plan))._tag, "FileInvalid")
  }),
  "a program that dies, throws or interrupts itself has failed like any other, and nothing of it is left": Effect.gen(
    function* () {
      const { count, exists, file, make, schema } = yield* ground()
      yield* file("1_a.sql", "create table app.a (n int);")
      const insert = Effect.flatMap(SqlClient, (sql) => sql.unsafe(`insert into ${schema}.a values (1)`))
      const odd = new Error("odd")
      const thrown = Effect.sync(() => {
        throw odd
      })
      for (const transaction of [true, false]) {
        const steps = (end: Effect.Effect<unknown>) =>
          make({
            programs: [
              program({ version: 2n, name: "fill", revision: "1", transaction, up: Effect.andThen(insert, end) })
            ]
          })
        for (const [end, told] of [
          [Effect.die(odd), /2_fill failed: odd/],
          [thrown, /2_fill failed: odd/],
          [Effect.interrupt, /2_fill failed: .*interrupt/]
        ] as const) {
          const reason = yield* reasonOf(steps(end).run)
          assert.ok(reason._tag === "StepFailed" && reason.version === 2n)
          assert.match(new MigrationError({ reason }).message, told)
        }
        if (transaction) assert.equal(yield* count("a"), 0)
      }
      // Whoever interrupts the run finds it interrupted.
      const started = yield* Deferred.make<void>()
      const up = Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
      const fiber = yield* Effect.forkChild(
        make({ programs: [program({ version: 2n, name: "fill", revision: "1", transaction: false, up })] }).run
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.ok(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* file("3_c.sql", "create table app.c (n int);")
      yield* make({ programs: [program({ version: 2n, name: "fill", revision: "1", transaction: false, up: insert })] })
        .run
      assert.equal(yield* exists("c"), true)
    }
  ),
  "a program without a transaction commits by itself, batch by batch": Effect.gen(function* () {
    const { count, file, make, schema } = yield* ground()
    yield* file("1_a.sql", "create table app.a (n int);")
    const batch = (n: number) =>
      Effect.flatMap(SqlClient, (sql) => sql.withTransaction(sql.unsafe(`insert into ${schema}.a values (${n})`)))
    const backfill = (last: Effect.Effect<void, string>) =>
      make({
        programs: [
          program({
            version: 2n,
            name: "backfill",
            revision: "1",
            transaction: false,
            up: Effect.andThen(Effect.andThen(batch(1), batch(2)), last)
          })
        ]
      })
    assert.equal((yield* reasonOf(backfill(Effect.fail("power cut")).run))._tag, "StepFailed")
    assert.equal(yield* count("a"), 2)
    assert.deepEqual(versions((yield* backfill(Effect.void).run).applied), [2])
    assert.equal(yield* count("a"), 4)
  }),
  "what a script sets in its session ends with it": Effect.gen(function* () {
    const { client, file, migrations } = yield* ground()
    const path = client.sql`select current_setting('search_path') as path, current_setting('lock_timeout') as lock`
    const before = yield* path
    yield* file(
      "1_dump.sql",
      "select pg_catalog.set_config('search_path', '', false);\nset lock_timeout = '9s';\ncreate table app.a (n int);"
    )
    yield* file("2_next.sql", "create table app.b as select current_setting('search_path') as path;")
    yield* migrations.run
    assert.deepEqual(yield* path, before)
  }),
  "what a program without a transaction sets in its session ends with it": Effect.gen(function* () {
    const { client, file, make, schema } = yield* ground()
    const role = `role_${crypto.randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(client.sql.unsafe(`create role ${role}`), () =>
      Effect.orDie(client.sql.unsafe(`drop role ${role}`))
    )
    const careless = program({
      version: 1n,
      name: "careless",
      revision: "1",
      transaction: false,
      up: Effect.flatMap(SqlClient, (sql) =>
        Effect.andThen(sql.unsafe("set work_mem = '9MB'"), sql.unsafe(`set role ${role}`))
      )
    })
    yield* file("2_next.sql", "create table app.b as select current_setting('work_mem') = '9MB' as leaked;")
    yield* make({ programs: [careless] }).run
    assert.deepEqual(yield* client.sql`select leaked from ${client.sql(schema)}.b`, [{ leaked: false }])
  }),
  "every step of whatever operation waits for locks, and takes, no longer than it may": Effect.gen(function* () {
    const { file, make } = yield* ground({ statementLockTimeout: "3 seconds", timeout: "70 seconds" })
    const limits = (set: string) => `
      do $$ begin
        if current_setting('lock_timeout') || current_setting('statement_timeout') <> '3s70s' then
          raise exception 'lock %, statement %', current_setting('lock_timeout'), current_setting('statement_timeout');
        end if;
      end $$;
      ${set}`
    const careless = limits("set lock_timeout = 0; set statement_timeout = 0;")
    yield* file("1_a.sql", careless, careless)
    yield* file("2_b.sql", careless, careless)
    yield* make().run
    yield* make().redo({ steps: 2 })
    yield* make().down({ steps: 2 })
    const parts = `${limits("")} vacuum app.t; ${limits("")}`
    yield* file("1_a.sql", `create table app.t (n int); ${parts}`, `${parts} drop table app.t;`, withoutTransaction)
    yield* make().run
    yield* make().redo({ steps: 2 })
    yield* make().down({ steps: 2 })
  }),
  "a limit longer than the server can keep is the longest that it can": Effect.gen(function* () {
    const { client, file, make, schema } = yield* ground({ timeout: "30 days" })
    yield* file("1_a.sql", "create table app.a as select current_setting('statement_timeout') as longest;")
    yield* make().run
    assert.deepEqual(yield* client.sql`select longest from ${client.sql(schema)}.a`, [{ longest: "2147483647ms" }])
  }),
  "a script that would end the engine's transaction is refused before any of it runs": Effect.gen(function* () {
    for (const statement of [
      "commit",
      "BEGIN",
      "rollback work",
      "end",
      "start transaction",
      "prepare transaction 'x'"
    ]) {
      const { exists, file, migrations } = yield* ground()
      yield* file("1_a.sql", `create table app.a (n int);\n${statement};`)
      const reason = yield* reasonOf(migrations.run)
      assert.ok(reason._tag === "StatementFailed")
      assert.deepEqual([reason.failure.statement?.text, reason.failure.reason._tag], [statement, "InvalidStatement"])
      assert.equal(yield* exists("a"), false)
    }
    const { exists, file, migrations } = yield* ground()
    yield* file(
      "1_a.sql",
      "create table app.a (n int);\nsavepoint s;\ncreate table app.b (n int);\nrollback to savepoint s;"
    )
    yield* migrations.run
    assert.deepEqual([yield* exists("a"), yield* exists("b")], [true, false])
  }),
  "a script that the server would not read as it is written is refused before any of it runs": Effect.gen(function* () {
    const { exists, file, make } = yield* ground()
    for (const [statement, text, told] of [
      ["\\connect other", "\\connect other", /line 3 is a command of psql/],
      ["select 1 \\gset\nselect 2;", "\\gset", /line 3 is a command of psql/],
      ["/* said\ncreate table app.b (n int);", "/* said", /comment that begins on line 3 has no end.*close it/],
      ["select 'a;\ncreate table app.b (n int);", "'a;", /string that begins on line 3 has no end/],
      ["select $x$ a;\n$$;", "$x$ a;", /string that begins on line 3 has no end/],
      ['select "a;', '"a;', /quoted name that begins on line 3 has no end/],
      ["copy app.a from stdin;\n1\n\\.", "\\.", /psql/],
      ["copy app.a (n) from stdin", undefined, /INSERT … VALUES/],
      ["copy (select 'x' from app.a) to stdout csv", undefined, /INSERT … VALUES/],
      ["set standard_conforming_strings = off", undefined, /E'…'/]
    ] as const) {
      for (const mark of ["", withoutTransaction]) {
        yield* file("1_a.sql", `create table app.a (n int);\n${statement}`, undefined, mark)
        const reason = yield* reasonOf(make().run)
        assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "InvalidStatement", statement)
        assert.match(reason.failure.message, told)
        if (text !== undefined) assert.equal(reason.failure.statement?.text, text)
        assert.equal(reason.failure.outcome, "not-applied")
        assert.equal(yield* exists("a"), false)
      }
    }
  }),
  "a script is read by one rule, whatever the session takes a backslash for": Effect.gen(function* () {
    const { client, file, migrations, schema } = yield* ground()
    const set = (to: "on" | "off") => client.sql`select set_config('standard_conforming_strings', ${to}, false)`
    yield* set("off")
    yield* file("1_a.sql", "create table app.a as select 'a\\' as t;\ninsert into app.a values ('\\');")
    yield* file(
      "2_b.sql",
      "set standard_conforming_strings = on; insert into app.a values ('b\\'); insert into app.a values (E'c\\' ;'\n  '\\'d');"
    )
    yield* Effect.ensuring(migrations.run, Effect.orDie(set("on")))
    assert.deepEqual(yield* client.sql`select t from ${client.sql(schema)}.a`, [
      { t: "a\\" },
      { t: "\\" },
      { t: "b\\" },
      { t: "c' ;'d" }
    ])
  }),
  "line ends of any kind end a comment, and hide no statement": Effect.gen(function* () {
    const { exists, file, migrations } = yield* ground()
    yield* file("1_crlf.sql", "create table app.a (n int); -- said\r\ncreate table app.b (n int);\r\n")
    yield* file("2_cr.sql", "-- said\rcreate table app.c (n int);\r-- said\rcreate table app.d (n int);")
    yield* migrations.run
    for (const table of ["a", "b", "c", "d"]) assert.equal(yield* exists(table), true, table)
  }),
  "progress is told while it runs": Effect.gen(function* () {
    const { file, migrations, progress } = yield* ground()
    yield* file("1_a.sql", "create table app.a (n int);\ninsert into app.a values (1);", "drop table app.a;")
    yield* migrations.run
    yield* migrations.down()
    assert.deepEqual(
      progress.map((event) => [
        event._tag,
        "direction" in event ? event.direction : "",
        event._tag === "StatementDone" ? event.statement : 0
      ]),
      [
        ["Started", "up", 0],
        ["StatementDone", "up", 1],
        ["StatementDone", "up", 2],
        ["Finished", "up", 0],
        ["Started", "down", 0],
        ["StatementDone", "down", 1],
        ["Finished", "down", 0]
      ]
    )
  }),
  "without a transaction a run that broke off goes on after its last statement": Effect.gen(function* () {
    const { count, exists, file, migrations } = yield* ground()
    yield* file("1_make.sql", "create table app.a (n int);")
    const broken = (end: string) =>
      file(
        "2_parts.sql",
        `insert into app.a values (1);\nvacuum app.a;\ncreate index concurrently i on app.a (n);\ninsert into app.a values (2);\n${end}`,
        undefined,
        withoutTransaction
      )
    yield* broken("selec 3;")
    const reason = yield* reasonOf(migrations.run)
    assert.ok(reason._tag === "StatementFailed" && reason.failure.statement?.text === "selec 3")
    assert.deepEqual([yield* count("a"), yield* exists("i")], [2, true])
    assert.deepEqual(
      (yield* migrations.status).map(({ state }) => state),
      ["applied", "unfinished"]
    )
    assert.deepEqual((yield* migrations.verify).unfinished, [2n])
    // What has not been done may be corrected.
    yield* broken("insert into app.a values (3);")
    assert.deepEqual(versions((yield* migrations.run).applied), [2])
    assert.equal(yield* count("a"), 3)
    assert.equal((yield* migrations.verify).ok, true)
  }),
  "a statement that only speaks of CONCURRENTLY is done once, whenever the run breaks off": Effect.gen(function* () {
    const { client, count, file, migrations, schema } = yield* ground()
    yield* file("1_make.sql", "create table app.a (t text);", undefined, withoutTransaction)
    yield* migrations.run
    const journal = `${schema}.schema_migrations_journal`
    yield* client.sql.unsafe(`create function ${schema}.break() returns trigger language plpgsql as
      $$ begin if new.done then raise exception 'power cut'; end if; return new; end $$`)
    yield* client.sql.unsafe(`create trigger break before insert or update on ${journal}
      for each row execute function ${schema}.break()`)
    yield* file(
      "2_fill.sql",
      "insert into app.a values ('jobs that run concurrently'); -- create index concurrently",
      undefined,
      withoutTransaction
    )
    assert.equal((yield* reasonOf(migrations.run))._tag, "StatementFailed")
    yield* client.sql.unsafe(`drop trigger break on ${journal}`)
    yield* migrations.run
    assert.equal(yield* count("a"), 1)
  }),
  "an index without a name is not built CONCURRENTLY, where a run that breaks off would leave it": Effect.gen(
    function* () {
      const { exists, file, make } = yield* ground()
      for (const statement of [
        "create index concurrently on app.a (n)",
        "CREATE UNIQUE INDEX /* on a */ CONCURRENTLY ON ONLY app.a (n)"
      ]) {
        yield* file("1_a.sql", `create table app.a (n int);\n${statement};`, undefined, withoutTransaction)
        const reason = yield* reasonOf(make().run)
        assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "InvalidStatement")
        assert.match(reason.failure.message, /CREATE INDEX CONCURRENTLY name ON/)
        assert.deepEqual([reason.failure.statement?.text.includes("(n)"), yield* exists("a")], [true, false])
      }
    }
  ),
  "what has been done of a migration that broke off may not be edited, unless it is forgotten": Effect.gen(
    function* () {
      const { count, file, migrations } = yield* ground()
      yield* file("1_make.sql", "create table app.a (n int);")
      yield* file("2_parts.sql", "insert into app.a values (1);\nselec 2;", undefined, withoutTransaction)
      yield* reasonOf(migrations.run)
      yield* file("2_parts.sql", "insert into app.a values (9);\nselect 2;", undefined, withoutTransaction)
      const reason = yield* reasonOf(migrations.run)
      assert.ok(reason._tag === "StatementFailed" && isStoreError(reason.failure))
      assert.match(reason.failure.message, /edited after it had been done/)
      assert.equal(yield* count("a"), 1)
      assert.deepEqual((yield* migrations.repair({ forgetUnfinished: true })).abandoned, [2n])
      yield* migrations.run
      assert.equal(yield* count("a"), 2)
    }
  ),
  "a migration that is undone in part is not up to date: who would run says so, and down goes on": Effect.gen(
    function* () {
      const { exists, file, migrations, remove } = yield* ground()
      const half = (rest: string) =>
        file(
          "2_half.sql",
          "create table app.a (n int);\ncreate table app.b (n int);",
          `drop table app.a;\n${rest}`,
          withoutTransaction
        )
      yield* file("1_make.sql", "select 1;")
      yield* half("selec 1;")
      yield* migrations.run
      assert.equal((yield* reasonOf(migrations.down()))._tag, "StatementFailed")
      assert.deepEqual([yield* exists("a"), yield* exists("b")], [false, true])
      yield* file("3_next.sql", "create table app.next (n int);")
      const { plan, run } = migrations
      for (const refusing of [Effect.asVoid(run), Effect.asVoid(plan), Effect.asVoid(Migrations.dryRun(migrations))]) {
        const reason = yield* reasonOf(refusing)
        assert.deepEqual({ ...reason }, { _tag: "HalfUndone", version: 2n, name: "half", done: 1 })
        assert.match(new MigrationError({ reason }).message, /2_half is undone only in part.*down.*repair/)
      }
      assert.equal(yield* exists("next"), false)
      assert.deepEqual(
        (yield* migrations.status).map(({ state }) => state),
        ["applied", "half-undone", "pending"]
      )
      const { ok, problems, unfinished } = yield* migrations.verify
      assert.deepEqual([ok, problems.map(({ _tag }) => _tag), unfinished], [false, ["HalfUndone"], [2n]])
      // Nor does an older program take the schema for whole.
      yield* remove("3_next.sql")
      yield* remove("2_half.sql")
      assert.equal((yield* reasonOf(migrations.run))._tag, "HalfUndone")
      // The part that failed is corrected, and taken for right.
      yield* half("drop table app.b;")
      assert.deepEqual((yield* migrations.repair()).realigned, [2n])
      assert.equal((yield* reasonOf(migrations.run))._tag, "HalfUndone")
      assert.deepEqual(versions(yield* migrations.down()), [2])
      assert.deepEqual(versions((yield* migrations.run).applied), [2])
      assert.equal((yield* migrations.verify).ok, true)
    }
  ),
  "what was undone in part may be put back by hand, or its row forgotten": Effect.gen(function* () {
    const { client, exists, file, migrations, remove, schema } = yield* ground()
    const half = file("1_half.sql", "create table app.a (n int);", "drop table app.a;\nselec 1;", withoutTransaction)
    yield* half
    yield* migrations.run
    yield* reasonOf(migrations.down())
    yield* client.sql.unsafe(`create table ${schema}.a (n int)`)
    assert.deepEqual((yield* migrations.repair({ forgetUnfinished: true })).abandoned, [1n])
    assert.deepEqual(versions((yield* migrations.run).applied), [])
    assert.equal((yield* migrations.verify).ok, true)
    yield* reasonOf(migrations.down())
    yield* file("2_next.sql", "select 1;")
    yield* remove("1_half.sql")
    assert.deepEqual((yield* migrations.repair({ forgetMissing: true })).forgotten, [1n])
    assert.deepEqual((yield* migrations.verify).unfinished, [])
    yield* half
    assert.deepEqual(versions((yield* migrations.run).applied), [1, 2])
    assert.deepEqual([yield* exists("a"), (yield* migrations.verify).ok], [true, true])
  }),
  "a program without a transaction that broke off on its way down is undone only in part": Effect.gen(function* () {
    const { make } = yield* ground()
    const steps = (down: Effect.Effect<void, string>) =>
      make({
        programs: [program({ version: 1n, name: "fill", revision: "1", transaction: false, up: Effect.void, down })]
      })
    yield* steps(Effect.void).run
    assert.equal((yield* reasonOf(steps(Effect.fail("power cut")).down()))._tag, "StepFailed")
    assert.equal((yield* reasonOf(steps(Effect.void).run))._tag, "HalfUndone")
    assert.deepEqual(versions(yield* steps(Effect.void).down()), [1])
    assert.deepEqual(versions((yield* steps(Effect.void).run).applied), [1])
  }),
  "a migration that broke off without a transaction is not begun anew because its mark is gone": Effect.gen(
    function* () {
      const { count, file, migrations } = yield* ground()
      yield* file("1_make.sql", "create table app.a (n int);")
      yield* file("2_parts.sql", "insert into app.a values (1);\nselec 2;", undefined, withoutTransaction)
      yield* reasonOf(migrations.run)
      yield* file("2_parts.sql", "insert into app.a values (1);\nselect 2;")
      const reason = yield* reasonOf(migrations.run)
      assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "InvalidStatement")
      assert.equal(reason.failure.outcome, "not-applied")
      assert.match(reason.failure.message, /transaction:false.*forgetUnfinished/)
      assert.equal(yield* count("a"), 1)
      yield* file("2_parts.sql", "insert into app.a values (1);\nselect 2;", undefined, withoutTransaction)
      assert.deepEqual(versions((yield* migrations.run).applied), [2])
      assert.equal(yield* count("a"), 1)
      // Who knows that it may be done twice says so.
      yield* file("3_again.sql", "insert into app.a values (3);\nselec 2;", undefined, withoutTransaction)
      yield* reasonOf(migrations.run)
      yield* file("3_again.sql", "insert into app.a values (3);")
      yield* reasonOf(migrations.run)
      yield* migrations.repair({ forgetUnfinished: true })
      yield* migrations.run
      assert.equal(yield* count("a"), 3)
    }
  ),
  "what has been done of a migration that broke off may not be left out of its file": Effect.gen(function* () {
    const { file, migrations } = yield* ground()
    yield* file("1_parts.sql", "create table app.a (n int);\nselect 1;\nselec 2;", undefined, withoutTransaction)
    yield* reasonOf(migrations.run)
    yield* file("1_parts.sql", "create table app.a (n int);", undefined, withoutTransaction)
    const reason = yield* reasonOf(migrations.run)
    assert.ok(reason._tag === "StatementFailed")
    assert.match(reason.failure.message, /statement 2 was edited after it had been done/)
  }),
  "a run that goes on finds the session as the statements before it had left it": Effect.gen(function* () {
    const { client, exists, file, migrations, schema } = yield* ground()
    yield* file(
      "1_parts.sql",
      `create table app.seen (path text, memory text, cost text);
      select pg_catalog.set_config('search_path', '${schema}', false);
      /* of its own */ set search_path = ${schema}, public;
      set work_mem = '9MB';
      set random_page_cost = 7;
      reset work_mem;
      prepare one as select 1;
      insert into gate values (1);
      create table later (n int);
      insert into seen select current_setting('search_path'), current_setting('work_mem'), current_setting('random_page_cost');
      execute one;`,
      undefined,
      withoutTransaction
    )
    const reason = yield* reasonOf(migrations.run)
    assert.ok(reason._tag === "StatementFailed")
    assert.match(reason.failure.message, /gate/)
    yield* client.sql`create table ${client.sql(schema)}.gate (n int)`
    yield* migrations.run
    assert.equal(yield* exists("later"), true)
    const seen = yield* client.sql`select path, memory = '9MB' as memory, cost from ${client.sql(schema)}.seen`
    assert.deepEqual(seen, [{ path: `${schema}, public`, memory: false, cost: "7" }])
  }),
  "what is gone with the session of a run that broke off is not taken for there": Effect.gen(function* () {
    const { client, exists, file, migrations, schema } = yield* ground()
    const parts = `create table app.a (n int);
      create temp table ids as select 1 as n;
      insert into app.gate select n from ids;
      drop table ids;`
    yield* file("1_parts.sql", parts, undefined, withoutTransaction)
    yield* reasonOf(migrations.run)
    yield* client.sql`create table ${client.sql(schema)}.gate (n int)`
    const reason = yield* reasonOf(migrations.run)
    assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "InvalidStatement")
    assert.equal(reason.failure.outcome, "not-applied")
    assert.equal(reason.failure.statement?.text, "create temp table ids as select 1 as n")
    assert.match(reason.failure.message, /statement 2 .*session.*forgetUnfinished/)
    yield* client.sql`drop table ${client.sql(schema)}.a`
    yield* migrations.repair({ forgetUnfinished: true })
    yield* migrations.run
    assert.deepEqual([yield* exists("a"), yield* exists("gate")], [true, true])
  }),
  "a script may take another role, and what it has done is entered all the same": Effect.gen(function* () {
    const { client, count, file, migrations, schema } = yield* ground()
    const role = `role_${crypto.randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(client.sql.unsafe(`create role ${role}`), () =>
      Effect.orDie(
        Effect.andThen(client.sql.unsafe(`drop owned by ${role} cascade`), client.sql.unsafe(`drop role ${role}`))
      )
    )
    yield* client.sql.unsafe(`create schema ${schema}_own authorization ${role}`)
    const own = (table: string) => `set role ${role};
      create table ${schema}_own.${table} (n int);
      insert into ${schema}_own.${table} values (1);`
    yield* file("1_whole.sql", own("a"))
    yield* file(
      "2_parts.sql",
      `${own("b")}\ncreate index concurrently i on ${schema}_own.b (n);`,
      undefined,
      withoutTransaction
    )
    yield* file("3_back.sql", `${own("c")}\nreset role;\ncreate table app.d (n int);`, undefined, withoutTransaction)
    yield* file(
      "4_again.sql",
      `${own("e")}\ninsert into ${schema}_own.gate values (1);\ncreate table ${schema}_own.f (n int);\nreset role;\ncreate table app.g (n int);\ninsert into app.later values (1);\ncreate table app.h (n int);`,
      undefined,
      withoutTransaction
    )
    const failureOf = Effect.map(reasonOf(migrations.run), (reason) =>
      reason._tag === "StatementFailed" ? reason.failure.message : ""
    )
    assert.match(yield* failureOf, /gate/)
    yield* client.sql.unsafe(`create table ${schema}_own.gate (n int)`)
    yield* client.sql.unsafe(`grant insert on ${schema}_own.gate to ${role}`)
    assert.match(yield* failureOf, /later/)
    yield* client.sql.unsafe(`create table ${schema}.later (n int)`)
    yield* migrations.run
    assert.deepEqual([yield* count("d"), yield* count("g"), yield* count("h")], [0, 0, 0])
    const owned = yield* client.sql`select tablename as name from pg_tables
      where schemaname = ${`${schema}_own`} and tableowner = ${role} order by 1`
    assert.deepEqual(
      owned.map(({ name }) => name),
      ["a", "b", "c", "e", "f"]
    )
  }),
  "a script without a transaction that would be another user is refused before anything runs": Effect.gen(function* () {
    const { exists, file, make } = yield* ground()
    for (const text of [
      "set session authorization pg_monitor",
      "SET LOCAL SESSION AUTHORIZATION 'pg_monitor'",
      "set session_authorization = pg_monitor"
    ]) {
      yield* file("1_parts.sql", `create table app.a (n int);\n${text};`, undefined, withoutTransaction)
      const reason = yield* reasonOf(make().run)
      assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "InvalidStatement", text)
      assert.deepEqual([reason.failure.outcome, reason.failure.statement?.text], ["not-applied", text])
      assert.match(reason.failure.message, /SET ROLE/)
      assert.equal(yield* exists("a"), false)
    }
    yield* file(
      "1_parts.sql",
      "set session authorization default;\nreset session authorization;\ncreate table app.a (n int);",
      undefined,
      withoutTransaction
    )
    yield* make().run
    assert.equal(yield* exists("a"), true)
  }),
  "two namespaces of one database know nothing of each other": Effect.gen(function* () {
    const first = yield* two
    const second = yield* two
    yield* first.migrations.run
    assert.equal((yield* second.migrations.plan).pending.length, 2)
    yield* second.migrations.run
    yield* first.migrations.down({ steps: 2 })
    assert.equal((yield* second.migrations.verify).ok, true)
  })
}

const suite = (layer: Layer.Layer<PostgresTags, unknown>) => (title: string) =>
  it.layer(Layer.merge(layer, quiet), { excludeTestServices: true, timeout: "1 minute" })(title, (it) => {
    for (const [name, test] of Object.entries(tests)) it.effect(name, () => test)
  })

describe("what can be done with migrations, embedded", () => {
  suite(PostgresEmbedded.layer())("embedded")
})

describeLive("postgresql", "what can be done with migrations, on a server", () => {
  suite(server())("live")
})
