/**
 * `node test/servers/with.ts COMMAND…`: runs a command with DATABASE_URL, REDIS_URL, MONGODB_URL and CLICKHOUSE_URL set to
 * servers that are found or started as the tests find or start them, and stopped afterwards.
 */
import { spawn } from "node:child_process"
import { Effect } from "effect"
import { displayName } from "../../src/core/Store.ts"
import { findServers, stores, urlVariable } from "./find.ts"

const variables = {
  postgresql: "DATABASE_URL",
  redis: "REDIS_URL",
  mongodb: "MONGODB_URL",
  clickhouse: "CLICKHOUSE_URL"
} as const

const [command, ...args] = process.argv.slice(2)

const main = Effect.gen(function* () {
  if (command === undefined) {
    console.error("usage: node test/servers/with.ts COMMAND…")
    return 64
  }
  const servers = yield* findServers
  const environment = { ...process.env }
  for (const store of stores) {
    const found = servers[store]
    if (found._tag === "Missing") {
      console.error(`${displayName[store]}: ${found.why}; ${found.fix}`)
      continue
    }
    environment[variables[store]] = found.url
    environment[urlVariable(store)] = found.url
  }
  const clickhouse = servers.clickhouse
  if (clickhouse._tag === "Found") {
    // Whoever the URL names, in a database that every server has: what `.env` says is meant for another server.
    const { password, username } = new URL(clickhouse.url)
    environment["CLICKHOUSE_USER"] = decodeURIComponent(username) || "default"
    environment["CLICKHOUSE_PASSWORD"] = decodeURIComponent(password)
    environment["CLICKHOUSE_DATABASE"] = "default"
  }
  return yield* Effect.callback<number>((resume) => {
    const child = spawn(command, args, { stdio: "inherit", env: environment })
    child.once("error", (error) => {
      console.error(`${command}: ${error.message}`)
      resume(Effect.succeed(127))
    })
    child.once("exit", (code) => resume(Effect.succeed(code ?? 1)))
    return Effect.sync(() => child.kill())
  })
})

process.exitCode = await Effect.runPromise(Effect.scoped(main)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})
