import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as assert from "node:assert/strict"
import { isStoreError } from "../../core/StoreError.ts"
import { AdvisoryLocks } from "../../postgres/AdvisoryLocks.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { refuses, untyped } from "../Expectations.ts"

type Run = Effect.Effect<void, unknown, AdvisoryLocks | Transaction>

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), `failed with ${String(error)}`)
    return error.reason._tag
  })

const isFree = (key: string) =>
  Effect.flatMap(AdvisoryLocks, (locks) => Effect.scoped(Effect.map(locks.tryLease(key), Option.isSome)))

/** Runs a transaction that takes the lock, and then holds it until it is told to end. */
const holding = (key: string, ending: Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const transaction = yield* Transaction
    const taken = yield* Deferred.make<void>()
    const end = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(
      Effect.exit(
        transaction.run(
          Effect.gen(function* () {
            yield* locks.withinTransaction(key)
            yield* Deferred.succeed(taken, undefined)
            yield* Deferred.await(end)
            yield* ending
          })
        )
      )
    )
    yield* Deferred.await(taken)
    return Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber))
  })

/** Fails unless of six who do the work under a lock at once each does it, and none beside another. */
const oneAtATime = <E, R>(locked: (work: Effect.Effect<void>) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    let inside = 0
    let most = 0
    let done = 0
    const work = locked(
      Effect.gen(function* () {
        most = Math.max(most, ++inside)
        yield* passTime("1 millis")
        inside--
        done++
      })
    )
    const all = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 6 }), () => work, { concurrency: "unbounded", discard: true })
    )
    for (let i = 0; i < 60 && done < 6; i++) yield* passTime("100 millis")
    yield* Fiber.join(all)
    assert.deepEqual({ most, done }, { most: 1, done: 6 })
  })

/** What holds on one connection too, where transactions follow each other. */
const inTransactions: Record<string, Run> = {
  "a transaction may take its lock again, in a savepoint of it too": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const transaction = yield* Transaction
    const key = yield* unique("lock")
    yield* transaction.run(
      Effect.gen(function* () {
        yield* locks.withinTransaction(key)
        yield* locks.withinTransaction(key)
        assert.equal(yield* transaction.run(locks.tryWithinTransaction(key)), true)
      })
    )
  }),
  "a transaction's lock is the next one's once it has ended, committed, rolled back or interrupted": Effect.gen(
    function* () {
      const locks = yield* AdvisoryLocks
      const transaction = yield* Transaction
      const key = yield* unique("lock")
      for (const ending of [Effect.void, Effect.fail("stop"), Effect.interrupt]) {
        yield* Effect.exit(transaction.run(Effect.andThen(locks.withinTransaction(key), ending)))
        assert.equal(yield* transaction.run(locks.tryWithinTransaction(key)), true)
      }
    }
  ),
  "of many transactions at once one has the lock at a time, and all get it": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const transaction = yield* Transaction
    const key = yield* unique("lock")
    yield* oneAtATime((work) =>
      transaction.run(Effect.andThen(locks.withinTransaction(key, { wait: "1 minute" }), work))
    )
  }),
  "a wait that is none is refused by its name": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const { run } = yield* Transaction
    const key = yield* unique("lock")
    for (const wait of [untyped("soon"), "-1 seconds"] as const) {
      yield* refuses(run(locks.withinTransaction(key, { wait })), "AdvisoryLocks.withinTransaction", ["wait"])
      yield* refuses(Effect.scoped(locks.lease(key, { wait })), "AdvisoryLocks.lease", ["wait"])
    }
    assert.equal(yield* run(locks.tryWithinTransaction(key)), true)
  }),
  "a key that is no text is refused by its name": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const { run } = yield* Transaction
    for (const key of [untyped(undefined), untyped(null), untyped(7), untyped({ name: "nightly" })]) {
      yield* refuses(run(locks.withinTransaction(key)), "AdvisoryLocks.withinTransaction", ["key"])
      yield* refuses(run(locks.tryWithinTransaction(key)), "AdvisoryLocks.tryWithinTransaction", ["key"])
      yield* refuses(Effect.scoped(locks.lease(key)), "AdvisoryLocks.lease", ["key"])
      yield* refuses(Effect.scoped(locks.tryLease(key)), "AdvisoryLocks.tryLease", ["key"])
    }
  }),
  "a transaction's lock outside a transaction is refused": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const key = yield* unique("lock")
    assert.equal(yield* reasonOf(locks.withinTransaction(key)), "InvalidStatement")
    assert.equal(yield* reasonOf(locks.tryWithinTransaction(key)), "InvalidStatement")
  })
}

