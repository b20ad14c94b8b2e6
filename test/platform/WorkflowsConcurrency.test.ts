import { it } from "@effect/vitest"
import { Clock, Context, DateTime, Deferred, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import type { ExecutionId } from "../../src/platform/workflows/WorkflowExecution.ts"
import { Workflows } from "../../src/platform/workflows/Workflows.ts"
import * as WorkflowsLive from "../../src/platform/workflows/WorkflowsLive.ts"
import type { ClaimedStep } from "../../src/platform/workflows/WorkflowStep.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { unique } from "../../src/testing/Contract.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { behind, healthy, settled, tally } from "./manyCallers.ts"

type Client = Workflows | Transaction | PostgresClient.PostgresClient

/** A process of its own, as the server sees it. */
const client = (url: string, maxConnections: number) =>
  Layer.fresh(
    Layer.mergeAll(UsersLive.layer, WorkflowsLive.layer).pipe(
      Layer.provideMerge(TransactionLive.layer),
      Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections }))
    )
  )

/** A database, and a second client of it beside the one that the tests have. */
class Ground extends Context.Service<Ground, { readonly other: Context.Context<Client> }>()("test/Ground") {}

const ground = (maxConnections: number) =>
  Layer.unwrap(
    Effect.map(freshPostgres, (url) => {
      const other = Effect.map(Layer.build(client(url, maxConnections)), (other) => Ground.of({ other }))
      return Layer.effect(Ground, other).pipe(
        Layer.provideMerge(PlatformMigrations.layerPostgres),
        Layer.provideMerge(client(url, maxConnections))
      )
    })
  )

const times = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

/** Runs an effect many times at once, every second time by the other client. */
const race = <A, E, R>(n: number, run: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Ground, ({ other }) =>
    Effect.forEach(times(n), (i) => Effect.exit(i % 2 === 0 ? run(i) : Effect.provide(run(i), other)), {
      concurrency: n
    })
  )

type Shape = Readonly<Record<string, ReadonlyArray<string>>>

const published = (shape: Shape, rest: { readonly maxAttempts?: number; readonly backoffMillis?: number } = {}) =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    const kind = yield* unique("kind")
    const steps = Object.entries(shape).map(([key, dependsOn]) => Object.assign({ key, kind, dependsOn }, rest))
    const { id } = yield* workflows.create({ slug: yield* unique("flow"), name: "Flow", steps })
    yield* workflows.publish(id, 1)
    return { id, kind }
  })

const claim = (kind: string, limit: number, lease: `${number} ${"millis" | "seconds"}` = "30 seconds") =>
  Effect.flatMap(Workflows, (workflows) => workflows.claimSteps({ kinds: [kind], limit, lease, worker: "worker" }))

/** Takes and completes steps until the executions have ended; tells what it completed. */
const work = (kind: string, executions: ReadonlyArray<ExecutionId>, limit: number) =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    const completed: Array<string> = []
    for (;;) {
      const claimed = yield* claim(kind, limit)
      for (const { step, token } of claimed) {
        yield* workflows.completeStep(step.id, token, { output: step.key, costMinor: 1 })
        completed.push(step.id)
      }
      if (claimed.length > 0) continue
      const states = yield* Effect.forEach(executions, (id) =>
        Effect.map(workflows.findExecution(id), Option.getOrThrow)
      )
      if (states.every(({ state }) => state === "succeeded")) return completed
      yield* Effect.sleep("5 millis")
    }
  })

