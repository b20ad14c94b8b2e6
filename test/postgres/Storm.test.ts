import { it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import assert from "node:assert/strict"
import { Duplex } from "node:stream"
import { describe, vi } from "vitest"
import { within } from "../../src/core/Deadline.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as Tenant from "../../src/postgres/Tenant.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { randomOf } from "../random.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { until } from "../until.ts"
import { describePooled, pgbouncer } from "./pgbouncer.ts"

const soak = process.env["TEST_SOAK"] === "1"
const count = soak ? 8000 : 400
const seed = Number(process.env["TEST_SEED"] ?? 20_262)
const callers = 24

const write = { operation: "Test.write", kind: "write" } as const
const read = { operation: "Test.read", kind: "read" } as const

/** What a job's rows must say of the transaction that wrote them. */
interface Expected {
  readonly tenant?: string
  readonly isolation?: string
  readonly rows: number
}

interface Job extends Expected {
  readonly kind: string
  readonly id: number
  /** Server's milliseconds before which it was not asked for. */
  asked: number
  /** Whether COMMIT may have been sent, or a single statement. */
  reachedEnd: boolean
  disturbed: boolean
  exit: Exit.Exit<unknown, unknown> | undefined
}

interface Written {
  readonly id: number
  readonly xid: string
  readonly tenant: string
  readonly isolation: string
  readonly begun: number
}

/** Counts the writes of any connection in which BEGIN without options goes behind something else. */
const countBegunAhead = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => vi.spyOn(Duplex.prototype, "write")),
    (spy) => Effect.sync(() => spy.mockRestore())
  ),
  (spy) => () =>
    spy.mock.calls.filter(([chunk]) => {
      if (!(chunk instanceof Uint8Array)) return false
      const text = Buffer.from(chunk).toString("latin1")
      const at = text.lastIndexOf("\0BEGIN\0")
      // Bind, Describe, Execute and Sync of an unnamed statement are all that may follow.
      return at > 5 && text.length - at < 60 && !text.includes("ROLLBACK")
    }).length
)

