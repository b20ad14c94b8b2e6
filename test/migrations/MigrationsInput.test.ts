import { describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as assert from "node:assert/strict"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { Migration } from "../../src/core/MigrationDriver.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import { MigrationError } from "../../src/migrations/MigrationError.ts"
import * as Migrations from "../../src/migrations/Migrations.ts"
import { program } from "../../src/migrations/Program.ts"
import * as PostgresBackup from "../../src/postgres/migrations/PostgresBackup.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresMigrations from "../../src/postgres/PostgresMigrations.ts"
import { ground, quiet, reasonOf, temporaryFolder } from "./support.ts"

/** A value that the types forbid, as a program without types may give it. */
const untyped = (value: unknown): never => value as never

/** Which fields were refused, each with what it must be; whatever else a call fails with is a defect. */
const refusalOf = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(call), (error) => {
    assert.ok(isStoreError(error) && error.reason._tag === "InvalidData", String(error))
    assert.equal(error.outcome, "not-applied")
    return error.reason.problems.map(({ field, problem }) => `${field} ${problem}`).join("; ")
  })

const three = Effect.gen(function* () {
  const made = yield* ground()
  for (const [i, table] of ["a", "b", "c"].entries()) {
    yield* made.file(`${i + 1}_${table}.sql`, `create table app.${table} (n int);`, `drop table app.${table};`)
  }
  yield* made.migrations.run
  const applied = Effect.map(made.migrations.status, (rows) =>
    rows.flatMap(({ state, version }) => (state === "applied" ? [Number(version)] : []))
  )
  return { ...made, applied }
})