describeLive("postgresql", "Workflows on a server, many callers at once", () => {
  it.layer(ground(8), { excludeTestServices: true, timeout: "2 minutes" })("two clients, pools of 8", (it) => {
    it.effect(
      "16 workers share 500 steps: each is completed exactly once",
      () =>
        Effect.gen(function* () {
          const workflows = yield* Workflows
          // Ten chains of three beside twenty steps that wait for nothing, in ten executions.
          const shape: Record<string, ReadonlyArray<string>> = {}
          for (const i of times(10)) Object.assign(shape, { [`a${i}`]: [], [`b${i}`]: [`a${i}`], [`c${i}`]: [`b${i}`] })
          for (const i of times(20)) shape[`free${i}`] = []
          const { id: workflowId, kind } = yield* published(shape)
          const executions = yield* Effect.forEach(times(10), () =>
            Effect.map(workflows.start({ workflowId }), ({ id }) => id)
          )
          const exits = yield* race(16, (i) => work(kind, executions, 1 + (i % 4)))
          const completed = exits.flatMap((exit) => (Exit.isSuccess(exit) ? exit.value : []))
          assert.deepEqual(tally(exits as ReadonlyArray<Exit.Exit<unknown, { readonly _tag: string }>>), { won: 16 })
          assert.equal(completed.length, 500)
          assert.equal(new Set(completed).size, 500)
          for (const id of executions) {
            const { costMinor, state } = Option.getOrThrow(yield* workflows.findExecution(id))
            assert.deepEqual([state, costMinor], ["succeeded", 50])
            for (const { attempts, state } of yield* workflows.findSteps(id)) {
              assert.deepEqual([attempts, state], [1, "succeeded"])
            }
          }
          yield* healthy
        }),
      60_000
    )

    it.effect("16 workers share 500 steps of one execution", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const shape = Object.fromEntries(times(500).map((i) => [`s${i}`, []]))
        const { id: workflowId, kind } = yield* published(shape)
        const { id } = yield* workflows.start({ workflowId })
        const exits = yield* race(16, () => work(kind, [id], 7))
        const completed = exits.flatMap((exit) => (Exit.isSuccess(exit) ? exit.value : []))
        assert.equal(completed.length, 500)
        assert.equal(new Set(completed).size, 500)
        assert.equal(Option.getOrThrow(yield* workflows.findExecution(id)).costMinor, 500)
        yield* healthy
      })
    )

    it.effect("one step is claimed by one of 30, and completed by one of 30", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId, kind } = yield* published({ only: [] })
        yield* workflows.start({ workflowId })
        const claims = yield* race(30, () => claim(kind, 5))
        const claimed = claims.flatMap((exit) => (Exit.isSuccess(exit) ? exit.value : []))
        assert.equal(claimed.length, 1)
        const { step, token } = claimed[0]!
        const exits = yield* race(30, (i) =>
          Effect.flatMap(Workflows, (workflows) =>
            i < 15
              ? workflows.completeStep(step.id, token, { costMinor: 1 })
              : workflows.failStep(step.id, token, { error: "no", costMinor: 1, retry: false })
          )
        )
        const execution = Option.getOrThrow(yield* workflows.findExecution(step.executionId))
        assert.equal(execution.costMinor, 1)
        // Completing is idempotent for its holder; failing is not.
        const expected =
          execution.state === "succeeded" ? { won: 15, StepLeaseLost: 15 } : { won: 1, StepLeaseLost: 29 }
        assert.deepEqual(tally(exits as ReadonlyArray<Exit.Exit<unknown, { readonly _tag: string }>>), expected)
        yield* healthy
      })
    )

    it.effect(
      "siblings that finish at one moment release what waits for them exactly once",
      () =>
        Effect.gen(function* () {
          const workflows = yield* Workflows
          const { id: workflowId, kind } = yield* published({ a: [], b: [], c: [], d: [], last: ["a", "b", "c", "d"] })
          const executions = yield* Effect.forEach(times(25), () => workflows.start({ workflowId }))
          const claimed = yield* claim(kind, 1000)
          assert.equal(claimed.length, 100)
          const exits = yield* race(100, (i) =>
            Effect.flatMap(Workflows, (workflows) =>
              workflows.completeStep(claimed[i]!.step.id, claimed[i]!.token, { output: claimed[i]!.step.key })
            )
          )
          assert.ok(exits.every(Exit.isSuccess))
          const released = yield* race(10, () => claim(kind, 1000))
          const lasts = released.flatMap((exit) => (Exit.isSuccess(exit) ? exit.value : []))
          assert.deepEqual(
            lasts.map(({ step }) => step.executionId).sort(),
            executions.map(({ id }) => id)
          )
          for (const { dependencies } of lasts) assert.deepEqual(dependencies, { a: "a", b: "b", c: "c", d: "d" })
          yield* healthy
        }),
      60_000
    )

    it.effect("a worker that is killed is followed by another one, and can finish nothing", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { sql } = yield* PostgresClient.PostgresClient
        const { other } = yield* Ground
        const { id: workflowId, kind } = yield* published({ a: [], b: ["a"] })
        const { id } = yield* workflows.start({ workflowId })
        const [first] = yield* Effect.provide(claim(kind, 1, "3 seconds"), other)
        const written = yield* Deferred.make<void>()
        // It dies with its work written and not committed.
        const dying = yield* Effect.forkChild(
          Effect.provide(
            Effect.gen(function* () {
              const { run } = yield* Transaction
              const own = yield* Workflows
              const completing = own.completeStep(first!.step.id, first!.token)
              yield* run(
                completing.pipe(Effect.andThen(Deferred.succeed(written, undefined)), Effect.andThen(Effect.never))
              )
            }),
            other
          )
        )
        yield* Deferred.await(written)
        const killed = yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and state = 'idle in transaction'`
        assert.equal(killed.length, 1)
        yield* Fiber.interrupt(dying)
        assert.deepEqual(yield* claim(kind, 1), [])
        yield* Effect.sleep("3 seconds")
        const [second] = yield* claim(kind, 1)
        assert.deepEqual([second!.step.id, second!.step.attempts], [first!.step.id, 2])
        const lost = yield* Effect.flip(workflows.completeStep(first!.step.id, first!.token))
        assert.equal(lost._tag, "StepLeaseLost")
        yield* workflows.completeStep(second!.step.id, second!.token)
        assert.deepEqual(
          (yield* workflows.findSteps(id)).map(({ state }) => state),
          ["succeeded", "ready"]
        )
        yield* healthy
      })
    )

    it.effect("who takes a step waits for nobody, also where somebody holds its execution", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { run } = yield* Transaction
        const { id: workflowId, kind } = yield* published({ a: [], b: [] })
        const { id } = yield* workflows.start({ workflowId })
        const spent = yield* published({ only: [] }, { maxAttempts: 1 })
        const dying = yield* workflows.start({ workflowId: spent.id })
        assert.equal((yield* claim(spent.kind, 1, "10 millis")).length, 1)
        yield* Effect.sleep("50 millis")
        const holds = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(
          run(
            Effect.gen(function* () {
              yield* workflows.pauseExecution(id)
              yield* workflows.pauseExecution(dying.id)
              yield* Deferred.succeed(holds, undefined)
              yield* Deferred.await(go)
            })
          )
        )
        yield* Deferred.await(holds)
        const [first] = yield* claim(kind, 1)
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(holder)
        assert.deepEqual(yield* claim(kind, 1), [])
        const { execution } = yield* workflows.completeStep(first!.step.id, first!.token)
        assert.equal(execution.state, "paused")
        assert.notEqual(execution.startedAt, null)
        // What could not be buried then was buried by the next claim.
        assert.equal(Option.getOrThrow(yield* workflows.findExecution(dying.id)).state, "failed")
        yield* healthy
      })
    )

    it.effect("spent steps are buried once, however many workers ask", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId, kind } = yield* published({ a: [], b: [] }, { maxAttempts: 1 })
        const executions = yield* Effect.forEach(times(10), () => workflows.start({ workflowId }))
        assert.equal((yield* claim(kind, 100, "50 millis")).length, 20)
        yield* Effect.sleep("100 millis")
        const exits = yield* race(16, () => claim(kind, 10))
        assert.deepEqual(tally(exits as ReadonlyArray<Exit.Exit<unknown, { readonly _tag: string }>>), { won: 16 })
        for (const { id } of executions) {
          assert.equal(Option.getOrThrow(yield* workflows.findExecution(id)).state, "failed")
          const steps = yield* workflows.findSteps(id)
          assert.deepEqual(
            steps.map(({ state }) => state),
            ["dead", "dead"]
          )
        }
        yield* healthy
      })
    )

    it.effect("versions published at once are numbered without a gap, whatever is rolled back", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id } = yield* workflows.create({
          slug: yield* unique("flow"),
          name: "Flow",
          steps: [{ key: "only", kind: "k" }]
        })
        const exits = yield* race(40, (i) =>
          Effect.gen(function* () {
            const own = yield* Workflows
            const { run } = yield* Transaction
            return yield* run(
              Effect.gen(function* () {
                const { number } = yield* own.publish(id, 1)
                yield* Effect.sleep(i % 3)
                if (i % 4 === 3) return yield* Effect.fail({ _tag: "Stop" as const })
                return number
              })
            )
          })
        )
        assert.deepEqual(tally(exits), { won: 30, Stop: 10 })
        const numbers = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
        const expected = times(30).map((i) => i + 1)
        assert.deepEqual(
          [...numbers].sort((a, b) => a - b),
          expected
        )
        const { items } = yield* workflows.listVersions(id)
        assert.deepEqual(items.map(({ number }) => number).toReversed(), expected)
        assert.equal(Option.getOrThrow(yield* workflows.findById(id)).latestVersion, 30)
        yield* healthy
      })
    )

    it.effect("of 30 edits of one version one wins; of 20 who archive one wins", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id } = yield* workflows.create({ slug: yield* unique("flow"), name: "Flow" })
        const edits = yield* race(30, (i) =>
          Effect.flatMap(Workflows, (own) => own.update(id, 1, { name: `Edit ${i}` }))
        )
        assert.deepEqual(tally(edits), { won: 1, VersionConflict: 29 })
        const archived = yield* race(20, () => Effect.flatMap(Workflows, (own) => own.archive(id)))
        assert.deepEqual(tally(archived), { won: 1, IllegalTransition: 19 })
        assert.equal(Option.getOrThrow(yield* workflows.findById(id)).version, 3)
      })
    )

    it.effect("a start that waits for an archive starts nothing", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId } = yield* published({ only: [] })
        const [, refused] = yield* behind(workflows.archive(workflowId), [Effect.flip(workflows.start({ workflowId }))])
        assert.equal(refused[0]?._tag, "WorkflowArchived")
        assert.deepEqual((yield* workflows.listExecutions({ workflowId })).items, [])
        yield* healthy
      })
    )

    it.effect("who archives waits for a start", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId } = yield* published({ only: [] })
        const [execution] = yield* behind(workflows.start({ workflowId }), [workflows.archive(workflowId)])
        assert.equal(execution.state, "pending")
        yield* healthy
      })
    )

    it.effect("of 30 who take one slug one wins", () =>
      Effect.gen(function* () {
        const slug = yield* unique("wanted")
        const exits = yield* race(30, () => Effect.flatMap(Workflows, (own) => own.create({ slug, name: "Flow" })))
        assert.deepEqual(tally(exits), { won: 1, WorkflowSlugTaken: 29 })
      })
    )

    it.effect("30 starts with one key are one execution, with its steps once", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId, kind } = yield* published({ a: [], b: ["a"] })
        const idempotencyKey = yield* unique("key")
        const exits = yield* race(30, () =>
          Effect.flatMap(Workflows, (own) => own.start({ workflowId, idempotencyKey }))
        )
        assert.deepEqual(tally(exits), { won: 30 })
        const ids = new Set(exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value.id] : [])))
        assert.equal(ids.size, 1)
        assert.equal((yield* workflows.listExecutions({ workflowId })).items.length, 1)
        assert.equal((yield* workflows.findSteps([...ids][0]!)).length, 2)
        assert.equal((yield* claim(kind, 10)).length, 1)
        yield* healthy
      })
    )

    it.effect("due schedules start once for each time, however many ask", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId } = yield* published({ only: [] })
        const made = yield* Effect.forEach(times(20), (i) =>
          workflows.createSchedule({ workflowId, name: `s${i}`, cron: "* * * * * *", missedRuns: "catch-up" })
        )
        const until = (yield* Clock.currentTimeMillis) + 2500
        const exits = yield* race(12, (i) =>
          Effect.gen(function* () {
            const own = yield* Workflows
            const runs: Array<string> = []
            while ((yield* Clock.currentTimeMillis) < until) {
              for (const { execution, schedule, scheduledFor } of yield* own.claimDueSchedules({
                limit: 1 + (i % 5)
              })) {
                assert.notEqual(execution, null)
                runs.push(`${schedule.id} ${DateTime.formatIso(scheduledFor)}`)
              }
              yield* Effect.sleep(i % 7)
            }
            return runs
          })
        )
        const runs = exits.flatMap((exit) => (Exit.isSuccess(exit) ? exit.value : []))
        assert.ok(exits.every(Exit.isSuccess))
        assert.equal(new Set(runs).size, runs.length)
        assert.ok(runs.length >= 20, `${runs.length} runs`)
        assert.equal((yield* workflows.listExecutions({ workflowId, limit: 1000 })).items.length, runs.length)
        yield* Effect.forEach(made, ({ id }) => workflows.deleteSchedule(id), { discard: true })
        yield* healthy
      })
    )

    it.effect(
      "whoever starts, takes, finishes, pauses, cancels and retries at once, nobody waits in a circle, and nothing is lost",
      () =>
        Effect.gen(function* () {
          const workflows = yield* Workflows
          const { sql } = yield* PostgresClient.PostgresClient
          const { id: workflowId, kind } = yield* published(
            { a: [], b: [], c: ["a", "b"], d: ["a"], e: ["c", "d"] },
            { maxAttempts: 2, backoffMillis: 0 }
          )
          const executions: Array<ExecutionId> = [(yield* workflows.start({ workflowId })).id]
          const until = (yield* Clock.currentTimeMillis) + 4000
          const expected = new Set(["StepLeaseLost", "IllegalTransition"])
          const exits = yield* race(24, (i) =>
            Effect.gen(function* () {
              const own = yield* Workflows
              const allowed = <A, E extends { readonly _tag: string }, R>(call: Effect.Effect<A, E, R>) =>
                Effect.catch(call, (error) => (expected.has(error._tag) ? Effect.void : Effect.fail(error)))
              for (let n = i; (yield* Clock.currentTimeMillis) < until; n += 7) {
                // One of the newest, which others are at, too.
                const id = executions[Math.max(0, executions.length - 1 - (n % 5))]!
                if (i % 6 === 0) yield* allowed(own.pauseExecution(id))
                if (i % 6 === 0) yield* allowed(own.resumeExecution(id))
                if (i % 6 === 1) yield* allowed(own.retryExecution(id))
                if (i % 6 === 2) executions.push((yield* own.start({ workflowId })).id)
                if (i % 6 === 2 && n % 3 === 0) yield* allowed(own.cancelExecution(id))
                if (i % 6 < 3) {
                  yield* Effect.sleep(1 + (n % 5))
                  continue
                }
                const claimed = yield* claim(kind, 2, n % 9 === 0 ? "5 millis" : "5 seconds")
                for (const { step, token } of claimed) {
                  if (n % 11 === 0) continue
                  if (n % 5 === 0) yield* allowed(own.failStep(step.id, token, { error: "no" }))
                  else yield* allowed(own.completeStep(step.id, token))
                }
                if (claimed.length === 0) yield* Effect.sleep("3 millis")
              }
            })
          )
          for (const exit of exits) assert.ok(Exit.isSuccess(exit), Exit.isFailure(exit) ? String(exit.cause) : "")
          const { canceled, failed, succeeded } = yield* workflows.countExecutions({ workflowId })
          assert.ok(canceled > 0 && failed > 0 && succeeded > 0, `${canceled}, ${failed}, ${succeeded}`)
          const wrong = yield* sql`
            select e.id, e.state, w.key, w.state as step from ai_core.workflow_executions as e
            join ai_core.workflow_steps as w on w.execution_id = e.id
            where e.workflow_id = ${workflowId}::uuid and (
              e.state = 'succeeded' and w.state <> 'succeeded'
              or e.state = 'canceled' and w.state in ('blocked', 'ready', 'running')
              or e.state = 'failed' and w.state in ('blocked', 'ready')
              or e.state in ('pending', 'running', 'paused') and w.state in ('dead', 'skipped', 'canceled')
              or w.state in ('ready', 'running', 'succeeded') and exists (select from ai_core.workflow_steps as p
                where p.execution_id = e.id and p.key = any(w.depends_on) and p.state <> 'succeeded')
              or e.state in ('pending', 'running', 'paused') and w.state = 'blocked' and not exists (
                select from ai_core.workflow_steps as p
                where p.execution_id = e.id and p.key = any(w.depends_on) and p.state <> 'succeeded'))`
          assert.deepEqual(wrong, [])
          const stuck = yield* sql`
            select e.id from ai_core.workflow_executions as e
            where e.workflow_id = ${workflowId}::uuid and e.state in ('pending', 'running', 'paused')
              and not exists (select from ai_core.workflow_steps as w
                where w.execution_id = e.id and w.state in ('ready', 'running'))`
          assert.deepEqual(stuck, [])
          yield* healthy
        }),
      60_000
    )

    it.effect("interrupted at random, a step is finished as a whole or not at all", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { id: workflowId, kind } = yield* published({ a: [], b: ["a"] })
        yield* Effect.forEach(times(60), () => workflows.start({ workflowId }))
        const claimed: ReadonlyArray<ClaimedStep> = yield* claim(kind, 1000)
        assert.equal(claimed.length, 60)
        const acknowledged = yield* Effect.forEach(
          claimed,
          ({ step, token }, i) =>
            Effect.timeoutOption(workflows.completeStep(step.id, token, { costMinor: 2 }), `${(i % 12) + 1} millis`),
          { concurrency: 12 }
        )
        yield* settled
        for (const [i, { step }] of claimed.entries()) {
          const states = (yield* workflows.findSteps(step.executionId)).map(({ state }) => state)
          const { costMinor } = Option.getOrThrow(yield* workflows.findExecution(step.executionId))
          const whole = states[0] === "succeeded"
          assert.deepEqual([states, costMinor], whole ? [["succeeded", "ready"], 2] : [["running", "blocked"], 0])
          if (Option.isSome(acknowledged[i]!)) assert.ok(whole, "acknowledged and not stored")
        }
        yield* healthy
      })
    )

    it.effect("a published version is neither changed nor removed, by anybody", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { query, sql } = yield* PostgresClient.PostgresClient
        const { id } = yield* published({ only: [] })
        const before = yield* workflows.findVersion(id)
        for (const statement of [
          sql`update ai_core.workflow_versions set steps = '[1]' where workflow_id = ${id}::uuid`,
          sql`delete from ai_core.workflow_versions where workflow_id = ${id}::uuid`
        ]) {
          const { reason } = yield* Effect.flip(query({ operation: "attack", kind: "write" }, statement))
          assert.ok(reason._tag === "ConstraintViolated")
          assert.deepEqual(
            [reason.constraint, reason.table],
            ["workflow_versions_immutable_check", "workflow_versions"]
          )
        }
        assert.deepEqual(yield* workflows.findVersion(id), before)
      })
    )
  })

  it.layer(ground(1), { excludeTestServices: true, timeout: "1 minute" })("pools of 1", (it) => {
    it.effect("no call needs a second connection, inside a transaction either", () =>
      Effect.gen(function* () {
        const workflows = yield* Workflows
        const { run } = yield* Transaction
        const { id: workflowId, kind } = yield* published({ a: [], b: ["a"] }, { maxAttempts: 1 })
        const everything = Effect.gen(function* () {
          const { id } = yield* workflows.start({ workflowId })
          const [a] = yield* claim(kind, 1)
          yield* workflows.completeStep(a!.step.id, a!.token)
          const [b] = yield* claim(kind, 1)
          yield* workflows.failStep(b!.step.id, b!.token, { error: "no" })
          yield* workflows.retryExecution(id)
          yield* workflows.cancelExecution(id)
          yield* workflows.claimDueSchedules({ limit: 10 })
        })
        yield* everything
        yield* run(everything)
        yield* healthy
      })
    )
  })
})