const storm = (options: {
  readonly client: ReturnType<typeof PostgresClient.layer>
  readonly poolSize: number
  /** A client of its own, where sessions may be ended and statements be forgotten. */
  readonly beside?: ReturnType<typeof PostgresClient.layer>
}) =>
  Effect.gen(function* () {
    const { poolSize } = options
    const random = randomOf(seed)
    const upTo = (n: number) => Math.floor(random() * n)
    const begunAhead = yield* countBegunAhead
    const scope = yield* Scope.make()
    const made = yield* Layer.build(TransactionLive.layer.pipe(Layer.provideMerge(options.client))).pipe(
      Scope.provide(scope)
    )
    const { client, transaction } = yield* Effect.gen(function* () {
      return { client: yield* PostgresClient.PostgresClient, transaction: yield* Transaction }
    }).pipe(Effect.provide(made))
    const { keyed, query, sql, stats, unit } = client
    const looking =
      options.beside === undefined
        ? sql
        : (yield* Effect.provide(PostgresClient.PostgresClient, yield* Layer.build(options.beside))).sql

    yield* looking`CREATE TABLE storm (id int, xid text, tenant text, isolation text, begun float8)`
    const before = Date.now()
    const [clock] = yield* looking<{ at: number }>`SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at`
    /** How much the server's clock is behind ours, at most. */
    const behind = Math.max(0, Date.now() - (clock?.at ?? 0), before - (clock?.at ?? 0)) + 1

    const insertion = (via: typeof sql, id: number) =>
      via<object>`INSERT INTO storm SELECT ${id}::int, txid_current()::text,
        coalesce(current_setting('ai_core.tenant', true), ''), current_setting('transaction_isolation'),
        extract(epoch FROM now())::float8 * 1000`
    const insert = (id: number, via = keyed) => query(write, insertion(via, id))
    const pause = Effect.suspend(() => (random() < 0.5 ? Effect.sleep(random() * 4) : Effect.void))
    const twice = (job: Job) =>
      Effect.gen(function* () {
        yield* insert(job.id)
        yield* pause
        yield* insert(job.id, sql)
        job.reachedEnd = true
      })
    const alone = (job: Job, effect: Effect.Effect<unknown, unknown>) =>
      Effect.suspend(() => {
        job.reachedEnd = true
        return effect
      })

    const kinds: ReadonlyArray<
      readonly [kind: string, expected: Expected, run: (job: Job) => Effect.Effect<unknown, unknown>]
    > = [
      ...Array.from(
        { length: 6 },
        () => ["plain", { rows: 2, isolation: "read committed" }, (job: Job) => transaction.run(twice(job))] as const
      ),
      [
        "isolated",
        { rows: 2, isolation: "repeatable read" },
        (job) => transaction.run(twice(job), { isolation: "repeatable read" })
      ],
      [
        "undone",
        { rows: 0 },
        (job) => Effect.ignore(transaction.run(Effect.andThen(insert(job.id), Effect.fail("undone"))))
      ],
      ["tenant", { rows: 2, tenant: "acme" }, (job) => transaction.run(twice(job)).pipe(Tenant.within("acme"))],
      [
        "own of a tenant",
        { rows: 1, tenant: "umbra" },
        (job) => alone(job, insert(job.id).pipe(Tenant.within("umbra")))
      ],
      ["shared", { rows: 1 }, (job) => alone(job, insert(job.id))],
      ["shared", { rows: 1 }, (job) => alone(job, insert(job.id))],
      ["own", { rows: 1 }, (job) => alone(job, insert(job.id, sql))],
      [
        "unit",
        { rows: 2, isolation: "read committed" },
        (job) => alone(job, unit(write, [insertion(keyed, job.id), insertion(keyed, job.id)]))
      ],
      [
        "nested",
        { rows: 3 },
        (job) =>
          transaction.run(
            Effect.gen(function* () {
              const both = [transaction.run(insert(job.id)), transaction.run(insert(job.id))]
              yield* Effect.all(both, { concurrency: 2 })
              yield* Effect.ignore(transaction.run(Effect.andThen(insert(job.id), Effect.fail("undone"))))
              yield* insert(job.id)
              job.reachedEnd = true
            })
          )
      ],
      [
        "reserved",
        { rows: 1 },
        (job) =>
          Effect.scoped(
            Effect.flatMap(sql.reserve, (connection) => {
              const [text, values] = insertion(sql, job.id).compile()
              return alone(job, connection.execute(text, values, undefined))
            })
          )
      ],
      ["stream", { rows: 0 }, () => Stream.runDrain(sql`SELECT generate_series(1, 3000) AS n`.stream)]
    ]

    const jobs: Array<Job> = []
    const one = (id: number) =>
      Effect.gen(function* () {
        const [kind, expected, run] = kinds[upTo(kinds.length)]!
        const disturbance = random()
        const job: Job = {
          ...expected,
          kind,
          id,
          asked: Date.now() - behind,
          reachedEnd: false,
          disturbed: disturbance < 0.5,
          exit: undefined
        }
        jobs.push(job)
        const work = run(job)
        const fiber = yield* Effect.forkChild(
          disturbance < 0.2 ? work.pipe(within(Duration.millis(1 + random() * 60))) : work
        )
        if (disturbance >= 0.2 && job.disturbed) {
          yield* Effect.sleep(random() * 50)
          yield* Fiber.interrupt(fiber)
        }
        job.exit = yield* Fiber.await(fiber)
      })
    const all = Effect.forEach(
      Array.from({ length: count }, (_, id) => id),
      one,
      { concurrency: callers, discard: true }
    )

    let faults = 0
    const others = looking.literal(
      "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name <> 'beside'"
    )
    const fault = Effect.suspend(() => {
      faults++
      const which = random()
      if (which < 0.4) return looking`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ${others}`
      if (which < 0.8) {
        return looking`SELECT pg_terminate_backend(pid) FROM (
          SELECT pid FROM pg_stat_activity WHERE ${others} ORDER BY random() LIMIT 1) one`
      }
      return sql`DEALLOCATE ALL`.unprepared
    })
    const faulty = options.beside !== undefined
    const harm = Effect.forever(Effect.andThen(Effect.sleep("5 millis"), Effect.ignore(fault)))
    yield* faulty ? Effect.raceFirst(all, harm) : all

    // What was abandoned runs to its end on the server.
    if (faulty) {
      const busy = looking`SELECT pid, state, query FROM pg_stat_activity WHERE ${others} AND state <> 'idle'`
      assert.deepEqual(yield* until(busy, (rows) => rows.length === 0), [])
    }
    const { inUse, waiting } = yield* until(stats, ({ inUse, waiting }) => inUse + waiting === 0)
    assert.deepEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })

    const written = yield* looking<Written>`SELECT * FROM storm`
    const rowsOf = Map.groupBy(written, ({ id }) => id)
    const ownerOf = new Map<string, number>()
    for (const job of jobs) {
      const { asked, disturbed, exit, id, isolation, kind, reachedEnd, rows, tenant = "" } = job
      const found = rowsOf.get(id) ?? []
      const told = `${kind} ${id}: ${JSON.stringify(found)}, asked ${asked}`
      assert.ok(found.length === 0 || found.length === rows, `${told}: stored in part`)
      assert.ok(exit !== undefined)
      if (Exit.isSuccess(exit)) assert.equal(found.length, rows, `${told}: acknowledged and not stored`)
      else if (!disturbed && !faulty) assert.fail(`${kind} ${id} failed: ${String(exit.cause)}`)
      if (!reachedEnd) assert.equal(found.length, 0, `${told}: stored although COMMIT was never sent`)
      for (const row of found) {
        assert.equal(ownerOf.get(row.xid) ?? id, id, `${told}: in the transaction of another`)
        ownerOf.set(row.xid, id)
        assert.equal(row.xid, found[0]?.xid, `${told}: in two transactions`)
        assert.equal(row.tenant, tenant, told)
        if (isolation !== undefined) assert.equal(row.isolation, isolation, told)
        assert.ok(row.begun >= asked, `${told}: begun before it was asked for`)
      }
    }

    const succeeded = jobs.filter(({ exit }) => exit !== undefined && Exit.isSuccess(exit)).length
    const ahead = begunAhead()
    console.log(
      `${count} jobs over ${poolSize} connections, seed ${seed}: ${succeeded} succeeded, ${written.length} rows, ` +
        `${faults} faults, ${ahead} times BEGIN was sent ahead`
    )
    assert.ok(ahead >= count / 20, `BEGIN was sent ahead only ${ahead} times`)
    assert.ok(succeeded >= count / 4, `only ${succeeded} of ${count} succeeded`)

    // Each connection is usable, and in no transaction.
    const whole = yield* Effect.forEach(
      Array.from({ length: poolSize * 3 }, (_, n) => n),
      () => query(read, sql<{ xid: string }>`SELECT txid_current()::text AS xid, pg_sleep(0.01)`),
      { concurrency: "unbounded" }
    )
    assert.equal(new Set(whole.map(([row]) => row?.xid)).size, poolSize * 3)

    // The layer is shut down while BEGIN is ahead.
    const last = yield* Effect.forEach(
      Array.from({ length: callers }, (_, n) => count + n),
      (id) => Effect.forkChild(transaction.run(Effect.andThen(insert(id), Effect.sleep(5))))
    )
    yield* Effect.sleep(15)
    yield* Scope.close(scope, Exit.void)
    for (const fiber of last) {
      const exit = yield* Fiber.await(fiber)
      if (Exit.isFailure(exit)) {
        const error = Cause.squash(exit.cause)
        const told = isStoreError(error) && (error.reason._tag === "Unavailable" || faulty)
        assert.ok(told, Cause.pretty(exit.cause))
      }
    }
    if (faulty) {
      const left = looking`SELECT pid, state, query FROM pg_stat_activity WHERE ${others} AND state LIKE 'idle in%'`
      // A pooler ends the session of a client that has gone, when it gets round to it.
      assert.deepEqual(yield* until(left, (rows) => rows.length === 0), [])
    }
  })

