import { it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Latch, Option, Schema } from "effect"
import type { Statement } from "effect/sql/Statement"
import assert from "node:assert/strict"
import { Deadline, within } from "../../../src/core/Deadline.ts"
import { makeComposedLookup, makeLookup } from "../../../src/postgres/repository/Lookup.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { rowReader } from "../../../src/postgres/repository/Row.ts"
import * as Tenant from "../../../src/postgres/Tenant.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { untilIdle } from "../activity.ts"
import { freshClient } from "../freshClient.ts"

const Note = Schema.Struct({ id: Schema.Int, text: Schema.String })

/** A lookup of notes 1 to 20, and what its statements have sought. */
const notes = (
  options: {
    readonly maxKeys?: number
    readonly statement?: (ids: ReadonlyArray<number>) => Statement<{ readonly id: number }>
  } = {}
) =>
  Effect.gen(function* () {
    const client = yield* PostgresClient
    yield* client.sql`create table if not exists notes (id integer primary key, text text)`
    yield* client.sql`insert into notes select i, 'note ' || i from generate_series(1, 20) i on conflict do nothing`
    const sought: Array<ReadonlyArray<number>> = []
    const select = (ids: ReadonlyArray<number>) =>
      client.keyed<{ readonly id: number }>`select id, text from notes where id = any(${ids})`
    const lookup = makeLookup(client, {
      operation: "Notes.findById",
      select: (ids: ReadonlyArray<number>) => {
        sought.push(ids)
        return (options.statement ?? select)(ids)
      },
      key: ({ id }) => id,
      rows: rowReader(Note),
      maxKeys: options.maxKeys
    })
    return { client, sought, ...lookup }
  })

const note = (id: number) => Option.some({ id, text: `note ${id}` })
const together = { concurrency: "unbounded" } as const

