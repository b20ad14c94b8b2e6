import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Stream } from "effect"
import * as assert from "node:assert/strict"
import type { StoreError } from "../../src/core/StoreError.ts"
import { AuditLog, type NewAuditEntry } from "../../src/platform/audit/AuditLog.ts"
import { Users } from "../../src/platform/users/Users.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { unique } from "../../src/testing/Contract.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { describeLive } from "../servers/index.ts"
import { healthy, race, repositories, settled, tally } from "./manyCallers.ts"

const stop = { _tag: "Stop" } as const

const entry = (action: string, i: number): NewAuditEntry => ({
  action,
  subjectKind: "thing",
  subjectId: String(i),
  detail: { i }
})

const aKind = Effect.map(unique("act"), (action) => action.toLowerCase())

/** What is told of an action, to the end of the list. */
const told = (action: string) =>
  Effect.gen(function* () {
    const log = yield* AuditLog
    const entries = yield* Stream.runCollect(log.stream({ action }))
    return entries.map(({ subjectId }) => Number(subjectId)).toSorted((a, b) => a - b)
  })

describeLive("postgresql", "AuditLog on a server, many callers at once", () => {
  it.layer(repositories(8), { excludeTestServices: true, timeout: "1 minute" })("pool of 8", (it) => {
    it.effect("of 30 transactions that append, exactly those that are committed are told of, whole", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const { run } = yield* Transaction
        const action = yield* aKind
        const exits = yield* race(30, (i) =>
          run(
            Effect.gen(function* () {
              yield* log.append(entry(action, 100 + i))
              yield* log.appendMany([entry(action, 200 + i), entry(action, 300 + i)])
              if (i % 3 === 0) return yield* Effect.fail(stop)
            })
          )
        )
        assert.deepEqual(tally(exits), { won: 20, Stop: 10 })
        const kept = Array.from({ length: 30 }, (_, i) => i).filter((i) => i % 3 !== 0)
        assert.deepEqual(
          yield* told(action),
          [100, 200, 300].flatMap((n) => kept.map((i) => n + i))
        )
        yield* healthy
      })
    )

    it.effect("what a savepoint took back is not told of, the rest of its transaction is", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const { run } = yield* Transaction
        const action = yield* aKind
        yield* race(12, (i) =>
          run(
            Effect.gen(function* () {
              yield* log.append(entry(action, i))
              yield* Effect.exit(run(Effect.andThen(log.append(entry(action, 1000 + i)), Effect.fail(stop))))
            })
          )
        )
        assert.deepEqual(
          yield* told(action),
          Array.from({ length: 12 }, (_, i) => i)
        )
        yield* healthy
      })
    )

    it.effect("an act and its entry are there together, or neither, whoever is interrupted", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const users = yield* Users
        const { run } = yield* Transaction
        const action = yield* aKind
        const made = yield* Effect.forEach(Array.from({ length: 60 }), () => someUser())
        yield* Effect.forEach(
          made,
          ({ id }, i) =>
            Effect.timeoutOption(
              run(Effect.andThen(users.update(id, 1, { username: `${action}-${i}` }), log.append(entry(action, i)))),
              `${(i % 12) + 1} millis`
            ),
          { concurrency: 12 }
        )
        yield* settled
        const entries = new Set(yield* told(action))
        const found = yield* users.findMany(made.map(({ id }) => id))
        for (const [i, user] of found.entries()) {
          assert.equal(user._tag === "Some" && user.value.version === 2, entries.has(i), `act ${i} and its entry`)
        }
        yield* healthy
      })
    )

    it.effect("an open transaction's entries are seen by itself alone, and nobody waits for it", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const { run } = yield* Transaction
        const action = yield* aKind
        const [appended, passed] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const [inside, outside] = yield* Effect.all(
          [
            run(
              Effect.gen(function* () {
                yield* log.append(entry(action, 1))
                yield* Deferred.succeed(appended, undefined)
                yield* Deferred.await(passed)
                return yield* told(action)
              })
            ),
            Deferred.await(appended).pipe(
              Effect.andThen(log.append(entry(action, 2))),
              Effect.andThen(told(action)),
              // The transaction waits for this one: were it the other way round too, neither would end.
              Effect.timeout("20 seconds"),
              Effect.tap(() => Deferred.succeed(passed, undefined))
            )
          ],
          { concurrency: 2 }
        )
        assert.deepEqual([inside, outside], [[1, 2], [2]])
        assert.deepEqual(yield* told(action), [1, 2])
      })
    )

    it.effect("a list that is read while others append has each of its entries once", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const action = yield* aKind
        yield* log.appendMany(Array.from({ length: 40 }, (_, i) => entry(action, i)))
        const exits = yield* race(12, (i): Effect.Effect<ReadonlyArray<string>, StoreError> =>
          i % 2 === 0
            ? Effect.forEach([0, 1, 2], (n) => Effect.map(log.append(entry(action, 1000 + 10 * i + n)), ({ id }) => id))
            : Effect.map(Stream.runCollect(log.stream({ action })), (entries) => entries.map(({ id }) => id))
        )
        for (const [i, exit] of exits.entries()) {
          assert.ok(Exit.isSuccess(exit))
          assert.equal(new Set(exit.value).size, exit.value.length)
          assert.ok(i % 2 === 0 || exit.value.length >= 40)
        }
        assert.equal((yield* told(action)).length, 58)
        yield* healthy
      })
    )
  })
})
