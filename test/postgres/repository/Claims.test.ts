import { describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber, Option } from "effect"
import * as assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { makeClaims } from "../../../src/postgres/repository/Claims.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { memoryClaims } from "../../../src/postgres/memory/MemoryClaims.ts"
import { memoryTable } from "../../../src/postgres/memory/MemoryTable.ts"
import * as PostgresMemory from "../../../src/postgres/PostgresMemory.ts"
import {
  failed,
  isHeldBy,
  isReady,
  isSpent,
  LeaseToken,
  pauseAfter,
  taken,
  type WorkItem
} from "../../../src/postgres/repository/WorkItem.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"
import { sharedEngine } from "../sharedEngine.ts"

const states = { waiting: "todo", running: "doing", dead: "dead" } as const

const newToken = (): LeaseToken => LeaseToken.make(randomUUID())

interface Job {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly last_error: string | null
}

const jobs = Effect.gen(function* () {
  const { sql } = yield* PostgresClient
  yield* sql`create table if not exists jobs (
    id uuid primary key default gen_random_uuid(), state text not null default 'todo', kind text not null default 'a',
    attempts int not null default 0, max_attempts int not null default 2, available_at timestamptz not null default now(),
    lease_token uuid, lease_until timestamptz, last_error text)`
  yield* sql`truncate jobs`
  const claims = makeClaims(sql, { table: "jobs", states })
  const returning = sql`id, state, w.attempts, last_error`
  return {
    sql,
    claims,
    add: (n: number) => sql`insert into jobs (kind) select 'a' from generate_series(1, ${n}::int)`,
    take: (limit: number, token: LeaseToken, lease: Duration.Input = "1 minute") =>
      claims.take<Job>({ limit, lease, token, returning }),
    bury: claims.bury<Job>(returning),
    all: sql<Job>`select id, state, attempts, last_error from jobs`
  }
})

