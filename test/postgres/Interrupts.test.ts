import { it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { randomOf } from "../random.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { until } from "../until.ts"
import { untilIdle } from "./activity.ts"

const soak = process.env["TEST_SOAK"] === "1"
const count = soak ? 10_000 : 500
const seed = Number(process.env["TEST_SEED"] ?? 20_261)
const poolSize = 8
const atOnce = 8

const write = { operation: "Test.write", kind: "write" } as const
const read = { operation: "Test.read", kind: "read" } as const

/** Where a job is; `asked` may still wait for a connection, the others have one. */
type Phase =
  | "not begun"
  | "asked"
  | "short keyed statement"
  | "statement of its own"
  | "long statement"
  | "stream"
  | "transaction: statement"
  | "transaction: nested"
  | "transaction: between"
  | "transaction: commit or rollback"
  | "done"

const idle: ReadonlySet<Phase> = new Set(["not begun", "asked", "done"])

interface Job {
  readonly kind: string
  /** Rows that are there once it has succeeded: all of them, or none. */
  readonly rows: ReadonlyArray<number>
  /** Rows that are never to be seen. */
  readonly undone: ReadonlyArray<number>
  /** How many phases it goes through before it is done. */
  readonly phases: number
  phase: Phase
  /** How often the phase has changed. */
  steps: number
  /** Whether COMMIT may have been sent, or a single statement. */
  reachedEnd: boolean
  /** Told of every change of phase. */
  onStep: () => void
  run: Effect.Effect<unknown, unknown>
}

describeLive("postgresql", "PostgresClient under random interrupts", () => {
  it.live(
    `${count} of them over mixed work: the pool is whole, nothing is open, stored in part or lost`,
    () =>
      Effect.gen(function* () {
        const { keyed, query, sql, stats } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        const random = randomOf(seed)
        const upTo = (n: number) => Math.floor(random() * n)
        yield* sql`CREATE TABLE mixed (id int)`

        const enter = (job: Job, phase: Phase) =>
          Effect.sync(() => {
            job.phase = phase
            job.steps++
            job.onStep()
          })
        const insert = (id: number) => query(write, keyed`INSERT INTO mixed VALUES (${id})`)

        /** A statement outside a transaction has a connection as soon as it is asked for, where nobody waits for one. */
        const alone = (job: Job, phase: Phase, statement: Effect.Effect<unknown, unknown>) =>
          Effect.gen(function* () {
            const { inUse, size, waiting } = yield* stats
            job.reachedEnd = true
            yield* enter(job, waiting === 0 && inUse < size ? phase : "asked")
            yield* statement
          })
        const inTransaction = (job: Job, body: Effect.Effect<unknown, unknown>) =>
          Effect.gen(function* () {
            yield* enter(job, "asked")
            yield* transaction.run(
              Effect.gen(function* () {
                yield* enter(job, "transaction: between")
                yield* body
                job.reachedEnd = true
                yield* enter(job, "transaction: commit or rollback")
              })
            )
          })

        const makers: ReadonlyArray<(job: Job, id: number) => Effect.Effect<unknown, unknown>> = [
          (job, id) => alone(job, "short keyed statement", insert(id)),
          (job, id) => alone(job, "statement of its own", query(write, sql`INSERT INTO mixed VALUES (${id})`)),
          (job, id) =>
            alone(job, "long statement", query(write, sql`INSERT INTO mixed SELECT ${id}::int FROM pg_sleep(0.03)`)),
          (job) =>
            alone(
              job,
              "stream",
              Stream.runDrain(sql`SELECT generate_series(1, 20000) AS n, repeat('x', 50) AS t`.stream)
            ),
          (job, id) =>
            inTransaction(
              job,
              Effect.gen(function* () {
                yield* enter(job, "transaction: statement")
                yield* insert(id)
                yield* enter(job, "transaction: between")
                yield* Effect.sleep(1)
                yield* enter(job, "transaction: nested")
                yield* transaction.run(insert(id + 1))
                yield* Effect.exit(transaction.run(Effect.andThen(insert(id + 2), Effect.fail("undone"))))
                yield* enter(job, "transaction: statement")
                yield* insert(id + 3)
              })
            ),
          (job, id) =>
            inTransaction(
              job,
              Effect.gen(function* () {
                yield* insert(id)
                yield* enter(job, "stream")
                yield* Stream.runDrain(sql`SELECT generate_series(1, 20000) AS n`.stream)
                yield* enter(job, "long statement")
                yield* query(read, sql`SELECT pg_sleep(0.02)`)
                yield* enter(job, "transaction: statement")
                yield* insert(id + 1)
              })
            )
        ]
        const kinds = ["keyed", "own", "long", "stream", "nested", "mixed"]
        const rowsOf: ReadonlyArray<ReadonlyArray<number>> = [[0], [0], [0], [], [0, 1, 3], [0, 1]]
        const jobs = Array.from({ length: count }, (_, i) => {
          const which = upTo(makers.length)
          const id = i * 10
          const job: Job = {
            kind: kinds[which] ?? "",
            rows: (rowsOf[which] ?? []).map((n) => id + n),
            undone: which === 4 ? [id + 2] : [],
            phases: [1, 1, 1, 1, 7, 6][which] ?? 1,
            phase: "not begun",
            steps: 0,
            reachedEnd: false,
            onStep: () => undefined,
            run: Effect.void
          }
          job.run = Effect.andThen(makers[which]?.(job, id) ?? Effect.void, enter(job, "done"))
          return job
        })

        const landed = new Map<Phase, number>()
        const acknowledged = new Set<number>()
        const one = (job: Job) =>
          Effect.gen(function* () {
            // A third fall at any time, the others soon after the job has come to some step of its own.
            const anyTime = random() < 0.33
            const delay = anyTime ? random() * 60 : random() < 0.6 ? 0 : random() * 3
            const steps = job.phases - upTo(job.phases - 1)
            const fiber = yield* Effect.forkChild(job.run)
            if (!anyTime) {
              yield* Effect.callback<void>((resume) => {
                job.onStep = () => {
                  if (job.phase === "done" || job.steps >= steps) resume(Effect.void)
                }
                job.onStep()
              })
            }
            if (delay > 0.5) yield* Effect.sleep(delay)
            landed.set(job.phase, (landed.get(job.phase) ?? 0) + 1)
            yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            if (Exit.isSuccess(exit)) for (const row of job.rows) acknowledged.add(row)
          })
        yield* Effect.forEach(jobs, one, { concurrency: atOnce, discard: true })

        // What was abandoned runs to its end on the server.
        yield* untilIdle(sql)

        const stored = (yield* sql<{ id: number }>`SELECT id FROM mixed`).map(({ id }) => id)
        const there = new Set(stored)
        assert.equal(there.size, stored.length, "a row was stored twice")
        const offered = new Set(jobs.flatMap(({ rows }) => rows))
        for (const id of there) assert.ok(offered.has(id), `${id} was stored and never offered`)
        for (const id of acknowledged) assert.ok(there.has(id), `${id} was acknowledged and is not stored`)
        for (const { kind, reachedEnd, rows, undone } of jobs) {
          const found = rows.filter((row) => there.has(row))
          assert.ok(
            found.length === 0 || found.length === rows.length,
            `${kind}: of ${rows.join()} only ${found.join()}`
          )
          if (!reachedEnd) assert.deepEqual(found, [], `${kind}: stored although COMMIT was never sent`)
          for (const row of undone) assert.ok(!there.has(row), `${kind}: ${row} was rolled back and is stored`)
        }

        const inFlight = [...landed].reduce((sum, [phase, n]) => (idle.has(phase) ? sum : sum + n), 0)
        const lines = [...landed].sort(([, a], [, b]) => b - a).map(([phase, n]) => `  ${phase.padEnd(32)}${n}`)
        console.log(
          `${count} interrupts, seed ${seed}: ${inFlight} in flight; ${acknowledged.size} rows acknowledged, ` +
            `${there.size} stored, ${offered.size} offered\n${lines.join("\n")}`
        )
        assert.ok(inFlight >= 0.3 * count, `only ${inFlight} of ${count} in flight`)

        const whole = yield* Effect.forEach(
          Array.from({ length: poolSize }, (_, n) => n),
          (n) => query(read, sql<{ n: number }>`SELECT ${n}::int AS n, pg_sleep(0.05)`),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(
          whole.flat().map(({ n }) => n),
          Array.from({ length: poolSize }, (_, n) => n)
        )
        // Connections that a cancel request was sent for are replaced in the background.
        const { inUse, size, waiting } = yield* until(stats, ({ size }) => size === poolSize)
        assert.deepEqual({ inUse, size, waiting }, { inUse: 0, size: poolSize, waiting: 0 })
      }).pipe(
        Effect.provide(
          Layer.unwrap(
            Effect.map(freshPostgres, (url) =>
              TransactionLive.layer.pipe(
                Layer.provideMerge(
                  PostgresClient.layer({
                    url: Redacted.make(url),
                    minConnections: poolSize,
                    maxConnections: poolSize,
                    acquireTimeout: "30 seconds"
                  })
                )
              )
            )
          )
        )
      ),
    { timeout: soak ? 600_000 : 60_000 }
  )
})
