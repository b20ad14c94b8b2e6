import { Context, Effect, Layer, Redacted } from "effect"
import { readFileSync } from "node:fs"
import assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { unique } from "../../src/testing/Contract.ts"
import { freshPostgres } from "../servers/index.ts"

const guide = readFileSync(new URL("../../docs/guides/tenants.md", import.meta.url), "utf8")

/** The guide's statements, one text for each block; a block begins with who runs it. */
const blocks = [...guide.matchAll(/```sql\n(-- as (?:an administrator|shop_owner)[\s\S]*?)```/g)].map(([, sql]) => sql!)
const administrator = blocks.filter((sql) => sql.startsWith("-- as an administrator"))
const owner = blocks.filter((sql) => sql.startsWith("-- as shop_owner"))

const connecting = (url: string, maxConnections: number) =>
  PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections })

/** A database whose roles, and what they may do, are the guide's. */
export class GuideDatabase extends Context.Service<
  GuideDatabase,
  { readonly administrator: string; readonly owner: string; readonly app: string; readonly appRole: string }
>()("test/GuideDatabase") {}

const make = Effect.gen(function* () {
  // What the guide has beside these is prose, and no statement of it is left out.
  assert.equal(blocks.length, guide.match(/```sql/g)?.length)
  const url = yield* freshPostgres
  const own = (yield* unique("shop")).replaceAll("-", "_")
  const database = new URL(url).pathname.slice(1)
  const named = (sql: string) =>
    sql.replace(/\bshop_/g, `${own}_`).replace(/\bdatabase shop\b/g, `database ${database}`)
  const as = (role: string) => Object.assign(new URL(url), { username: `${own}_${role}`, password: "…" }).href
  const run = (href: string, statements: ReadonlyArray<string>) =>
    Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) =>
      Effect.forEach(
        statements.flatMap((sql) => named(sql).replace(/--.*$/gm, "").split(";")).filter((sql) => sql.trim() !== ""),
        (statement) => sql.unsafe(statement),
        { discard: true }
      )
    ).pipe(Effect.provide(connecting(href, 1)))

  yield* Effect.acquireRelease(run(url, administrator), () =>
    Effect.ignore(
      run(
        url,
        ["report", "app", "owner"].map((role) => `drop owned by shop_${role} cascade; drop role shop_${role}`)
      )
    )
  )
  yield* Effect.provide(PlatformMigrations.postgres, connecting(as("owner"), 2))
  yield* run(as("owner"), owner)
  return { administrator: url, owner: as("owner"), app: as("app"), appRole: `${own}_app` }
})

/** Made by exactly the guide's statements, the platform's tables by its owner. */
export const layer = Layer.effect(GuideDatabase, make)

/** A client that connects as one of the roles. */
export const clientOf = (
  role: "administrator" | "owner" | "app",
  maxConnections = 8
): Layer.Layer<PostgresClient.PostgresClient, unknown, GuideDatabase> =>
  Layer.unwrap(Effect.map(GuideDatabase, (urls) => connecting(urls[role], maxConnections)))