describeLive("postgresql", "Claims", () => {
  it.layer(freshClient(), { excludeTestServices: true })("on a server", (it) => {
    it.effect("each row goes to one of many workers", () =>
      Effect.gen(function* () {
        const { add, take } = yield* jobs
        yield* add(200)
        const batches = yield* Effect.forEach(Array.from({ length: 40 }), () => take(10, newToken()), {
          concurrency: 40
        })
        const ids = batches.flat().map(({ id }) => id)
        assert.equal(ids.length, 200)
        assert.equal(new Set(ids).size, 200)
      })
    )

    it.effect("a row that another is taking is skipped, not waited for", () =>
      Effect.gen(function* () {
        const { add, take } = yield* jobs
        const transaction = yield* Transaction
        yield* add(3)
        const took = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const other = yield* Effect.forkChild(
          transaction.run(
            Effect.gen(function* () {
              assert.equal((yield* take(2, newToken())).length, 2)
              yield* Deferred.succeed(took, undefined)
              yield* Deferred.await(go)
            })
          )
        )
        yield* Deferred.await(took)
        assert.equal((yield* take(5, newToken())).length, 1)
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(other)
        assert.equal((yield* take(5, newToken())).length, 0)
      })
    )

    it.effect("who holds a row can finish it until the lease ends, and nobody else", () =>
      Effect.gen(function* () {
        const { add, claims, sql, take } = yield* jobs
        yield* add(1)
        const token = newToken()
        const [job] = yield* take(1, token, "200 millis")
        const finish = (by: LeaseToken) =>
          sql`update jobs set ${claims.released}, state = 'done' where ${claims.heldBy(job!.id, by)} returning id`
        assert.equal((yield* finish(newToken())).length, 0)
        const renewed = yield* sql`update jobs set ${claims.renewed("400 millis")}
          where ${claims.heldBy(job!.id, token)} returning id`
        assert.equal(renewed.length, 1)
        yield* Effect.sleep("250 millis")
        assert.equal((yield* take(1, newToken())).length, 0)
        yield* Effect.sleep("200 millis")
        assert.equal((yield* finish(token)).length, 0)
        assert.equal((yield* take(1, newToken()))[0]?.attempts, 2)
      })
    )

    it.effect("a failed row waits for its next try, and is dead after the last", () =>
      Effect.gen(function* () {
        const { add, all, claims, sql, take } = yield* jobs
        yield* add(1)
        const fail = (id: string, token: LeaseToken) =>
          sql`update jobs set ${claims.failed("no luck", "150 millis")} where ${claims.heldBy(id, token)} returning id`
        const first = newToken()
        const [job] = yield* take(1, first)
        yield* fail(job!.id, first)
        assert.equal((yield* take(1, newToken())).length, 0)
        yield* Effect.sleep("200 millis")
        const second = newToken()
        assert.equal((yield* take(1, second)).length, 1)
        yield* fail(job!.id, second)
        assert.deepEqual(yield* all, [{ id: job!.id, state: "dead", attempts: 2, last_error: "no luck" }])
      })
    )

    it.effect("a row whose last lease ended without a word is buried, others are not", () =>
      Effect.gen(function* () {
        const { add, bury, take } = yield* jobs
        yield* add(2)
        yield* take(1, newToken(), 1)
        yield* Effect.sleep("20 millis")
        assert.deepEqual(yield* bury, [])
        // Now one row has been taken twice, which is as often as it may be, and the other once.
        yield* take(2, newToken(), 1)
        yield* Effect.sleep("20 millis")
        const buried = yield* bury
        assert.deepEqual(
          buried.map(({ attempts, state }) => [attempts, state]),
          [[2, "dead"]]
        )
      })
    )

    it.effect("a lease is cut short by what the row says, and so is its renewal", () =>
      Effect.gen(function* () {
        const { add, claims, sql } = yield* jobs
        yield* add(1)
        const token = newToken()
        const [job] = yield* claims.take<{ readonly id: string; readonly millis: number }>({
          limit: 1,
          lease: "1 hour",
          token,
          atMost: sql`w.max_attempts * interval '1 minute'`,
          returning: sql`w.id, extract(epoch from w.lease_until - clock_timestamp())::float8 * 1000 as millis`
        })
        assert.ok(job!.millis > 100_000 && job!.millis <= 120_000, `leased for ${job!.millis} ms`)
        const [renewed] = yield* sql<{ readonly kept: boolean }>`update jobs as w
          set ${claims.renewed("2 hours", sql`lease_until`)} where ${claims.heldBy(job!.id, token)}
          returning w.lease_until < clock_timestamp() + interval '3 minutes' as kept`
        assert.equal(renewed?.kept, true)
      })
    )

    it.effect(
      "burying reads the leases that have ended, not all that are in flight",
      () =>
        Effect.gen(function* () {
          const { bury, sql } = yield* jobs
          yield* sql`create index jobs_lease_until_idx on jobs (lease_until) where state = 'doing'`
          const inFlight = (rows: number, until: string) => sql`insert into jobs
          (state, attempts, max_attempts, lease_token, lease_until)
          select 'doing', 2, 2, gen_random_uuid(), now() + (${until}::interval) from generate_series(1, ${rows}::int)`
          yield* inFlight(50_000, "1 hour")
          yield* inFlight(20, "-1 minute")
          const [text, values] = bury.compile()
          const explained = Effect.gen(function* () {
            const { run } = yield* Transaction
            const explain = sql.unsafe<{ readonly "QUERY PLAN": unknown }>(`explain (analyze, format json) ${text}`, [
              ...values
            ])
            const undone = run(Effect.flatMap(explain, ([row]) => Effect.fail(row?.["QUERY PLAN"])))
            return JSON.stringify(yield* Effect.flip(undone))
          })
          const planned = Effect.map(explained, (plan) => {
            assert.match(plan, /"Index Name":"jobs_lease_until_idx"[^}]*"Index Cond":"\(lease_until <= [^"]*"/, plan)
            // Each row that is looked at and left out is one too many.
            const left = [...plan.matchAll(/"Rows Removed by (?:Filter|Index Recheck)":(\d+)/g)]
            assert.ok(
              left.every(([, rows]) => Number(rows) < 100),
              plan
            )
          })
          yield* planned
          yield* sql`analyze jobs`
          yield* planned
          assert.equal((yield* bury).length, 20)
        }),
      60_000
    )

    it.effect("a lease ends within the transaction that took the row, as it does outside", () =>
      Effect.gen(function* () {
        const { add, bury, claims, sql, take } = yield* jobs
        const { run } = yield* Transaction
        yield* add(1)
        yield* sql`update jobs set max_attempts = 2`
        const buried = yield* run(
          Effect.gen(function* () {
            const first = newToken()
            const [job] = yield* take(1, first, "150 millis")
            assert.deepEqual(yield* take(1, newToken(), "1 minute"), [])
            yield* Effect.sleep("200 millis")
            assert.deepEqual(yield* sql`select id from jobs where ${claims.heldBy(job!.id, first)}`, [])
            assert.equal((yield* take(1, newToken(), "150 millis")).length, 1)
            assert.deepEqual(yield* bury, [])
            yield* Effect.sleep("200 millis")
            return yield* bury
          })
        )
        assert.deepEqual(
          buried.map(({ attempts, state }) => [attempts, state]),
          [[2, "dead"]]
        )
      })
    )

    it.effect("taking and burying may set more, and burying may be narrowed", () =>
      Effect.gen(function* () {
        const { add, claims, sql } = yield* jobs
        yield* add(2)
        yield* sql`update jobs set max_attempts = 1`
        const returning = sql`w.id, w.kind, w.state`
        const set = sql`kind = 'taken'`
        const taken = yield* claims.take<Job & { readonly kind: string }>({
          limit: 2,
          lease: 1,
          token: newToken(),
          set,
          returning
        })
        assert.deepEqual(
          taken.map(({ kind }) => kind),
          ["taken", "taken"]
        )
        yield* Effect.sleep("20 millis")
        const where = sql`w.id = ${taken[0]!.id}::uuid`
        const buried = yield* claims.bury<Job>(returning, { where, set: sql`kind = 'buried'` })
        assert.deepEqual(buried, [{ id: taken[0]!.id, kind: "buried", state: "dead" }])
      })
    )

    it.effect("what is to be tried again at once is ready at once, in columns that keep milliseconds too", () =>
      Effect.gen(function* () {
        const { add, claims, sql, take } = yield* jobs
        yield* sql`alter table jobs alter column available_at type timestamptz(3)`
        yield* add(1)
        yield* sql`update jobs set max_attempts = 1000`
        for (let i = 0; i < 50; i++) {
          const token = newToken()
          const [job] = yield* take(1, token)
          assert.ok(job !== undefined, `not ready after ${i} tries`)
          yield* sql`update jobs set ${claims.failed("again", 0)} where ${claims.heldBy(job.id, token)}`
        }
      })
    )

    it.effect("states with a quote in their names are states like others", () =>
      Effect.gen(function* () {
        const { add, sql } = yield* jobs
        const odd = { waiting: "it's todo", running: "'doing'", dead: "dead'" } as const
        const claims = makeClaims(sql, { table: "jobs", states: odd })
        yield* add(1)
        yield* sql`update jobs set state = ${odd.waiting}`
        const [job] = yield* claims.take<Job>({
          limit: 1,
          lease: "1 minute",
          token: newToken(),
          returning: sql`w.state`
        })
        assert.equal(job?.state, odd.running)
      })
    )
  })
})