const timeout = soak ? 600_000 : 60_000
const limits = { minConnections: 0, acquireTimeout: "30 seconds", maxLifetime: "1 second" } as const
const besideOf = (url: string) => {
  const named = new URL(url)
  named.searchParams.set("application_name", "beside")
  return PostgresClient.layer({ url: Redacted.make(named.href), minConnections: 0, maxConnections: 2 })
}

describeLive("postgresql", "a small pool in a storm", () => {
  for (const poolSize of [1, 2, 3]) {
    it.live(
      `of ${poolSize}: nothing is lost, left open or done in another's transaction`,
      () =>
        Effect.flatMap(freshPostgres, (url) =>
          storm({
            poolSize,
            client: PostgresClient.layer({ ...limits, url: Redacted.make(url), maxConnections: poolSize })
          })
        ),
      { timeout }
    )
  }

  it.live(
    "whose sessions are ended, cancelled and forget their statements",
    () =>
      Effect.flatMap(freshPostgres, (url) =>
        storm({
          poolSize: 3,
          beside: besideOf(url),
          client: PostgresClient.layer({ ...limits, url: Redacted.make(url), maxConnections: 3 })
        })
      ),
    { timeout }
  )
})

describePooled("a small pool in a storm, behind PgBouncer", () => {
  it.live(
    "whose sessions are ended and cancelled",
    () =>
      Effect.gen(function* () {
        const url = yield* freshPostgres
        const pooled = yield* pgbouncer(url)
        yield* storm({
          poolSize: 3,
          beside: besideOf(url),
          client: PostgresClient.layer({
            ...limits,
            url: Redacted.make(pooled),
            pooler: "transaction",
            maxConnections: 3
          })
        })
      }),
    { timeout }
  )
})

describe("the embedded engine in a storm", () => {
  it.live(
    "nothing is lost, left open or done in another's transaction",
    () => storm({ poolSize: 1, client: PostgresEmbedded.layer({ acquireTimeout: "30 seconds" }) }),
    { timeout }
  )
})