/** What needs two connections. */
const besideEachOther: Record<string, Run> = {
  "a lease is one holder's, until its scope closes": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const [key, other] = [yield* unique("lock"), yield* unique("lock")]
    const scope = yield* Scope.make()
    const lease = yield* Scope.provide(locks.lease(key), scope)
    assert.equal(lease.key, key)
    assert.equal(yield* lease.whileHeld(Effect.succeed(7)), 7)
    assert.equal(yield* isFree(key), false)
    assert.equal(yield* isFree(other), true)
    yield* Scope.close(scope, Exit.void)
    assert.equal(yield* isFree(key), true)
  }),
  "a lease is given back where its holder fails or is interrupted": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const key = yield* unique("lock")
    yield* Effect.exit(Effect.scoped(Effect.andThen(locks.lease(key), Effect.fail("stop"))))
    assert.equal(yield* isFree(key), true)
    const taken = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(
      Effect.scoped(
        locks.lease(key).pipe(Effect.andThen(Deferred.succeed(taken, undefined)), Effect.andThen(Effect.never))
      )
    )
    yield* Deferred.await(taken)
    assert.equal(yield* isFree(key), false)
    yield* Fiber.interrupt(fiber)
    assert.equal(yield* isFree(key), true)
  }),
  "one who waits gets the lock when it is free, and gives up after the wait with Conflict": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const key = yield* unique("lock")
    const scope = yield* Scope.make()
    yield* Scope.provide(locks.lease(key), scope)
    const impatient = yield* Effect.forkChild(reasonOf(Effect.scoped(locks.lease(key, { wait: "200 millis" }))))
    const patient = yield* Effect.forkChild(Effect.scoped(Effect.as(locks.lease(key, { wait: "1 minute" }), "mine")))
    yield* passTime("400 millis")
    assert.equal(yield* Fiber.join(impatient), "Conflict")
    yield* Scope.close(scope, Exit.void)
    yield* passTime("400 millis")
    assert.equal(yield* Fiber.join(patient), "mine")
  }),
  "of many at once one has the lock at a time, and all get it": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const key = yield* unique("lock")
    yield* oneAtATime((work) => Effect.scoped(Effect.andThen(locks.lease(key, { wait: "1 minute" }), work)))
  }),
  "a transaction's lock is held to its end, committed or rolled back, against leases and transactions": Effect.gen(
    function* () {
      const locks = yield* AdvisoryLocks
      for (const ending of [Effect.void, Effect.fail("stop")]) {
        const key = yield* unique("lock")
        const end = yield* holding(key, ending)
        assert.equal(yield* isFree(key), false)
        const waiting = yield* Effect.forkChild(reasonOf(Effect.scoped(locks.lease(key, { wait: "200 millis" }))))
        yield* passTime("400 millis")
        assert.equal(yield* Fiber.join(waiting), "Conflict")
        yield* end
        assert.equal(yield* isFree(key), true)
      }
    }
  ),
  "a transaction finds the lock of a lease taken": Effect.gen(function* () {
    const locks = yield* AdvisoryLocks
    const transaction = yield* Transaction
    const [key, leased] = [yield* unique("lock"), yield* unique("lock")]
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* locks.lease(leased)
        yield* transaction.run(
          Effect.gen(function* () {
            yield* locks.withinTransaction(key)
            assert.equal(yield* locks.tryWithinTransaction(leased), false)
          })
        )
      })
    )
    assert.equal(yield* isFree(key), true)
    assert.equal(yield* isFree(leased), true)
  }),
  "a lock taken in a savepoint goes with it where that is rolled back, and stays where it is not": Effect.gen(
    function* () {
      const locks = yield* AdvisoryLocks
      const transaction = yield* Transaction
      const [undone, kept] = [yield* unique("lock"), yield* unique("lock")]
      yield* transaction.run(
        Effect.gen(function* () {
          yield* Effect.exit(transaction.run(Effect.andThen(locks.withinTransaction(undone), Effect.fail("stop"))))
          yield* transaction.run(locks.withinTransaction(kept))
          assert.equal(yield* isFree(undone), true)
          assert.equal(yield* isFree(kept), false)
        })
      )
      assert.equal(yield* isFree(kept), true)
    }
  )
}

/** What every implementation of `AdvisoryLocks` does, beside the `Transaction` of the same store. */
export const AdvisoryLocksContract: Contract<AdvisoryLocks | Transaction> = make("AdvisoryLocks", {
  ...inTransactions,
  ...besideEachOther
})

/** The part of it that holds where there is one connection, as on the embedded engine: no leases, and no two transactions at once. */
export const AdvisoryLocksInTransactionsContract: Contract<AdvisoryLocks | Transaction> = make(
  "AdvisoryLocks",
  inTransactions
)
