import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { Users } from "../../src/platform/users/Users.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { describeLive } from "../servers/index.ts"
import { hash } from "./injection/samples.ts"
import { repositories } from "./manyCallers.ts"

describeLive("postgresql", "Lists of users on a server", () => {
  it.layer(repositories(2), { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect("a look for how an e-mail begins reads what it finds, not every user", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { run } = yield* Transaction
        const { sql } = yield* PostgresClient
        const given = Array.from({ length: 10_000 }, (_, i) => ({
          email: `User${i}@example.com`,
          username: `user-${i}`,
          passwordHash: hash
        }))
        const made = yield* users.createMany(given)
        assert.equal(made.length, 10_000)
        yield* sql`vacuum analyze ai_core.users`
        const [found, read] = yield* run(
          Effect.gen(function* () {
            const { items } = yield* users.list({ emailPrefix: "uSer777" })
            const [read] = yield* sql<{ readonly rows: number }>`select
              (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as rows
              from pg_stat_xact_user_tables where relname = 'users'`
            return [items, read] as const
          })
        )
        assert.deepEqual(
          found.map(({ username }) => username),
          ["user-777", ...Array.from({ length: 10 }, (_, i) => `user-777${i}`)]
        )
        assert.ok(read !== undefined && read.rows > 0 && read.rows < 50, `read ${read?.rows} rows`)
      })
    )
  })
})