describe("WorkItem", () => {
  const at = (millis: number) => DateTime.makeUnsafe(millis)
  const item: WorkItem = {
    state: "todo",
    attempts: 0,
    maxAttempts: 2,
    availableAt: at(100),
    leaseToken: null,
    leaseUntil: null,
    lastError: null
  }

  const [t1, t2] = [newToken(), newToken()]

  it("is ready from its time on", () => {
    assert.ok(!isReady(states, at(99))(item))
    assert.ok(isReady(states, at(100))(item))
    assert.ok(!isReady(states, at(100))({ ...item, state: "done" }))
  })

  it("belongs to the holder of its token until the lease ends; then it is ready again, or spent", () => {
    const first = taken(states, item, t1, 50, at(100))
    assert.deepEqual([first.state, first.attempts], ["doing", 1])
    assert.ok(isHeldBy(states, t1, at(149))(first))
    assert.ok(!isHeldBy(states, t2, at(149))(first))
    assert.ok(!isHeldBy(states, t1, at(150))(first))
    assert.ok(!isReady(states, at(149))(first) && isReady(states, at(150))(first) && !isSpent(states, at(150))(first))
    const second = taken(states, first, t2, 50, at(150))
    assert.ok(
      !isReady(states, at(200))(second) && isSpent(states, at(200))(second) && !isSpent(states, at(199))(second)
    )
  })

  it("waits after a failure, and is dead after the last", () => {
    const once = failed(states, taken(states, item, t1, 50, at(100)), "no luck", 30, at(110))
    assert.deepEqual(once, { ...item, attempts: 1, availableAt: at(140), lastError: "no luck" })
    assert.equal(failed(states, taken(states, once, t1, 50, at(140)), "again", 30, at(150)).state, "dead")
  })

  it("pauses twice as long after each try, up to the longest", () => {
    const pauses = { first: 100, longest: 350 }
    assert.deepEqual(
      [1, 2, 3, 4].map((attempts) => Duration.toMillis(pauseAfter(pauses, attempts))),
      [100, 200, 350, 350]
    )
  })
})