describeLive("postgresql", "Lookup", () => {
  const live = Effect.provide(freshClient())

  it.live("seeks by one statement what is asked for at once, each key once", () =>
    Effect.gen(function* () {
      const { find, sought } = yield* notes()
      const found = yield* Effect.forEach([3, 1, 99, 3], find, together)
      assert.deepEqual(found, [note(3), note(1), Option.none(), note(3)])
      assert.deepEqual(sought, [[3, 1, 99]])
    }).pipe(live)
  )

  it.live("seeks one after the other what is asked for one after the other", () =>
    Effect.gen(function* () {
      const { find, sought } = yield* notes()
      assert.deepEqual(yield* Effect.forEach([2, 1], find), [note(2), note(1)])
      assert.deepEqual(sought, [[2], [1]])
    }).pipe(live)
  )

  it.live("seeks a key that is asked for alone by the statement for one, where there is one", () =>
    Effect.gen(function* () {
      const { client, sought } = yield* notes()
      const lookup = makeLookup(client, {
        operation: "Notes.findById",
        select: (ids: ReadonlyArray<number>) => {
          sought.push(ids)
          return client.keyed<{ readonly id: number }>`select id, text from notes where id = any(${ids})`
        },
        selectOne: (id) => client.keyed<{ readonly id: number }>`select id, text from notes where id = ${id}`,
        key: ({ id }) => id,
        rows: rowReader(Note)
      })
      assert.deepEqual(yield* Effect.forEach([5, 99], lookup.find), [note(5), Option.none()])
      assert.deepEqual(yield* lookup.findMany([5]), [note(5)])
      assert.deepEqual(sought, [])
      assert.deepEqual(yield* Effect.forEach([5, 99], lookup.find, together), [note(5), Option.none()])
      assert.deepEqual(sought, [[5, 99]])
    }).pipe(live)
  )

  it.live("seeks at most so many keys by one statement", () =>
    Effect.gen(function* () {
      const { find, findMany, sought } = yield* notes({ maxKeys: 3 })
      const ids = [1, 2, 3, 4, 2, 5, 6, 7]
      assert.deepEqual(yield* Effect.forEach(ids, find, together), ids.map(note))
      assert.deepEqual(sought.splice(0), [[1, 2, 3], [4, 5, 6], [7]])
      assert.deepEqual(yield* findMany(ids), ids.map(note))
      assert.deepEqual(sought, [[1, 2, 3], [4, 5, 6], [7]])
    }).pipe(live)
  )

  it.live("finds nothing for no keys, without asking", () =>
    Effect.gen(function* () {
      const { findMany, sought } = yield* notes()
      assert.deepEqual(yield* findMany([]), [])
      assert.deepEqual(sought, [])
    }).pipe(live)
  )

  it.live("never seeks by one statement for two transactions, or for inside and outside", () =>
    Effect.gen(function* () {
      const { client, find, sought } = yield* notes()
      const transaction = yield* Transaction
      const [ready, done] = [yield* Latch.make(false), yield* Latch.make(false)]
      const inside = (text: string) =>
        transaction.run(
          Effect.gen(function* () {
            yield* client.query(
              { operation: "test", kind: "write" },
              client.keyed`insert into notes values (${text.length + 30}, ${text})`
            )
            yield* ready.await
            const found = yield* Effect.forEach([31, 32, 1], find, together)
            yield* done.await
            return found
          })
        )
      const outside = Effect.andThen(ready.await, Effect.forEach([31, 32, 1], find, together)).pipe(
        Effect.ensuring(done.open)
      )
      const all = yield* Effect.forkChild(Effect.all([inside("a"), inside("bb"), outside], together))
      yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 2 })
      yield* Effect.sleep("100 millis")
      yield* ready.open
      assert.deepEqual(yield* Fiber.join(all), [
        [Option.some({ id: 31, text: "a" }), Option.none(), note(1)],
        [Option.none(), Option.some({ id: 32, text: "bb" }), note(1)],
        [Option.none(), Option.none(), note(1)]
      ])
      assert.deepEqual(sought, [
        [31, 32, 1],
        [31, 32, 1],
        [31, 32, 1]
      ])
    }).pipe(live)
  )

  it.live("never seeks by one statement for two tenants, or for one and none", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const { find, sought } = yield* notes({
        statement: (ids) => client.keyed`select id, coalesce(current_setting('ai_core.tenant', true), '') as text
          from notes where id = any(${ids})`
      })
      const found = yield* Effect.all(
        [find(1).pipe(Tenant.within("a")), find(1).pipe(Tenant.within("b")), find(1), find(2).pipe(Tenant.within("a"))],
        together
      )
      assert.deepEqual(
        found.map((row) => Option.map(row, ({ text }) => text)),
        [Option.some("a"), Option.some("b"), Option.some(""), Option.some("a")]
      )
      assert.deepEqual(sought.length, 3)
    }).pipe(live)
  )

  it.live("a failure of the statement fails those who wait for it and nobody else", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const { find } = yield* notes({
        statement: (ids) => client.keyed`select id, text, 1 / (${ids.length} - 2) from notes where id = any(${ids})`
      })
      const errors = yield* Effect.forEach([1, 2], (id) => Effect.flip(find(id)), together)
      assert.deepEqual(
        errors.map(({ operation, outcome }) => [operation, outcome]),
        [
          ["Notes.findById", "not-applied"],
          ["Notes.findById", "not-applied"]
        ]
      )
      assert.deepEqual(yield* find(1), note(1))
    }).pipe(live)
  )

  it.live("a defect of the lookup itself reaches all who wait for it", () =>
    Effect.gen(function* () {
      const { find } = yield* notes({
        statement: () => {
          throw new Error("no such index")
        }
      })
      const exits = yield* Effect.forEach([1, 2, 3], (id) => Effect.exit(find(id)), together)
      for (const exit of exits) assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /no such index/)
    }).pipe(live)
  )

  it.live("a row that cannot be read fails those who asked for it and nobody else", () =>
    Effect.gen(function* () {
      const { client, find, findMany, sought } = yield* notes()
      yield* client.sql`update notes set text = null where id = 2`
      const found = yield* Effect.forEach([1, 2, 3, 2], (id) => Effect.result(find(id)), together)
      assert.deepEqual(
        found.map(({ _tag }) => _tag),
        ["Success", "Failure", "Success", "Failure"]
      )
      assert.equal(sought.length, 1)
      const error = yield* Effect.flip(findMany([1, 2]))
      assert.ok(error.reason._tag === "InvalidData")
      assert.deepEqual(error.reason.problems, [{ field: "text", problem: "must be string" }])
    }).pipe(live)
  )

  it.live("each waits until his own deadline", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const { find, sought } = yield* notes({
        statement: (ids) => client.keyed`select id, text, pg_sleep(0.4)::text from notes where id = any(${ids})`
      })
      const [hasty, patient] = yield* Effect.all(
        [Effect.flip(find(1).pipe(within("50 millis"))), find(2).pipe(within("10 seconds"))],
        together
      )
      assert.equal(hasty.reason._tag, "Timeout")
      assert.equal(hasty.operation, "Notes.findById")
      assert.deepEqual(patient, note(2))
      const [first, second] = yield* Effect.all(
        [find(3).pipe(within("10 seconds")), Effect.flip(find(4).pipe(within("50 millis")))],
        together
      )
      assert.deepEqual(first, note(3))
      assert.equal(second.reason._tag, "Timeout")
      assert.equal(sought.length, 2)
    }).pipe(live)
  )

  it.live("is not sent where the deadline has passed", () =>
    Effect.gen(function* () {
      const { find, sought } = yield* notes()
      const past = Effect.provideService(find(1), Deadline, (yield* Clock.currentTimeMillis) - 1)
      assert.equal((yield* Effect.flip(past)).reason._tag, "Timeout")
      assert.deepEqual(sought, [])
    }).pipe(live)
  )

  it.live("one who is interrupted leaves the others their answer; when all are, nothing is left behind", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const asked = yield* Deferred.make<void>()
      const { find, sought } = yield* notes({
        statement: (ids) => {
          Deferred.doneUnsafe(asked, Effect.void)
          return client.keyed`select id, text, pg_sleep(0.3)::text from notes where id = any(${ids})`
        }
      })
      const [gone, kept] = [yield* Effect.forkChild(find(1)), yield* Effect.forkChild(find(2))]
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(gone)
      assert.deepEqual(yield* Fiber.join(kept), note(2))
      assert.equal(sought.length, 1)

      const early = yield* Effect.forkChild(find(3), { startImmediately: true })
      yield* Fiber.interrupt(early)
      assert.deepEqual(yield* find(4), note(4))
      assert.deepEqual(sought.slice(1), [[4]], "who left in the same turn is not sought any more")

      const started = { startImmediately: true } as const
      const staying = yield* Effect.forkChild(find(5), started)
      yield* Fiber.interrupt(yield* Effect.forkChild(find(6), started))
      const other = yield* Effect.forkChild(find(7), started)
      assert.deepEqual([yield* Fiber.join(staying), yield* Fiber.join(other)], [note(5), note(7)])
      assert.deepEqual(sought.slice(2), [[5, 7]], "nor is who joined others and left them")

      const leader = yield* Effect.forkChild(find(8), started)
      const follower = yield* Effect.forkChild(find(9), started)
      yield* Fiber.interrupt(leader)
      assert.deepEqual(yield* Fiber.join(follower), note(9))
      assert.deepEqual(sought.slice(3), [[9]], "who asked first does not take the others with him")
      assert.equal((yield* client.stats).inUse, 0)
    }).pipe(live)
  )

  it.live("composes what several statements find, once for all who ask at once", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const sought: Array<ReadonlyArray<number>> = []
      const composed = makeComposedLookup(client, {
        operation: "Notes.composed",
        find: (ids: ReadonlyArray<number>) =>
          Effect.gen(function* () {
            sought.push(ids)
            const ask = { operation: "Notes.composed", kind: "read" } as const
            const statement = client.keyed<{ readonly id: number }>`select id from notes where id = any(${ids})`
            const rows = yield* client.query(ask, statement)
            const sizes = client.keyed<{
              readonly n: number
            }>`select length(text) as n from notes where id = any(${ids})`
            const lengths = yield* client.query(ask, sizes)
            return rows.map(({ id }, i) => ({ id, length: lengths[i]?.n }))
          }),
        key: ({ id }) => id
      })
      const three = Option.some({ id: 3, length: 6 })
      assert.deepEqual(yield* Effect.forEach([3, 99, 3], composed.find, together), [three, Option.none(), three])
      assert.deepEqual(yield* composed.findMany([99, 3]), [Option.none(), three])
      assert.deepEqual(yield* composed.find(3), three)
      assert.deepEqual(sought, [[3, 99], [99, 3], [3]])
    }).pipe(live)
  )

  it.live("inside a transaction the statement ends when all who wait for it are interrupted", () =>
    Effect.gen(function* () {
      const { client } = yield* notes()
      const { run } = yield* Transaction
      const { find } = yield* notes({
        statement: (ids) => client.keyed`select id, text, pg_sleep(20)::text from notes where id = any(${ids})`
      })
      const startedAt = yield* Clock.currentTimeMillis
      const found = yield* run(Effect.forEach([1, 2], find, together)).pipe(Effect.timeoutOption("300 millis"))
      assert.deepEqual(found, Option.none())
      assert.ok((yield* Clock.currentTimeMillis) - startedAt < 15_000)
      assert.equal((yield* client.stats).inUse, 0)
      yield* untilIdle(client.sql)
    }).pipe(live)
  )
})
