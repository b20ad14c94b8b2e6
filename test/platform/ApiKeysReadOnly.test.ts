import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { ApiKeys } from "../../src/platform/users/ApiKeys.ts"
import * as ApiKeysLive from "../../src/platform/users/ApiKeysLive.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"

const client = (url: string) =>
  Layer.fresh(
    Layer.mergeAll(UsersLive.layer, ApiKeysLive.layer).pipe(
      Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 2 }))
    )
  )

/** A key, and what is done to the server before anybody uses it. */
const issued = (
  url: string,
  change: (sql: PostgresClient.PostgresClient["Service"]["sql"]) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    yield* PlatformMigrations.postgres
    const issued = yield* (yield* ApiKeys).issue({ userId: (yield* someUser()).id, name: "import" })
    yield* change(sql)
    return issued
  }).pipe(Effect.provide(client(url)))

describeLive("postgresql", "ApiKeys on a server that takes no writes", () => {
  it.live("a key opens where the server has become read-only, as before a failover", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const name = new URL(url).pathname.slice(1)
      const { key, secret } = yield* issued(
        url,
        (sql) => sql`alter database ${sql(name)} set default_transaction_read_only = on`
      )
      const opened = Effect.flatMap(ApiKeys, (keys) => keys.authenticate(secret))
      assert.deepEqual(yield* Effect.provide(opened, client(url)), key)
    }).pipe(Effect.scoped)
  )

  it.live("a key opens where the server becomes so between the look and the note", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const { key, secret } = yield* issued(url, (sql) =>
        Effect.andThen(
          sql`create function public.refuse() returns trigger language plpgsql as $$
            begin raise exception 'cannot execute UPDATE in a read-only transaction' using errcode = '25006'; end $$`,
          sql`create trigger refuse before update on ai_core.api_keys execute function public.refuse()`
        )
      )
      const opened = Effect.flatMap(ApiKeys, (keys) => keys.authenticate(secret))
      assert.deepEqual(yield* Effect.provide(opened, client(url)), key)
    }).pipe(Effect.scoped)
  )
})
