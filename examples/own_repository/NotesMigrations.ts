import { Migrations } from "@ai-core/database/migrations"
import { type PostgresClient, PostgresMigrations } from "@ai-core/database/postgres"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("./migrations/", import.meta.url))

/** Brings the notebook's tables up to date while the layer is built; their history is in the same schema. */
export const layer = Layer.effectDiscard(
  Effect.flatMap(PostgresMigrations.make({ schema: "notebook" }), (driver) => Migrations.make(driver, { folder }).run)
) satisfies Layer.Layer<never, unknown, PostgresClient.PostgresClient>
