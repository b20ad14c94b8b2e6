import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as assert from "node:assert/strict"
import { within } from "../../core/Deadline.ts"
import { Conflict, isStoreError, StoreError } from "../../core/StoreError.ts"
import { type NewUser, Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { untyped } from "../Expectations.ts"

type Run = Effect.Effect<void, unknown, Users | Transaction>

const fresh: Effect.Effect<NewUser> = Effect.map(unique("user"), (name) => ({
  email: `${name}@example.com`,
  username: name,
  passwordHash: Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")
}))

const exists = ({ email }: NewUser): Effect.Effect<boolean, unknown, Users> =>
  Effect.flatMap(Users, (users) => Effect.map(users.findByEmail(email), Option.isSome))

const stop = { _tag: "Stop" } as const

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StoreError, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), `failed with ${String(error)}`)
    return error
  })

const fieldsOf = ({ reason }: StoreError): ReadonlyArray<string> =>
  reason._tag === "InvalidData" ? reason.problems.map(({ field }) => field) : [reason._tag]

const conflict = (code: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation: "Test.conflict",
    outcome: "not-applied",
    reason: new Conflict({ code })
  })

/** Fails this often before it succeeds, and counts how often it ran. */
const failing = (times: number, error: StoreError) => {
  const runs = { count: 0 }
  const effect = Effect.suspend(() => (++runs.count <= times ? Effect.fail(error) : Effect.succeed("done")))
  return { runs, effect }
}

const options: Record<string, Run> = {
  "every isolation level, read-only and deferrable are accepted": Effect.gen(function* () {
    const transaction = yield* Transaction
    const given = yield* fresh
    const users = yield* Users
    for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
      assert.equal(yield* transaction.run(exists(given), { isolation }), false)
    }
    yield* transaction.run(users.create(given), { isolation: "serializable", deferrable: false, readOnly: false })
    const read = transaction.run(exists(given), { isolation: "serializable", readOnly: true, deferrable: true })
    assert.equal(yield* read, true)
  }),
  "a transaction is what was asked for: one nested in it may ask for the same, and for nothing else": Effect.gen(
    function* () {
      const transaction = yield* Transaction
      for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
        for (const readOnly of [true, false]) {
          for (const deferrable of [true, false]) {
            const asked = { isolation, readOnly, deferrable }
            const other = isolation === "serializable" ? "repeatable read" : "serializable"
            yield* transaction.run(
              Effect.gen(function* () {
                yield* transaction.run(Effect.void, asked)
                for (const [field, otherwise] of [
                  ["isolation", { isolation: other }],
                  ["readOnly", { readOnly: !readOnly }],
                  ["deferrable", { deferrable: !deferrable }]
                ] as const) {
                  const refused = yield* failure(transaction.run(Effect.die("ran"), otherwise))
                  assert.deepEqual(fieldsOf(refused), [field], JSON.stringify({ asked, otherwise }))
                }
              }),
              asked
            )
          }
        }
      }
    }
  ),
  "a write in a read-only transaction is refused, and a read is not": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    assert.equal(yield* transaction.run(exists(given), { readOnly: true }), false)
    const error = yield* failure(transaction.run(users.create(given), { readOnly: true }))
    assert.ok(error.reason._tag === "NotPrimary", error.message)
    assert.equal(error.reason.code, "25006")
    assert.equal(error.outcome, "not-applied")
    assert.equal(yield* exists(given), false)
    yield* transaction.run(users.create(given))
    assert.equal(yield* exists(given), true)
  }),
  "one that takes longer than its timeout is rolled back: Timeout, not applied": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    const written = yield* Deferred.make<void>()
    const running = yield* Effect.forkChild(
      failure(
        transaction.run(
          users.create(given).pipe(Effect.andThen(Deferred.succeed(written, undefined)), Effect.andThen(Effect.never)),
          { timeout: "1 second" }
        )
      )
    )
    yield* Deferred.await(written)
    yield* passTime("1100 millis")
    const error = yield* Fiber.join(running)
    assert.equal(error.reason._tag, "Timeout", error.message)
    assert.equal(error.outcome, "not-applied")
    assert.equal(yield* exists(given), false)
    yield* transaction.run(users.create(given))
  }),
  "the Context's deadline bounds it too": Effect.gen(function* () {
    const transaction = yield* Transaction
    const running = yield* Effect.forkChild(
      failure(within("300 millis")(transaction.run(Effect.never, { timeout: "1 hour" })))
    )
    yield* passTime("400 millis")
    assert.equal((yield* Fiber.join(running)).reason._tag, "Timeout")
  }),
  "options that are none are refused by their names, and become no part of a statement": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    yield* users.create(given)
    const isolation = untyped("read committed; delete from ai_core.users; --")
    for (const [fields, wrong] of [
      [["isolation"], { isolation }],
      [["isolation"], { isolation: untyped("read uncommitted") }],
      [["readOnly", "deferrable"], { readOnly: untyped("no"), deferrable: untyped(0) }],
      [["timeout", "retry"], { timeout: untyped("soon"), retry: untyped("often") }]
    ] as const) {
      const refused = yield* failure(transaction.run(Effect.die("ran"), wrong))
      assert.deepEqual([fieldsOf(refused), refused.outcome], [fields, "not-applied"])
    }
    assert.equal(yield* exists(given), true)
  }),
  "a nested one that asks for what the transaction around is not is refused by the fields": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    yield* transaction.run(
      Effect.gen(function* () {
        const refused = yield* failure(
          transaction.run(Effect.die("ran"), { isolation: "serializable", readOnly: true, deferrable: true })
        )
        assert.deepEqual(fieldsOf(refused), ["isolation", "readOnly", "deferrable"])
        assert.equal(refused.outcome, "not-applied")
        yield* transaction.run(users.create(given), { isolation: "repeatable read", readOnly: false })
      }),
      { isolation: "repeatable read" }
    )
    assert.equal(yield* exists(given), true)
    yield* transaction.run(
      Effect.gen(function* () {
        const refused = yield* failure(transaction.run(Effect.void, { isolation: "repeatable read" }))
        assert.deepEqual(fieldsOf(refused), ["isolation"])
        yield* transaction.run(Effect.void, { isolation: "read committed", readOnly: false, deferrable: false })
      })
    )
  })
}

