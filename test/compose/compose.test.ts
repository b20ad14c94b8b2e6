import { Ajv } from "ajv"
import { ConfigProvider, Effect } from "effect"
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { describe, it } from "vitest"
import { decodeCompose, readCompose } from "./compose.ts"

const root = new URL("../../", import.meta.url)
const compose = decodeCompose(readCompose())
const services = Object.entries(compose.services)

// The schema of the compose-spec project (Apache-2.0), as the docker-compose package carries it for testcontainers.
const composeSchema = (): object => {
  const fromTestcontainers = createRequire(createRequire(import.meta.url).resolve("testcontainers"))
  const path = fromTestcontainers.resolve("docker-compose/schema/compose-spec.json")
  const { $schema: _, ...schema } = JSON.parse(readFileSync(path, "utf8"))
  return schema
}

/** The compose file with something wrong in one of its services. */
const broken = (change: (redis: Record<string, unknown>) => void): unknown => {
  const copy = structuredClone(readCompose()) as { services: { redis: Record<string, unknown> } }
  change(copy.services.redis)
  return copy
}

const text = (path: string): string => readFileSync(new URL(path, root), "utf8")

/** Where this machine reaches a service: `127.0.0.1:5432`. */
const published = (service: (typeof services)[number][1]): string => service.ports[0]!.split(":").slice(0, 2).join(":")

describe("docker-compose.yml", () => {
  const valid = new Ajv({ strict: false, allowUnionTypes: true, logger: false }).compile(composeSchema())

  it("is a compose file by the Compose Specification's schema", () => {
    assert.ok(valid(readCompose()), JSON.stringify(valid.errors, undefined, 2))
  })

  it("would not be one with a misspelt key, a wrong type or an unknown condition", () => {
    assert.equal(valid(broken((redis) => (redis["helthcheck"] = {}))), false)
    assert.equal(valid(broken((redis) => (redis["ports"] = "6379:6379"))), false)
    assert.equal(valid(broken((redis) => (redis["depends_on"] = { mongodb: { condition: "healthy" } }))), false)
  })

  it.each(services)("%s: one exact version, a health check, a port for this machine only", (_name, service) => {
    assert.match(service.image, /:\d+\.\d+(\.\d+)*$/)
    assert.ok(service.healthcheck.test.length > 1)
    assert.equal(service.ports.length, 1)
    for (const port of service.ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
  })

  it.each(services)("%s: data in a named volume, files that are there", (_name, service) => {
    const sources = service.volumes.map((volume) => volume.split(":")[0]!)
    assert.ok(sources.some((source) => !source.startsWith(".")))
    for (const source of sources) {
      if (source.startsWith(".")) assert.ok(existsSync(new URL(source, root)), `${source} is missing`)
      else assert.ok(source in compose.volumes, `${source} is no volume`)
    }
  })

  it("has no volume that nobody uses", () => {
    const used = new Set(services.flatMap(([, service]) => service.volumes.map((volume) => volume.split(":")[0])))
    for (const volume of Object.keys(compose.volumes)) assert.ok(used.has(volume), `${volume} is unused`)
  })

  it("makes the test databases", () => {
    assert.match(text("docker/postgres/01-test-database.sql"), /CREATE DATABASE ai_core_test;/)
    assert.match(text("docker/clickhouse/01-test-database.sql"), /CREATE DATABASE .*automation_analytics_test;/)
    assert.match(text("docker/mongodb/init/01-test-database.js"), /"ai_core_content_test"/)
  })
})

describe("docker-compose.yml and .env.example", () => {
  const provider = ConfigProvider.fromDotEnvContents(text(".env.example"))
  const setting = (name: string): string => {
    const node = Effect.runSync(provider.load([name]))
    assert.ok(node?._tag === "Value", `${name} is missing`)
    return node.value
  }
  const { clickhouse, mongodb, postgres, redis } = compose.services

  it("agree on PostgreSQL's address, user, password and database", () => {
    const url = new URL(setting("DATABASE_URL"))
    assert.equal(url.host, published(postgres))
    assert.equal(url.username, postgres.environment["POSTGRES_USER"])
    assert.equal(url.password, postgres.environment["POSTGRES_PASSWORD"])
    assert.equal(url.pathname, `/${postgres.environment["POSTGRES_DB"]}`)
  })

  it("agree on ClickHouse's address, user, password and database", () => {
    assert.equal(new URL(setting("CLICKHOUSE_URL")).host, published(clickhouse))
    assert.equal(setting("CLICKHOUSE_USER"), clickhouse.environment["CLICKHOUSE_USER"])
    assert.equal(setting("CLICKHOUSE_PASSWORD"), clickhouse.environment["CLICKHOUSE_PASSWORD"])
    assert.equal(setting("CLICKHOUSE_DATABASE"), clickhouse.environment["CLICKHOUSE_DB"])
  })

  it("agree on MongoDB's address, user and password", () => {
    const url = new URL(setting("MONGODB_URL"))
    assert.equal(url.host, published(mongodb))
    assert.equal(url.username, mongodb.environment["MONGO_INITDB_ROOT_USERNAME"])
    assert.equal(url.password, mongodb.environment["MONGO_INITDB_ROOT_PASSWORD"])
    // The image keeps its root user in `admin`, and the one member is known to the set by a name that holds in its container.
    assert.deepEqual(Object.fromEntries(url.searchParams), { authSource: "admin", directConnection: "true" })
    assert.match(text("docker/mongodb/init/01-test-database.js"), new RegExp(`"${setting("MONGODB_DATABASE")}"`))
  })

  it("agree on Redis's address and password", () => {
    const url = new URL(setting("REDIS_URL"))
    const { command = [] } = redis
    assert.equal(url.host, published(redis))
    assert.equal(url.password, command[command.indexOf("--requirepass") + 1])
    assert.equal(url.password, redis.environment["REDISCLI_AUTH"])
  })
})
