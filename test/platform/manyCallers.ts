import { Deferred, Effect, Exit, Layer, Option, Predicate } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { untilIdle, untilLocked } from "../postgres/activity.ts"
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

/** Nothing of what was interrupted is still under way on the server. */
export const settled = Effect.flatMap(PostgresClient, ({ sql }) => untilIdle(sql))

/** No connection is lent, and no transaction is left open on the server. */
export const healthy = Effect.gen(function* () {
  const { stats } = yield* PostgresClient
  yield* settled
  assert.equal((yield* stats).inUse, 0)
})

/**
 * Runs `first` in a transaction, and the others once it has been done there; it is committed once all of them wait for it.
 *
 * Fails where they do not wait. The pool needs a connection for each, and one more.
 */
export const behind = <A, E, R, B, F, S>(
  first: Effect.Effect<A, E, R>,
  others: ReadonlyArray<Effect.Effect<B, F, S>>
) =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient
    const { run } = yield* Transaction
    const [done, allWait] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const [ended, waited] = yield* Effect.all(
      [
        run(Effect.tap(first, () => Effect.andThen(Deferred.succeed(done, undefined), Deferred.await(allWait)))),
        Effect.forEach(others, (other) => Effect.andThen(Deferred.await(done), other), { concurrency: "unbounded" }),
        Deferred.await(done).pipe(
          Effect.andThen(untilLocked(sql, others.length)),
          Effect.andThen(Deferred.succeed(allWait, undefined))
        )
      ],
      { concurrency: 3 }
    )
    return [ended, waited] as const
  })