const repeating: Record<string, Run> = {
  "after a conflict the whole effect is run again": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    for (const code of ["40001", "40P01"]) {
      const given = yield* fresh
      const { effect, runs } = failing(2, conflict(code))
      const work = Effect.andThen(users.create(given), effect)
      assert.equal(yield* transaction.run(work, { retry: Schedule.recurs(3) }), "done")
      assert.equal(runs.count, 3)
      assert.equal(yield* exists(given), true)
    }
  }),
  "it gives up with the schedule, and says how often it tried": Effect.gen(function* () {
    const transaction = yield* Transaction
    const { effect, runs } = failing(9, conflict("40001"))
    const error = yield* failure(transaction.run(effect, { retry: Schedule.recurs(2) }))
    assert.equal(runs.count, 3)
    assert.ok(error.reason._tag === "Conflict")
    assert.equal(error.reason.attempts, 3)
    assert.equal(error.reason.code, "40001")
  }),
  "it is run once where that is asked for, and after any other failure": Effect.gen(function* () {
    const transaction = yield* Transaction
    const once = failing(1, conflict("40001"))
    yield* failure(transaction.run(once.effect, { retry: false }))
    assert.equal(once.runs.count, 1)
    const locked = failing(1, conflict("55P03"))
    yield* failure(transaction.run(locked.effect))
    assert.equal(locked.runs.count, 1)
  }),
  "a nested one is not run again by itself, but with the transaction around": Effect.gen(function* () {
    const transaction = yield* Transaction
    const { effect, runs } = failing(1, conflict("40P01"))
    let outer = 0
    yield* transaction.run(
      Effect.suspend(() => {
        outer++
        return transaction.run(effect, { retry: Schedule.recurs(5) })
      }),
      { retry: Schedule.recurs(1) }
    )
    assert.deepEqual([outer, runs.count], [2, 2])
  }),
  "no attempt begins that the timeout leaves no time for": Effect.gen(function* () {
    const transaction = yield* Transaction
    const { effect, runs } = failing(9, conflict("40001"))
    const error = yield* failure(transaction.run(effect, { retry: Schedule.spaced("1 hour"), timeout: "10 seconds" }))
    assert.equal(error.reason._tag, "Conflict")
    assert.equal(runs.count, 1)
  })
}

const afterCommit: Record<string, Run> = {
  "actions run once after COMMIT, in order, and see what was committed": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    const log: Array<string> = []
    const note = (text: string) => transaction.afterCommit(Effect.sync(() => log.push(text)))
    yield* transaction.run(
      Effect.gen(function* () {
        yield* note("first")
        yield* transaction.run(note("nested"))
        yield* users.create(given)
        yield* transaction.afterCommit(
          Effect.ignore(Effect.map(exists(given), (stored) => log.push(`stored: ${stored}`)))
        )
        yield* note("last")
        assert.deepEqual(log, [])
      })
    )
    assert.deepEqual(log, ["first", "nested", "stored: true", "last"])
  }),
  "outside a transaction an action runs at once": Effect.gen(function* () {
    const transaction = yield* Transaction
    let ran = false
    yield* transaction.afterCommit(
      Effect.sync(() => {
        ran = true
      })
    )
    assert.ok(ran)
  }),
  "no action of what is rolled back runs: the transaction, a savepoint, an attempt": Effect.gen(function* () {
    const transaction = yield* Transaction
    const log: Array<string> = []
    const note = (text: string) => transaction.afterCommit(Effect.sync(() => log.push(text)))
    yield* Effect.exit(transaction.run(Effect.andThen(note("failed"), Effect.fail(stop))))
    yield* Effect.exit(transaction.run(Effect.andThen(note("interrupted"), Effect.interrupt)))
    yield* transaction.run(
      Effect.gen(function* () {
        yield* Effect.exit(transaction.run(Effect.andThen(note("savepoint"), Effect.fail(stop))))
        yield* note("kept")
      })
    )
    const { effect } = failing(1, conflict("40001"))
    yield* transaction.run(Effect.andThen(note("attempt"), effect), { retry: Schedule.recurs(1) })
    assert.deepEqual(log, ["kept", "attempt"])
  }),
  "an action that dies leaves the transaction a success, and the others run": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const given = yield* fresh
    let ran = false
    yield* transaction.run(
      Effect.gen(function* () {
        yield* users.create(given)
        yield* transaction.afterCommit(Effect.die("a bug"))
        yield* transaction.afterCommit(
          Effect.sync(() => {
            ran = true
          })
        )
      })
    )
    assert.ok(ran)
    assert.equal(yield* exists(given), true)
  })
}

