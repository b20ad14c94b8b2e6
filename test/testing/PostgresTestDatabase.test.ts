import assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Client } from "pg"
import { unique } from "../../src/testing/Contract.ts"
import * as PostgresTestDatabase from "../../src/testing/PostgresTestDatabase.ts"
import { describeLive } from "../servers/index.ts"

const rowsOf = (url: Redacted.Redacted, statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.promise(async () => {
    const client = new Client({ connectionString: Redacted.value(url) })
    await client.connect()
    const { rows } = await client.query(statement, [...values])
    await client.end()
    return rows as ReadonlyArray<Record<string, unknown>>
  })

describeLive("postgresql", "PostgresTestDatabase", (url) => {
  const adminUrl = Redacted.make(url!)
  const exists = (name: string) =>
    Effect.map(rowsOf(adminUrl, "SELECT FROM pg_database WHERE datname = $1", [name]), (rows) => rows.length > 0)

  it.live("lives as long as its scope, even while a connection to it is open", () =>
    Effect.gen(function* () {
      const [name, client] = yield* Effect.scoped(
        Effect.gen(function* () {
          const database = yield* PostgresTestDatabase.make({ adminUrl })
          assert.equal(yield* exists(database.name), true)
          const open = new Client({ connectionString: Redacted.value(database.url) })
          open.on("error", () => {})
          yield* Effect.promise(() => open.connect())
          return [database.name, open] as const
        })
      )
      assert.equal(yield* exists(name), false)
      yield* Effect.promise(() => client.end().catch(() => {}))
    })
  )

  it.live("copies of a template have what it has, are apart, and it is prepared once", () =>
    Effect.gen(function* () {
      const name = (yield* unique("template")).replaceAll("-", "_")
      let prepared = 0
      const template = PostgresTestDatabase.template({
        adminUrl,
        name,
        prepare: (to) => {
          prepared++
          return rowsOf(to, "CREATE TABLE users AS SELECT 1 AS id")
        }
      })
      yield* Effect.addFinalizer(() =>
        Effect.andThen(
          rowsOf(adminUrl, `ALTER DATABASE ${name} IS_TEMPLATE false`),
          rowsOf(adminUrl, `DROP DATABASE ${name} WITH (FORCE)`)
        )
      )
      yield* Effect.all([template, template, template], { concurrency: "unbounded" })
      assert.equal(prepared, 1)
      const [first, second] = yield* Effect.all(
        [
          PostgresTestDatabase.make({ adminUrl, template: name }),
          PostgresTestDatabase.make({ adminUrl, template: name })
        ],
        { concurrency: "unbounded" }
      )
      yield* rowsOf(first.url, "INSERT INTO users VALUES (2)")
      assert.equal((yield* rowsOf(first.url, "SELECT * FROM users")).length, 2)
      assert.deepEqual(yield* rowsOf(second.url, "SELECT * FROM users"), [{ id: 1 }])
    })
  )

  it.live("a template whose preparation failed is made anew", () =>
    Effect.gen(function* () {
      const name = (yield* unique("template")).replaceAll("-", "_")
      const failing = PostgresTestDatabase.template({
        adminUrl,
        name,
        prepare: (to) => Effect.andThen(rowsOf(to, "CREATE TABLE half (id int)"), Effect.fail("broken migration"))
      })
      assert.equal(yield* Effect.flip(failing), "broken migration")
      yield* Effect.addFinalizer(() =>
        Effect.andThen(
          rowsOf(adminUrl, `ALTER DATABASE ${name} IS_TEMPLATE false`),
          rowsOf(adminUrl, `DROP DATABASE ${name} WITH (FORCE)`)
        )
      )
      yield* PostgresTestDatabase.template({ adminUrl, name, prepare: () => Effect.void })
      const copy = yield* PostgresTestDatabase.make({ adminUrl, template: name })
      assert.deepEqual(yield* rowsOf(copy.url, "SELECT FROM pg_tables WHERE tablename = 'half'"), [])
    })
  )
})
