/** The same select by postgres.js, Kysely and Drizzle, each with a pool of 10. */
import { eq, sql as drizzleSql } from "drizzle-orm"
import { drizzle } from "drizzle-orm/node-postgres"
import { integer, pgTable, text, timestamp } from "drizzle-orm/pg-core"
import { Effect, type Scope } from "effect"
import { Kysely, PostgresDialect } from "kysely"
import type { Pool } from "pg"
import postgres from "postgres"
import type { Variant } from "../../harness.ts"
import { promises } from "../../loops.ts"
import { checkRow, keyOf, poolSize } from "./ground.ts"

const drizzleItems = pgTable("items", {
  id: integer("id").primaryKey(),
  email: text("email").notNull(),
  username: text("username").notNull(),
  passwordHash: text("password_hash").notNull(),
  version: integer("version").notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
  updatedAt: timestamp("updated_at", { withTimezone: true }).notNull()
})

interface Tables {
  readonly items: {
    readonly id: number
    readonly email: string
    readonly username: string
    readonly password_hash: string
    readonly version: number
    readonly created_at: Date
    readonly updated_at: Date
  }
}

/** Kysely and Drizzle over the pool of `pg`, postgres.js over its own. */
export const peerSelects = (
  url: string,
  pool: Pool,
  callers: number
): Effect.Effect<ReadonlyArray<Variant>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sql = yield* Effect.acquireRelease(
      Effect.sync(() => postgres(url, { max: poolSize, onnotice: () => undefined })),
      (sql) => Effect.promise(() => sql.end())
    )
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    const prepared = drizzle(pool)
      .select()
      .from(drizzleItems)
      .where(eq(drizzleItems.id, drizzleSql.placeholder("id")))
      .prepare("drizzle_select")
    return [
      {
        name: "postgres.js",
        run: promises(callers, async (i) => {
          const id = keyOf(i)
          const [found] = await sql<Array<{ id: number; email: string }>>`select id, email, username,
            password_hash as "passwordHash", version, created_at as "createdAt", updated_at as "updatedAt"
            from items where id = ${id}`
          checkRow(found, id)
        })
      },
      {
        name: "Kysely",
        run: promises(callers, async (i) => {
          const id = keyOf(i)
          const found = await kysely
            .selectFrom("items")
            .select(["id", "email", "username", "password_hash as passwordHash", "version"])
            .select(["created_at as createdAt", "updated_at as updatedAt"])
            .where("id", "=", id)
            .executeTakeFirst()
          checkRow(found, id)
        })
      },
      {
        name: "Drizzle, prepared",
        run: promises(callers, async (i) => {
          const id = keyOf(i)
          const [found] = await prepared.execute({ id })
          checkRow(found, id)
        })
      }
    ]
  })
