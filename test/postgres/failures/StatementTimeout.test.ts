import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"

const read = { operation: "Test.read", kind: "read" } as const
const harmless = { operation: "Test.write", kind: "write", idempotent: true } as const

const client = Layer.unwrap(
  Effect.map(freshPostgres, (url) =>
    PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, statementTimeout: "300 millis" })
  )
)

describeLive("postgresql", "a statement that its server ends at the statement timeout", () => {
  it.live("is asked once, though it only reads or is harmless twice: it would take as long again", () =>
    Effect.gen(function* () {
      const { keyed, query, sql } = yield* PostgresClient.PostgresClient
      // What a sequence counts is not undone.
      yield* sql`create sequence runs`
      const counted = Effect.map(sql<{ n: number }>`select last_value::int as n from runs`, ([row]) => row?.n)
      const slow = keyed`select nextval('runs'), pg_sleep(30)::text`
      const calls = [query(read, slow), query(harmless, slow)]
      for (const [i, call] of calls.entries()) {
        const error = yield* Effect.flip(call)
        assert.ok(error.reason._tag === "Timeout", error.message)
        assert.deepEqual([error.reason.code, error.outcome], ["57014", "not-applied"])
        assert.equal(yield* counted, i + 1)
      }
    }).pipe(Effect.provide(client))
  )
})
