import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { answers } from "./answers.ts"
import {
  describeLive,
  describeOwned,
  freshClickHouse,
  freshMongo,
  freshPostgres,
  freshRedisPrefix,
  ownServer
} from "./index.ts"
import { stores, urlVariable } from "./find.ts"

for (const store of stores) {
  describeLive(store, `a server of ${store}`, (url) => {
    it.live("answers", () => answers(store, url!))

    it("is named to whatever a test starts", () => {
      assert.equal(process.env[urlVariable(store)], url)
    })
  })

  describeOwned(store, `a server of ${store} of one's own`, () => {
    it.live(
      "is killed, started again, frozen and thawed",
      () =>
        Effect.gen(function* () {
          const server = yield* ownServer(store)
          yield* answers(store, server.url)
          yield* server.kill
          assert.equal((yield* Effect.result(answers(store, server.url)))._tag, "Failure")
          yield* server.restart
          yield* answers(store, server.url)
          yield* server.pause
          assert.equal((yield* Effect.result(answers(store, server.url)))._tag, "Failure")
          yield* server.resume
          yield* answers(store, server.url)
          yield* server.stop
          assert.equal((yield* Effect.result(answers(store, server.url)))._tag, "Failure")
        }),
      120_000
    )
  })
}

describe("databases of one's own", () => {
  describeLive("postgresql", "PostgreSQL", () => {
    it.live("two are apart", () =>
      Effect.gen(function* () {
        const first = yield* freshPostgres
        const second = yield* freshPostgres
        assert.notEqual(first, second)
        yield* answers("postgresql", first)
        yield* answers("postgresql", second)
      })
    )
    it.live("is gone after its scope", () =>
      Effect.gen(function* () {
        const url = yield* Effect.scoped(freshPostgres)
        assert.equal((yield* Effect.result(answers("postgresql", url)))._tag, "Failure")
      })
    )
  })
  describeLive(["mongodb", "clickhouse", "redis"], "the others", () => {
    it.live("have names of their own", () =>
      Effect.gen(function* () {
        const names = [
          (yield* freshMongo).database,
          (yield* freshMongo).database,
          (yield* freshClickHouse).database,
          yield* freshRedisPrefix
        ]
        assert.equal(new Set(names).size, 4)
      })
    )
  })
})
