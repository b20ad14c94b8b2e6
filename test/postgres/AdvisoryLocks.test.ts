import { it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { isStoreError } from "../../src/core/StoreError.ts"
import { AdvisoryLocks } from "../../src/postgres/AdvisoryLocks.ts"
import * as AdvisoryLocksLive from "../../src/postgres/AdvisoryLocksLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { within } from "../../src/core/Deadline.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { until } from "../until.ts"

const on = (url: string, maxConnections: number) =>
  AdvisoryLocksLive.layer.pipe(
    Layer.provideMerge(
      PostgresClient.layer({
        url: Redacted.make(url),
        minConnections: 0,
        maxConnections,
        acquireTimeout: "2 seconds",
        shutdownTimeout: "1 second"
      })
    )
  )

const fresh = (maxConnections: number) => Layer.unwrap(Effect.map(freshPostgres, (url) => on(url, maxConnections)))

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error.reason._tag
  })

describeLive("postgresql", "AdvisoryLocks on a server", () => {
  it.live("the holder's connection ends: it is interrupted with LeaseLost, and another gets the lock", () =>
    Effect.gen(function* () {
      const locks = yield* AdvisoryLocks
      const { sql, stats } = yield* PostgresClient.PostgresClient
      const taken = yield* Deferred.make<void>()
      let interrupted = false
      const working = yield* Effect.forkChild(
        reasonOf(
          Effect.scoped(
            Effect.gen(function* () {
              const lease = yield* locks.lease("job")
              yield* Deferred.succeed(taken, undefined)
              yield* lease.whileHeld(
                Effect.onInterrupt(Effect.never, () =>
                  Effect.sync(() => {
                    interrupted = true
                  })
                )
              )
            })
          )
        )
      )
      yield* Deferred.await(taken)
      yield* sql`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
      assert.equal(yield* Fiber.join(working), "LeaseLost")
      assert.ok(interrupted)
      yield* Effect.scoped(locks.lease("job"))
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(fresh(4)))
  )

  it.live("the holder's connection falls silent: it learns of it by itself", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const proxy = yield* TcpProxy.forUrl(url)
      yield* Effect.gen(function* () {
        const locks = yield* AdvisoryLocks
        const lost = yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* locks.lease("job")
            yield* proxy.hang
            return yield* reasonOf(lease.lost)
          })
        )
        assert.equal(lost, "LeaseLost")
        yield* proxy.pass
      }).pipe(Effect.provide(on(proxy.url, 2)))
    })
  )

  it.live("those who wait hold no connection, so the holder's work goes on", () =>
    Effect.gen(function* () {
      const locks = yield* AdvisoryLocks
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* locks.lease("busy")
          const waiting = yield* Effect.forkChild(
            Effect.forEach(
              Array.from({ length: 20 }),
              () => reasonOf(Effect.scoped(locks.lease("busy", { wait: "1 second" }))),
              {
                concurrency: "unbounded"
              }
            )
          )
          for (let i = 0; i < 20; i++)
            yield* query({ operation: "Test.work", kind: "read" }, sql`SELECT pg_sleep(0.02)`)
          assert.deepEqual(new Set(yield* Fiber.join(waiting)), new Set(["Conflict"]))
        })
      )
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(fresh(2)))
  )

  it.live("a lease that was given back is held by no session, whose connection is lent again", () =>
    Effect.gen(function* () {
      const locks = yield* AdvisoryLocks
      const { sql, stats } = yield* PostgresClient.PostgresClient
      const held = Effect.map(
        sql`SELECT objid FROM pg_locks WHERE locktype = 'advisory'
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        (rows) => rows.length
      )
      yield* Effect.scoped(
        Effect.andThen(
          locks.lease("given back"),
          Effect.map(held, (n) => assert.equal(n, 1))
        )
      )
      assert.equal(yield* held, 0)
      assert.equal((yield* stats).size, 2)
    }).pipe(Effect.provide(fresh(2)))
  )

  it.live("interrupted while it asks, no lock is left behind", () =>
    Effect.gen(function* () {
      const locks = yield* AdvisoryLocks
      const { sql, stats } = yield* PostgresClient.PostgresClient
      yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => i),
        (i) =>
          Effect.timeoutOption(
            Effect.scoped(Effect.andThen(locks.tryLease(`key ${i}`), Effect.sleep(2))),
            `${i % 8} millis`
          ),
        { concurrency: 6 }
      )
      const held = sql`SELECT objid FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
      assert.deepEqual(yield* until(held, (rows) => rows.length === 0), [])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(fresh(3)))
  )

  it.live("the deadline ends the wait, and a client of one connection is refused a lease", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      yield* Effect.gen(function* () {
        const locks = yield* AdvisoryLocks
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* locks.lease("mine")
            const ended = yield* reasonOf(within("200 millis")(Effect.scoped(locks.lease("mine"))))
            // Between two questions it is a Conflict, during one its Timeout.
            assert.ok(ended === "Conflict" || ended === "Timeout" || ended === "PoolExhausted", ended)
          })
        )
      }).pipe(Effect.provide(on(url, 3)))
      const alone = Effect.flatMap(AdvisoryLocks, (locks) => Effect.scoped(locks.lease("mine")))
      assert.equal(yield* reasonOf(Effect.provide(alone, on(url, 1))), "InvalidData")
    })
  )
})
