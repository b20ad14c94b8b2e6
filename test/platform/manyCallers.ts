import { Effect, Exit, Layer, Option, Predicate } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"

/** Every repository on a database of its own, with so many connections. */
export const repositories = (maxConnections: number) =>
  PostgresRepositoriesLive.layer.pipe(
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provideMerge(freshClient(maxConnections))
  )

/** Runs an effect many times at once. */
export const race = <A, E, R>(times: number, run: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(
    Array.from({ length: times }, (_, i) => i),
    (i) => Effect.exit(run(i)),
    { concurrency: times }
  )

/** How many won, and how many failed with what. */
export const tally = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const exit of exits) {
    const failure = Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
    const tag = Predicate.hasProperty(failure, "_tag") ? String(failure._tag) : "died"
    const outcome = Exit.isSuccess(exit) ? "won" : tag
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}

/** No connection is lent, and no transaction is left open on the server. */
export const healthy = Effect.gen(function* () {
  const { sql, stats } = yield* PostgresClient
  const left = yield* sql`select pid from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`
  assert.deepEqual(left, [])
  assert.equal((yield* stats).inUse, 0)
})
