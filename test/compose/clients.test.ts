import { it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { describeLive } from "../servers/index.ts"

const example = readFileSync(new URL("../../.env.example", import.meta.url), "utf8")

/** The settings of .env.example, with these in the place of its addresses and credentials; an empty one is left out. */
const withServers = (servers: Record<string, string>) => {
  const kept = example.split("\n").filter((line) => !Object.keys(servers).some((name) => line.startsWith(`${name}=`)))
  const given = Object.entries(servers).map(([name, value]) => `${name}=${value}`)
  return ConfigProvider.layer(ConfigProvider.fromDotEnvContents([...kept, ...given].join("\n")))
}

describeLive(["postgresql", "clickhouse", "mongodb", "redis"], "the settings of .env.example", (...urls) => {
  const [postgresql, clickhouse, mongodb, redis] = urls as [string, string, string, string]
  const { origin, password, username } = new URL(clickhouse)
  const clients = Layer.mergeAll(
    PostgresClient.layerConfig(),
    ClickHouseClient.layerConfig(),
    MongoDbClient.layerConfig(),
    RedisClient.layerConfig()
  ).pipe(
    Layer.provide(
      withServers({
        DATABASE_URL: postgresql,
        CLICKHOUSE_URL: origin,
        CLICKHOUSE_DATABASE: "default",
        CLICKHOUSE_USER: username,
        CLICKHOUSE_PASSWORD: password,
        MONGODB_URL: mongodb,
        REDIS_URL: redis
      })
    )
  )

  it.live("build all four clients, and each store answers", () =>
    Effect.gen(function* () {
      yield* (yield* PostgresClient.PostgresClient).ping
      const clickhouse = yield* ClickHouseClient.ClickHouseClient
      yield* clickhouse.ping
      assert.equal(clickhouse.database, "default")
      const mongodb = yield* MongoDbClient.MongoDbClient
      yield* mongodb.ping
      assert.equal(mongodb.database, "ai_core_content")
      const redis = yield* RedisClient.RedisClient
      yield* redis.ping
      assert.equal(Duration.toSeconds(redis.defaultTtl), 3600)
    }).pipe(Effect.provide(clients))
  )
})
