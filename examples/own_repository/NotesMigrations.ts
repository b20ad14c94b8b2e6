import { Migrations } from "@ai-core/database/migrations"
import { type PostgresClient, PostgresMigrations } from "@ai-core/database/postgres"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("./migrations/", import.meta.url))

/** The notebook's migrations; their history is in the schema that they make. */
export const migrations = Effect.map(PostgresMigrations.make({ schema: "notebook" }), (driver) =>
  Migrations.make(driver, { folder })
)

/** Brings the notebook's tables up to date while the layer is built. */
export const layer = Layer.effectDiscard(Effect.flatMap(migrations, ({ run }) => run)) satisfies Layer.Layer<
  never,
  unknown,
  PostgresClient.PostgresClient
>