const sharing: Record<string, Run> = {
  "of two nested ones at once, one that fails undoes its own rows only": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const [kept, undone, beside] = [
      yield* Effect.all([fresh, fresh, fresh]),
      yield* Effect.all([fresh, fresh, fresh]),
      yield* Effect.all([fresh, fresh, fresh])
    ]
    const open = yield* Deferred.make<void>()
    const createAll = (all: ReadonlyArray<NewUser>) => Effect.forEach(all, users.create, { discard: true })
    const doomed = Effect.gen(function* () {
      yield* createAll(undone)
      yield* Deferred.succeed(open, undefined)
      // Meanwhile the others ask for their turn.
      yield* passTime("50 millis")
      return yield* Effect.fail(stop)
    })
    yield* transaction.run(
      Effect.all(
        [
          Effect.exit(transaction.run(doomed)),
          Effect.andThen(Deferred.await(open), transaction.run(createAll(kept))),
          Effect.andThen(Deferred.await(open), createAll(beside))
        ],
        { concurrency: "unbounded" }
      )
    )
    for (const user of [...kept, ...beside]) assert.equal(yield* exists(user), true)
    for (const user of undone) assert.equal(yield* exists(user), false)
  }),
  "many fibers at once, each with its own nested one: exactly the rows of those that succeed": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const all = yield* Effect.forEach(Array.from({ length: 12 }), () => fresh)
    yield* transaction.run(
      Effect.forEach(
        all,
        (user, i) =>
          Effect.exit(
            transaction.run(
              Effect.andThen(transaction.run(users.create(user)), i % 3 === 0 ? Effect.fail(stop) : Effect.void)
            )
          ),
        { concurrency: "unbounded", discard: true }
      )
    )
    assert.deepEqual(
      yield* Effect.forEach(all, exists),
      all.map((_, i) => i % 3 !== 0)
    )
  }),
  "a call that outlives its transaction, or its nested one, is refused": Effect.gen(function* () {
    const transaction = yield* Transaction
    const users = yield* Users
    const [late, later] = [yield* fresh, yield* fresh]
    const gate = yield* Deferred.make<void>()
    const waiting = (user: NewUser) =>
      Effect.forkDetach(Effect.exit(Effect.andThen(Deferred.await(gate), users.create(user))))
    const outlived = yield* transaction.run(
      Effect.gen(function* () {
        const fiber = yield* transaction.run(waiting(late))
        yield* Deferred.succeed(gate, undefined)
        const exit = yield* Fiber.join(fiber)
        assert.ok(Exit.isFailure(exit))
        return yield* Effect.forkDetach(Effect.exit(Effect.andThen(passTime("20 millis"), users.create(later))))
      })
    )
    yield* passTime("50 millis")
    assert.ok(Exit.isFailure(yield* Fiber.join(outlived)))
    assert.equal(yield* exists(late), false)
    assert.equal(yield* exists(later), false)
  })
}

const outcomes: Record<string, Run> = {
  "what became of a transaction is told by its id": Effect.gen(function* () {
    const transaction = yield* Transaction
    let committed = ""
    let aborted = ""
    yield* transaction.run(
      Effect.gen(function* () {
        committed = yield* transaction.id
        assert.equal(yield* transaction.id, committed)
        assert.equal(yield* transaction.run(transaction.outcomeOf(committed)), "in progress")
      })
    )
    yield* Effect.exit(
      transaction.run(
        Effect.gen(function* () {
          aborted = yield* transaction.id
          return yield* Effect.fail(stop)
        })
      )
    )
    assert.notEqual(committed, aborted)
    assert.equal(yield* transaction.outcomeOf(committed), "committed")
    assert.equal(yield* transaction.outcomeOf(aborted), "aborted")
  }),
  "an id that is none is refused, and outside a transaction there is none": Effect.gen(function* () {
    const transaction = yield* Transaction
    assert.deepEqual(fieldsOf(yield* failure(transaction.outcomeOf("1; drop table users"))), ["id"])
    assert.equal((yield* failure(transaction.id)).reason._tag, "InvalidStatement")
  })
}

/** What every implementation of `Transaction` does, beside `Users` of the same store, which its cases write with. */
export const TransactionContract: Contract<Users | Transaction> = make("Transaction", {
  ...options,
  ...repeating,
  ...afterCommit,
  ...sharing,
  ...outcomes
})
