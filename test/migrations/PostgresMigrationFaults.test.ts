import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import * as assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { isStoreError } from "../../src/core/StoreError.ts"
import { within } from "../../src/core/Deadline.ts"
import { MigrationError } from "../../src/migrations/MigrationError.ts"
import { program } from "../../src/migrations/Program.ts"
import * as PostgresBackup from "../../src/postgres/migrations/PostgresBackup.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { untilIdle, untilLocked } from "../postgres/activity.ts"
import { describeLive, describeOwned, freshPostgres, type OwnServer, ownServer } from "../servers/index.ts"
import { ground, quiet, reasonOf, server, temporaryFolder, withoutTransaction } from "./support.ts"

const run = promisify(execFile)
/** A transaction that has run this statement, and is open until it is told to end. */
const holdingOpen = (sql: PostgresClient.PostgresClient["Service"]["sql"], statement: string) =>
  Effect.gen(function* () {
    const [holds, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const held = yield* Effect.forkChild(
      sql.withTransaction(
        sql
          .unsafe(statement)
          .pipe(Effect.andThen(Deferred.succeed(holds, undefined)), Effect.andThen(Deferred.await(go)))
      )
    )
    yield* Deferred.await(holds)
    return { held, end: Effect.andThen(Deferred.succeed(go, undefined), Fiber.join(held)) }
  })

const soak = process.env.TEST_SOAK === "1"
const processes = soak ? 20 : 6

describeOwned("postgresql", "migrations on a server that is killed", () => {
  const connect = (url: string) =>
    PostgresClient.layer({
      url: Redacted.make(url),
      maxConnections: 3,
      minConnections: 0,
      connectTimeout: "20 seconds"
    })

  /** Runs two files, killing the server as the nth progress is told; then once more on the server that is back. */
  const killedAt = (owned: OwnServer, nth: number, mark: string) =>
    Effect.gen(function* () {
      const schema = `app_${nth}`
      let told = 0
      const killing = Effect.suspend(() => (++told === nth ? owned.kill : Effect.void))
      const folder = yield* Effect.gen(function* () {
        const { file, folder, make } = yield* ground({ schema })
        yield* file("1_base.sql", "create table app.base (n int);")
        yield* file(
          "2_parts.sql",
          `create table app.a (n int);
          insert into app.a values (1);
          create index ${mark === "" ? "" : "concurrently"} i on app.a (n);
          insert into app.a values (2);`,
          undefined,
          mark
        )
        yield* Effect.exit(make({ onProgress: () => killing, timeout: "20 seconds" }).run)
        return folder
      }).pipe(Effect.provide(connect(owned.url), { local: true }))
      assert.ok(told >= nth)
      yield* owned.restart
      return yield* Effect.gen(function* () {
        const { count, exists, make } = yield* ground({ schema })
        const [parts, index] = [yield* exists("a"), yield* exists("i")]
        const rows = parts ? yield* count("a") : 0
        const migrations = make({ folder })
        const states = (yield* migrations.status).map(({ state }) => state)
        yield* migrations.run
        const verified = yield* migrations.verify
        return { parts, index, rows, states, after: yield* count("a"), ok: verified.ok }
      }).pipe(Effect.provide(connect(owned.url), { local: true }))
    })

  // Told are: 1_base begins, its statement, its end; 2_parts begins (4), its statements (5 to 8), its end (9).
  it.live(
    "kill -9 at every statement boundary: all of a migration or nothing, and the next run completes it",
    () =>
      Effect.gen(function* () {
        const owned = yield* ownServer("postgresql")
        for (const nth of soak ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : [3, 6, 8, 9]) {
          const { after, index, ok, parts, rows, states } = yield* killedAt(owned, nth, "")
          const whole = nth === 9
          assert.deepEqual([parts, index, rows], whole ? [true, true, 2] : [false, false, 0], `killed at ${nth}`)
          assert.deepEqual(
            states,
            whole ? ["applied", "applied"] : nth < 3 ? ["pending", "pending"] : ["applied", "pending"],
            `killed at ${nth}`
          )
          assert.deepEqual([after, ok], [2, true], `killed at ${nth}`)
        }
      }).pipe(Effect.provide(quiet)),
    120_000
  )

  it.live(
    "kill -9 at every statement boundary without a transaction: the rerun resumes and repeats nothing",
    () =>
      Effect.gen(function* () {
        const owned = yield* ownServer("postgresql")
        for (const nth of soak ? [4, 5, 6, 7, 8] : [5, 7]) {
          const { after, index, ok, rows, states } = yield* killedAt(owned, nth, withoutTransaction)
          assert.deepEqual([rows, index], [nth < 6 ? 0 : nth < 8 ? 1 : 2, nth > 6], `killed at ${nth}`)
          assert.equal(states[1], nth === 4 ? "pending" : "unfinished", `killed at ${nth}`)
          assert.deepEqual([after, ok], [2, true], `killed at ${nth}`)
        }
      }).pipe(Effect.provide(quiet)),
    120_000
  )
})

describeOwned("postgresql", "migrations on a server that falls silent", () => {
  it.live(
    "a server that hangs in a migration: the run ends by its timeout, not by the statement's, and goes on afterwards",
    () =>
      Effect.gen(function* () {
        const owned = yield* ownServer("postgresql")
        yield* Effect.gen(function* () {
          const { exists, file, make } = yield* ground()
          yield* file("1_a.sql", "create table app.a (n int);\nselect 1;")
          const freezing = { onProgress: () => owned.pause, timeout: "1 second" } as const
          const reason = yield* reasonOf(make(freezing).run)
          assert.ok(reason._tag === "RunTimedOut" && reason.during === "1_a")
          yield* owned.resume
          assert.equal(yield* exists("a"), false)
          assert.equal((yield* make().run).applied.length, 1)
        }).pipe(
          Effect.provide(
            PostgresClient.layer({
              url: Redacted.make(owned.url),
              maxConnections: 2,
              minConnections: 0,
              statementTimeout: "10 minutes"
            })
          )
        )
      }).pipe(Effect.provide(quiet)),
    60_000
  )
})

describeLive("postgresql", "migrations and their faults", () => {
  it.live(
    "many processes migrate at once, CONCURRENTLY included: one applies, none deadlocks",
    () =>
      Effect.gen(function* () {
        const url = yield* freshPostgres
        yield* Effect.gen(function* () {
          const { count, file, folder, migrations, schema } = yield* ground()
          // Holds the lock until everybody else waits for it, so that all of them wait while the index is built.
          yield* file(
            "1_make.sql",
            `create table app.a (n int);
            insert into app.a select generate_series(1, 1000);
            do $$ begin
              for i in 1..2000 loop
                exit when (select count(*) from pg_stat_activity
                  where datname = current_database() and application_name = 'worker') >= ${processes};
                perform pg_stat_clear_snapshot(), pg_sleep(0.05);
              end loop;
              perform pg_sleep(0.5);
            end $$;`
          )
          yield* file("2_index.sql", "create index concurrently i on app.a (n);", undefined, withoutTransaction)
          yield* file("3_fill.sql", "insert into app.a select 1 from pg_sleep(0.2);")
          const named = new URL(url)
          named.searchParams.set("application_name", "worker")
          const worker = fileURLToPath(new URL("./worker.ts", import.meta.url))
          const started = Array.from({ length: processes }, () =>
            Effect.promise(() =>
              run(process.execPath, ["--conditions=@ai-core/source", worker, named.href, folder, schema], {
                timeout: 150_000
              })
            )
          )
          const outputs = yield* Effect.all(started, { concurrency: "unbounded" })
          const applied = outputs.map(({ stdout }) => Number(/applied (\d)/.exec(stdout)?.[1]))
          assert.deepEqual(applied.sort(), [...Array<number>(processes - 1).fill(0), 3])
          assert.equal(yield* count("a"), 1001)
          assert.equal((yield* migrations.verify).ok, true)
        }).pipe(Effect.provide(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0 })))
      }).pipe(Effect.provide(quiet)),
    180_000
  )

  it.layer(Layer.merge(server(), quiet), { excludeTestServices: true, timeout: "1 minute" })("on one server", (it) => {
    it.effect("a broken CREATE INDEX CONCURRENTLY leaves an invalid index, which the next run clears away", () =>
      Effect.gen(function* () {
        const { client, file, migrations, progress, schema } = yield* ground()
        const { sql } = client
        yield* file("1_make.sql", "create table app.a (n int);")
        yield* migrations.run
        yield* file(
          "2_index.sql",
          'create index concurrently if not exists "I;x" on app.a (n);',
          undefined,
          withoutTransaction
        )
        // An old transaction that has written to the table keeps the index from being completed.
        const { held: holding } = yield* holdingOpen(sql, `insert into ${schema}.a values (1)`)
        const running = yield* Effect.forkChild(Effect.exit(migrations.run))
        const building = sql<{ readonly pid: number }>`select pid from pg_stat_activity
          where datname = current_database() and query like 'create index concurrently%' and wait_event_type = 'Lock'`
        let pid: number | undefined
        while (pid === undefined) {
          pid = (yield* building)[0]?.pid
          yield* Effect.sleep("20 millis")
        }
        yield* sql`select pg_terminate_backend(${pid}::int)`
        assert.ok(Exit.isFailure(yield* Fiber.join(running)))
        yield* Fiber.interrupt(holding)
        const valid = sql<{ readonly indisvalid: boolean }>`select indisvalid from pg_index
          where indrelid = ${`${schema}.a`}::regclass`
        assert.deepEqual(yield* valid, [{ indisvalid: false }])
        assert.equal((yield* migrations.run).applied.length, 1)
        assert.deepEqual(yield* valid, [{ indisvalid: true }])
        assert.ok(progress.some((event) => event._tag === "Cleared" && event.object.includes("I;x")))
      })
    )

    it.effect("an index that was completed in the moment of the crash is not built again", () =>
      Effect.gen(function* () {
        const { client, file, migrations, progress, schema } = yield* ground()
        yield* file("1_make.sql", "create table app.a (n int);")
        yield* file("2_index.sql", "create index concurrently i on app.a (n);\nselec 1;", undefined, withoutTransaction)
        yield* reasonOf(migrations.run)
        // As if it had ended between the index and its entry.
        yield* client.sql.unsafe(`update ${schema}.schema_migrations_journal set done = false where statement = 1`)
        yield* file(
          "2_index.sql",
          "create index concurrently i on app.a (n);\nselect 1;",
          undefined,
          withoutTransaction
        )
        assert.equal((yield* migrations.run).applied.length, 1)
        assert.ok(!progress.some(({ _tag }) => _tag === "Cleared"))
        yield* file("3_drop.sql", `drop index concurrently app.i;\nselec 1;`, undefined, withoutTransaction)
        yield* reasonOf(migrations.run)
        yield* client.sql.unsafe(`update ${schema}.schema_migrations_journal set done = false where statement = 1`)
        yield* file("3_drop.sql", `drop index concurrently app.i;\nselect 1;`, undefined, withoutTransaction)
        assert.equal((yield* migrations.run).applied.length, 1)
      })
    )

    it.effect(
      "a statement does not wait long for a lock: the migration is undone, and tried again until it is free",
      () =>
        Effect.gen(function* () {
          const { client, count, file, make, progress, schema } = yield* ground({ statementLockTimeout: "100 millis" })
          const { sql } = client
          yield* file("1_make.sql", "create table app.a (n int);\ncreate table app.log (n int);")
          yield* make().run
          yield* file("2_alter.sql", "insert into app.log values (1);\nalter table app.a add column m int;")
          const locked = yield* holdingOpen(sql, `select * from ${schema}.a`)
          // Readers come through between two attempts, where an unlimited wait would hold them up behind itself.
          const running = yield* Effect.forkChild(make().run)
          while (!progress.some(({ _tag }) => _tag === "LockBusy")) yield* Effect.sleep("10 millis")
          assert.equal(yield* count("a"), 0)
          yield* locked.end
          assert.equal((yield* Fiber.join(running)).applied.length, 1)
          assert.equal(yield* count("log"), 1)
          assert.deepEqual(yield* sql`select current_setting('lock_timeout') as lock`, [{ lock: "0" }])
        })
    )

    it.effect("what waits beside others waits on, whatever limit a statement before it had", () =>
      Effect.gen(function* () {
        const { client, file, make, schema } = yield* ground({ statementLockTimeout: "100 millis" })
        const { sql } = client
        yield* file("1_make.sql", "create table app.a (n int);")
        yield* make().run
        yield* file(
          "2_index.sql",
          "vacuum app.a;\ncreate index concurrently i on app.a (n);",
          undefined,
          withoutTransaction
        )
        const locked = yield* holdingOpen(sql, `insert into ${schema}.a values (1)`)
        const running = yield* Effect.forkChild(make().run)
        yield* untilLocked(sql)
        // Longer than a statement may wait that does not wait beside others.
        yield* Effect.sleep("500 millis")
        yield* locked.end
        assert.equal((yield* Fiber.join(running)).applied.length, 1)
      })
    )

    it.effect("a migration may take as long as it is given, whatever the client gives its own statements", () =>
      Effect.gen(function* () {
        const { client, file, make } = yield* ground()
        yield* file("1_slow.sql", "create table app.a (n int);\nselect pg_sleep(3);")
        yield* file("2_slow.sql", "select pg_sleep(3);\nvacuum app.a;", undefined, withoutTransaction)
        assert.equal((yield* make().run).applied.length, 2)
        // The connection goes back as it came.
        const { sql } = client
        assert.deepEqual(yield* sql`select current_setting('statement_timeout') as longest`, [{ longest: "1s" }])
        const error = yield* Effect.flip(
          client.query({ operation: "Test.slow", kind: "read" }, sql`select pg_sleep(3)`)
        )
        assert.equal(error.reason._tag, "Timeout")
        yield* file("3_slow.sql", "select pg_sleep(20);")
        const reason = yield* reasonOf(make({ timeout: "500 millis" }).run)
        assert.equal(reason._tag, "RunTimedOut")
      }).pipe(Effect.provide(server({ maxConnections: 1, statementTimeout: "1 second" }), { local: true }))
    )

    it.effect("a run that takes too long is ended, on the server too, and says what it was at", () =>
      Effect.gen(function* () {
        const { client, count, exists, file, make } = yield* ground()
        yield* file("1_make.sql", "create table app.a (n int);")
        yield* file("2_slow.sql", "create table app.b (n int);\nselect pg_sleep(20);")
        const reason = yield* reasonOf(make({ timeout: "500 millis" }).run)
        assert.ok(reason._tag === "RunTimedOut")
        assert.equal(reason.during, "2_slow")
        assert.deepEqual([yield* count("a"), yield* exists("b")], [0, false])
        yield* untilIdle(client.sql)
        yield* file("2_slow.sql", "create table app.b (n int);")
        assert.equal((yield* make().run).applied.length, 1)
      })
    )

    it.effect("a run whose deadline passes between two statements gives the lock back all the same", () =>
      Effect.gen(function* () {
        const { client, make } = yield* ground()
        const sleep = program({ version: 1n, name: "sleep", revision: "1", up: Effect.sleep("400 millis") })
        const reason = yield* reasonOf(within("200 millis")(make({ programs: [sleep] }).run))
        assert.ok(reason._tag === "StatementFailed" && reason.failure.reason._tag === "Timeout")
        assert.deepEqual(
          yield* client.sql`select l.pid from pg_locks l join pg_stat_activity a using (pid)
            where l.locktype = 'advisory' and a.datname = current_database()`,
          []
        )
        assert.equal((yield* make({ programs: [sleep] }).run).applied.length, 1)
      })
    )

    it.effect("a session that had not locked what it unlocks is told: LeaseLost", () =>
      Effect.gen(function* () {
        const { file, migrations } = yield* ground()
        // What a pooler in transaction mode does to a session's lock.
        yield* file("1_a.sql", "select pg_advisory_unlock_all();")
        const error = yield* Effect.flip(migrations.run)
        assert.ok(isStoreError(error))
        assert.deepEqual([error.reason._tag, error.outcome], ["LeaseLost", "unknown"])
        assert.match(error.message, /DB_MIGRATION_URL/)
      })
    )
  })
})