describe("what is asked of migrations", () => {
  it.layer(Layer.merge(PostgresEmbedded.layer(), quiet), { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect("down and redo take whole steps from 1 on, and undo nothing for anything else", () =>
      Effect.gen(function* () {
        const { applied, migrations } = yield* three
        for (const steps of [-1, 0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, untyped("2")]) {
          assert.match(yield* refusalOf(migrations.down({ steps })), /^steps must be/)
          assert.match(yield* refusalOf(migrations.redo({ steps })), /^steps must be/)
        }
        assert.match(yield* refusalOf(migrations.down({ to: -5n })), /^to must be/)
        assert.match(yield* refusalOf(migrations.down({ to: untyped(1) })), /^to must be/)
        assert.match(yield* refusalOf(migrations.down({ to: 1n, steps: 1 })), /^steps .*`to`/)
        assert.match(yield* refusalOf(migrations.down({ verify: untyped("no") })), /^verify must be/)
        assert.match(yield* refusalOf(migrations.redo(untyped({ to: 1n }))), /^to is not a known field/)
        assert.deepEqual(yield* applied, [1, 2, 3])
      })
    )

    it.effect("down goes to a version that files or history know, and refuses any other", () =>
      Effect.gen(function* () {
        const { applied, file, migrations } = yield* three
        const reason = yield* reasonOf(migrations.down({ to: 9n }))
        assert.deepEqual({ ...reason }, { _tag: "UnknownVersion", version: 9n })
        assert.match(new MigrationError({ reason }).message, /no migration of version 9.*status/)
        assert.deepEqual(yield* applied, [1, 2, 3])
        yield* file("4_pending.sql", "select 1;")
        assert.deepEqual(yield* migrations.down({ to: 4n }), [])
        assert.deepEqual(
          (yield* migrations.down({ to: 0n })).map(({ version }) => version),
          [3n, 2n, 1n]
        )
      })
    )

    it.effect("repair and baseline refuse what is no switch and no version", () =>
      Effect.gen(function* () {
        const { applied, migrations, remove } = yield* three
        yield* remove("2_b.sql")
        for (const field of ["forgetMissing", "forgetFuture", "forgetUnfinished", "acceptSchema"]) {
          assert.match(
            yield* refusalOf(migrations.repair(untyped({ [field]: "yes" }))),
            new RegExp(`^${field} must be`)
          )
        }
        assert.match(yield* refusalOf(migrations.repair(untyped({ forgetmissing: true }))), /^forgetmissing is not/)
        for (const version of [-1n, 2n ** 63n, untyped(1), untyped("1")]) {
          assert.match(yield* refusalOf(migrations.baseline(version)), /^version must be/)
        }
        assert.deepEqual(yield* applied, [1, 3])
      })
    )

    it.effect("the engine's own options are looked at by each operation before it does anything", () =>
      Effect.gen(function* () {
        const { applied, driver, folder } = yield* three
        const wrong: Record<string, ReadonlyArray<unknown>> = {
          timeout: ["abc", 0, -5, Number.NaN, "-Infinity"],
          outOfOrder: ["alow"],
          future: ["skip"],
          backup: ["no"],
          onProgress: ["console"],
          folder: [5],
          programs: [{}],
          outoforder: ["allow"]
        }
        for (const [field, values] of Object.entries(wrong)) {
          for (const value of values) {
            const made = Migrations.make(driver, untyped({ folder, [field]: value }))
            for (const call of [
              made.run,
              made.plan,
              made.status,
              made.verify,
              made.down(),
              made.redo(),
              made.repair(),
              made.baseline(1n),
              Migrations.dryRun(made)
            ]) {
              assert.match(yield* refusalOf(Effect.asVoid<unknown, unknown, never>(call)), new RegExp(`^${field}[ [.]`))
            }
          }
        }
        assert.deepEqual(yield* applied, [1, 2, 3])
        yield* Migrations.make(driver, { folder, timeout: "Infinity" }).down()
      })
    )

    it.effect("a program's version and name are as a file's must be", () =>
      Effect.gen(function* () {
        const { applied, make } = yield* three
        for (const [version, name, problem] of [
          [0n, "a", /version.*from 1/],
          [-4n, "a", /version.*from 1/],
          [2n ** 63n, "a", /version.*from 1/],
          [untyped(4), "a", /version.*from 1/],
          [4n, "", /name.*letters/],
          [4n, "a\nb", /name.*letters/],
          [4n, "../a", /name.*letters/],
          [4n, untyped(undefined), /name.*letters/]
        ] as const) {
          const one: Migration = program({ version, name, revision: "1", up: Effect.void })
          const reason = yield* reasonOf(make({ programs: [one] }).run)
          assert.ok(reason._tag === "FileInvalid")
          assert.match(new MigrationError({ reason }).message, problem)
        }
        assert.deepEqual(yield* applied, [1, 2, 3])
      })
    )

    it.effect("the driver refuses durations and schemas that are none", () =>
      Effect.gen(function* () {
        for (const [field, values] of Object.entries({
          lockTimeout: ["abc", -1],
          statementLockTimeout: ["abc", 0, "-1 second", "30 days", "Infinity"],
          schema: ["", "s".repeat(64), 5],
          covers: [[], "app", [""]],
          bakcup: [undefined]
        })) {
          for (const value of values) {
            const made = PostgresMigrations.make(untyped({ schema: "app", [field]: value }))
            assert.match(yield* refusalOf(made), new RegExp(`^${field}`))
          }
        }
      })
    )
  })

  it.effect("a backup whose timeout is none writes nothing", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "backups")
      for (const timeout of ["abc", 0, -1]) {
        const backUp = PostgresBackup.make({
          url: Redacted.make("postgresql://u@127.0.0.1:1/d"),
          folder,
          timeout: untyped(timeout)
        })
        const error = yield* Effect.flip(backUp(["app"]))
        assert.deepEqual([error._tag, error.detail.startsWith("timeout must be")], ["BackupFailed", true])
      }
      const made = yield* Effect.exit(Effect.tryPromise(() => readdir(folder)))
      assert.equal(made._tag, "Failure")
    })
  )
})
