/** One of many programs that migrate at once; started by PostgresMigrationFaults.test.ts, it prints how many it applied. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Redacted } from "effect"
import * as Migrations from "../../src/migrations/Migrations.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMigrations from "../../src/postgres/PostgresMigrations.ts"

const [url = "", folder = "", schema = ""] = process.argv.slice(2)

PostgresMigrations.make({ schema, lockTimeout: "2 minutes" }).pipe(
  Effect.flatMap((driver) => Migrations.make(driver, { folder }).run),
  Effect.flatMap(({ applied }) => Console.log(`applied ${applied.length}`)),
  Effect.provide(
    PostgresClient.layer({
      url: Redacted.make(url),
      maxConnections: 1,
      minConnections: 0,
      statementTimeout: "2 minutes"
    })
  ),
  NodeRuntime.runMain
)