/** Stand-ins for pg_dump and pg_restore. */
const stubs = (scripts: Record<string, string>) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    for (const [name, script] of Object.entries(scripts)) {
      yield* Effect.promise(() => writeFile(join(folder, name), `#!/bin/sh\n${script}\n`))
      yield* Effect.promise(() => chmod(join(folder, name), 0o755))
    }
    return folder
  })

const installed = await run("pg_restore", ["--version"]).then(
  () => true,
  () => false
)

describeLive("postgresql", "backups before migrating", () => {
  it.layer(Layer.merge(server(), quiet), { excludeTestServices: true, timeout: "1 minute" })("on one server", (it) => {
    const secret = "p%40ss word".replace(" ", "%20")
    const backedUp = (programs: string) =>
      Effect.gen(function* () {
        const backups = yield* temporaryFolder
        const url = Redacted.make(`postgresql://ann:${secret}@127.0.0.1:1/app?application_name=x`)
        const made = yield* ground({
          backup: PostgresBackup.make({ url, folder: join(backups, "kept"), programs })
        })
        yield* made.file("1_make.sql", "create table app.a (n int);", "drop table app.a;")
        return { ...made, backups: join(backups, "kept") }
      })
    const failing: Record<string, readonly [scripts: Record<string, string>, told: RegExp]> = {
      "backup fails, nothing is migrated: pg_dump is not installed": [
        {},
        /pg_dump is not installed.*Install PostgreSQL's client programs.*DB_BACKUP_BEFORE/
      ],
      "backup fails, nothing is migrated: pg_dump says why": [
        { pg_dump: "echo 'server version mismatch' >&2; exit 1" },
        /server version mismatch/
      ],
      "backup fails, nothing is migrated: what was written cannot be read": [
        { pg_dump: "exit 0", pg_restore: "echo 'not an archive' >&2; exit 1" },
        /not an archive/
      ],
      "backup fails, nothing is migrated: what was written is empty": [
        { pg_dump: "exit 0", pg_restore: "echo '; nothing'" },
        /holds nothing/
      ]
    }
    for (const [name, [scripts, told]] of Object.entries(failing)) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const { backups, exists, file, migrations } = yield* backedUp(yield* stubs(scripts))
          // There is nothing to back up yet.
          const first = yield* migrations.run
          assert.deepEqual([first.applied.length, first.backup], [1, undefined])
          yield* file("2_more.sql", "create table app.b (n int);")
          const error = yield* Effect.flip(migrations.run)
          assert.ok(error instanceof MigrationError && error.reason._tag === "BackupFailed")
          assert.match(error.message, told)
          assert.ok(!error.message.includes("ss word"))
          assert.equal(yield* exists("b"), false)
          assert.deepEqual(yield* Effect.promise(() => readdir(backups)), [])
          yield* Effect.flip(migrations.down())
          assert.equal(yield* exists("a"), true)
        })
      )
    }

    it.effect("the password is in no argument, and the file is its owner's alone", () =>
      Effect.gen(function* () {
        const seen = yield* temporaryFolder
        const programs = yield* stubs({
          pg_dump: `echo "$@" > ${seen}/args; printf %s "$PGPASSWORD" > ${seen}/password`,
          pg_restore: "echo '1; 2 3 TABLE'"
        })
        const { file, migrations, progress, schema } = yield* backedUp(programs)
        yield* migrations.run
        yield* file("2_more.sql", "create table app.b (n int);")
        const { backup } = yield* migrations.run
        assert.ok(backup !== undefined)
        assert.equal((yield* Effect.promise(() => stat(backup))).mode & 0o777, 0o600)
        const args = yield* Effect.promise(() => readFile(join(seen, "args"), "utf8"))
        assert.match(
          args,
          /--format=custom .*--schema="app_\d+" --dbname=postgresql:\/\/\?host=127\.0\.0\.1&port=1&user=ann&dbname=app&/
        )
        assert.ok(args.includes(schema) && !args.includes("ss%20word"))
        assert.equal(yield* Effect.promise(() => readFile(join(seen, "password"), "utf8")), "p@ss word")
        assert.ok(progress.some((event) => event._tag === "BackedUp" && event.file === backup))
        // Nothing pending, nothing backed up.
        assert.equal((yield* migrations.run).backup, undefined)
      })
    )
  })

  describe.skipIf(!installed)("by pg_dump itself", () => {
    it.live("holds what was there before, and can be restored", () =>
      Effect.gen(function* () {
        const url = yield* freshPostgres
        const folder = yield* temporaryFolder
        yield* Effect.gen(function* () {
          const { client, count, exists, file, migrations, schema } = yield* ground({
            backup: PostgresBackup.make({ url: Redacted.make(url), folder })
          })
          yield* file("1_make.sql", "create table app.a (n int);\ninsert into app.a values (1), (2);")
          yield* migrations.run
          yield* file("2_drop.sql", "drop table app.a;")
          const { backup } = yield* migrations.run
          assert.ok(backup !== undefined)
          assert.equal((yield* Effect.promise(() => stat(backup))).mode & 0o777, 0o600)
          assert.equal(yield* exists("a"), false)
          yield* client.sql.unsafe(`drop schema ${schema} cascade`)
          yield* Effect.promise(() => run("pg_restore", [`--dbname=${url}`, backup]))
          assert.equal(yield* count("a"), 2)
          assert.deepEqual(
            (yield* migrations.status).map(({ state }) => state),
            ["applied", "pending"]
          )
        }).pipe(Effect.provide(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0 })))
      }).pipe(Effect.provide(quiet))
    )
  })
})