describe("states of work that are not three", () => {
  const two = { waiting: "uploading", running: "uploading", dead: "deleted" }
  const problem = /the work of "app.files" .* waiting is "uploading", its running "uploading" and its dead "deleted"/

  it.effect("are a defect on PostgreSQL, before anything is sent", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient
      assert.throws(() => makeClaims(sql, { table: "app.files", states: two }), problem)
      assert.throws(() => makeClaims(sql, { table: "app.files", states: { ...states, dead: "todo" } }), /different/)
    }).pipe(Effect.provide(sharedEngine))
  )

  it("are a defect in memory", () => {
    const table = memoryTable<WorkItem>({ name: "app.files", key: ({ state }) => state })
    assert.throws(() => memoryClaims({ table, states: two }), problem)
  })
})

describe("memoryClaims", () => {
  interface Task extends WorkItem {
    readonly id: string
    readonly worker: string | null
  }
  const at = (millis: number) => DateTime.makeUnsafe(millis)
  const task = (id: string, availableAt: number): Task => ({
    id,
    worker: null,
    state: "todo",
    attempts: 0,
    maxAttempts: 1,
    availableAt: at(availableAt),
    leaseToken: null,
    leaseUntil: null,
    lastError: null
  })
  const table = memoryTable<Task>({ name: "tasks", key: ({ id }) => id })
  const claims = memoryClaims({ table, states })
  const tasks = Effect.gen(function* () {
    const { read, register, write } = yield* PostgresMemory.PostgresMemory
    yield* register(table)
    for (const row of [task("c", 5), task("b", 10), task("a", 10), task("later", 101)]) {
      yield* write("add", (db) => db.insert(table, row))
    }
    return {
      get: (id: string) =>
        Effect.map(
          read("get", (db) => db.get(table, id)),
          Option.getOrThrow
        ),
      take: (options: Partial<Parameters<typeof claims.take>[1]>) =>
        write("take", (db) => claims.take(db, { limit: 2, lease: 50, token: newToken(), now: at(100), ...options })),
      bury: (options: Parameters<typeof claims.bury>[1]) => write("bury", (db) => claims.bury(db, options))
    }
  })
  const idsOf = (rows: ReadonlyArray<Task>) => rows.map(({ id }) => id)
  const inMemory = Effect.provide(PostgresMemory.layer)

  it.effect("gives what is ready in the order of its time, then of its key, and each to one worker", () =>
    Effect.gen(function* () {
      const { get, take } = yield* tasks
      const first = yield* take({ set: ({ id }) => ({ worker: `w-${id}` }) })
      assert.deepEqual(
        first.map(({ attempts, id, state, worker }) => [id, state, attempts, worker]),
        [
          ["c", "doing", 1, "w-c"],
          ["a", "doing", 1, "w-a"]
        ]
      )
      assert.deepEqual(yield* get("c"), first[0])
      assert.deepEqual(idsOf(yield* take({ where: ({ id }) => id !== "b" })), [])
      assert.deepEqual(idsOf(yield* take({})), ["b"])
      assert.deepEqual(idsOf(yield* take({})), [])
    }).pipe(inMemory)
  )

  it.effect("cuts a lease short where the row says so, and the holder keeps the row until then", () =>
    Effect.gen(function* () {
      const { take } = yield* tasks
      const [token, other] = [newToken(), newToken()]
      const [c, a] = yield* take({ token, atMost: ({ id }) => (id === "c" ? 20 : 80) })
      assert.ok(claims.heldBy(token, at(119))(c!) && !claims.heldBy(token, at(120))(c!))
      assert.ok(claims.heldBy(token, at(149))(a!) && !claims.heldBy(token, at(150))(a!))
      assert.ok(!claims.heldBy(other, at(100))(c!))
      assert.deepEqual(claims.renewed(70, at(110)), { leaseUntil: at(180) })
      assert.deepEqual(claims.renewed(70, at(110), at(150)), { leaseUntil: at(150) })
    }).pipe(inMemory)
  )

  it.effect("buries what was tried as often as it may be, oldest first, and narrowed where that is asked for", () =>
    Effect.gen(function* () {
      const { bury, get, take } = yield* tasks
      yield* take({ limit: 3 })
      assert.deepEqual(yield* bury({ now: at(149) }), [])
      assert.deepEqual(idsOf(yield* bury({ now: at(150), where: ({ id }) => id === "b" })), ["b"])
      const rest = yield* bury({ now: at(150), set: () => ({ worker: "nobody" }) })
      assert.deepEqual(idsOf(rest), ["c", "a"])
      assert.deepEqual(yield* get("c"), {
        ...task("c", 5),
        state: "dead",
        attempts: 1,
        worker: "nobody",
        lastError: "the lease ended before the work was finished"
      })
    }).pipe(inMemory)
  )
})
