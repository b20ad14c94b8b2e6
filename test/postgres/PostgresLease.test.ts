import { it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as assert from "node:assert/strict"
import { holdLease } from "../../src/core/Lease.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import * as PostgresLease from "../../src/postgres/PostgresLease.ts"
import { server } from "../migrations/support.ts"
import { describeLive } from "../servers/index.ts"

describeLive("postgresql", "leases in a table of PostgreSQL", () => {
  it.layer(server(), { excludeTestServices: true, timeout: "1 minute" })("on a server", (it) => {
    it.effect(
      "of many that ask at once, the table not there yet, one at a time holds it, each with a greater token",
      () =>
        Effect.gen(function* () {
          let inside = 0
          const tokens: Array<bigint> = []
          const store = yield* PostgresLease.make({ schema: "many" })
          const use = holdLease(store, { name: "l" }, ({ token }) =>
            Effect.gen(function* () {
              assert.equal(++inside, 1)
              tokens.push(token)
              yield* Effect.sleep("5 millis")
              inside--
            })
          )
          yield* Effect.all(
            Array.from({ length: 6 }, () => use),
            { concurrency: "unbounded" }
          )
          assert.deepEqual(tokens, [1n, 2n, 3n, 4n, 5n, 6n])
        })
    )

    it.effect("time is the server's: not given before it is over, renewed by its holder alone, and only in time", () =>
      Effect.gen(function* () {
        const { take, renew, release } = yield* PostgresLease.make({ schema: "one" })
        const { sql } = yield* PostgresClient
        const ann = Option.getOrThrow(yield* take("l", "ann", 60_000))
        assert.ok(Option.isNone(yield* take("l", "bob", 60_000)))
        assert.ok(Option.isSome(yield* take("other", "bob", 60_000)))
        assert.equal(yield* renew(ann, 60_000), true)
        assert.equal(yield* renew({ ...ann, owner: "bob" }, 60_000), false)
        yield* release({ ...ann, owner: "bob" })
        assert.ok(Option.isNone(yield* take("l", "bob", 60_000)))
        yield* sql`update one.schema_migrations_lease set expires_at = clock_timestamp() where name = 'l'`
        assert.equal(yield* renew(ann, 60_000), false)
        const bob = Option.getOrThrow(yield* take("l", "bob", 60_000))
        assert.ok(bob.token > ann.token)
        yield* release(ann)
        assert.equal(yield* renew(bob, 60_000), true)
        yield* release(bob)
        assert.ok(Option.isSome(yield* take("l", "ann", 60_000)))
      })
    )
  })
})
