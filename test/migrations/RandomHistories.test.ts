import { it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Random } from "effect"
import * as assert from "node:assert/strict"
import * as Migrations from "../../src/migrations/Migrations.ts"
import type { FuturePolicy, OutOfOrderPolicy } from "../../src/migrations/Plan.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { describeLive } from "../servers/index.ts"
import { ground, quiet, server } from "./support.ts"

/** A migration as it stands in the folder: makes a table of its own, then writes `inserts` rows into a common log. */
interface File {
  readonly version: number
  readonly revision: number
  readonly inserts: number
  readonly transaction: boolean
  /** Its last statement is none. */
  readonly broken: boolean
}

const nameOf = ({ version }: File) => `${version}_step.sql`
const statementsOf = ({ broken, inserts }: File) => 1 + inserts + (broken ? 1 : 0)
/** What a checksum tells apart. */
const contentOf = (file: File) => JSON.stringify(file)
/** What the statements that have been done are compared by. */
const textOf = ({ revision, version }: File) => `${version}/${revision}`

/** What must be in the store, kept beside it by the simplest means. */
class Model {
  readonly files = new Map<number, File>()
  readonly removed = new Map<number, File>()
  /** Content of the file that each version was applied with. */
  readonly applied = new Map<number, string>()
  readonly unfinished = new Map<number, { done: number; text: string }>()
  readonly log: Array<string> = []
  readonly tables = new Set<number>()
  /** Tables that were there when the history was last written; undefined while it is empty. */
  known: string | undefined

  keepSchema() {
    this.known = this.applied.size === 0 ? undefined : this.schema()
  }
  schema() {
    return [...this.tables].sort((a, b) => a - b).join()
  }
  inOrder() {
    return [...this.files.values()].sort((a, b) => a.version - b.version)
  }
  /** Applied, and newer than every file, of which there must be one. */
  isFuture(version: number) {
    return this.files.size > 0 && version > Math.max(...this.files.keys())
  }
  problem(policy: OutOfOrderPolicy, future: FuturePolicy): string | undefined {
    for (const version of [...this.applied.keys()].sort((a, b) => a - b)) {
      const file = this.files.get(version)
      if (this.isFuture(version)) {
        if (future === "error") return "FutureApplied"
        continue
      }
      if (file === undefined) return "FileMissing"
      if (contentOf(file) !== this.applied.get(version)) return "ChecksumChanged"
    }
    return policy === "error" && this.pending("allow").some((file) => this.isLate(file)) ? "OutOfOrder" : undefined
  }
  isLate({ version }: File) {
    return version < Math.max(-1, ...this.applied.keys())
  }
  pending(policy: OutOfOrderPolicy) {
    const missing = this.inOrder().filter(({ version }) => !this.applied.has(version))
    return policy === "skip" ? missing.filter((file) => !this.isLate(file)) : missing
  }
  do(file: File, from: number, to: number) {
    for (let statement = from; statement <= to; statement++) {
      if (statement === 1) this.tables.add(file.version)
      else this.log.push(`${file.version}.${statement}`)
    }
  }
  /** Runs what is pending, up to the nth progress; gives how it ends. */
  run(policy: OutOfOrderPolicy, future: FuturePolicy, stopAt: number | undefined): string {
    const problem = this.problem(policy, future)
    if (problem !== undefined) return problem
    let told = 0
    const stopped = () => ++told === stopAt
    const pending = this.pending(policy)
    for (const [i, file] of pending.entries()) {
      const { transaction, version } = file
      const before = this.unfinished.get(version)
      const done = transaction ? 0 : (before?.done ?? 0)
      // A file whose mark was edited in between is whole again, and its journal is left alone.
      if (!transaction && done > 0 && before?.text !== textOf(file)) return "StatementFailed"
      if (stopped()) return "Stopped"
      const good = statementsOf(file) - (file.broken ? 1 : 0)
      for (let statement = done + 1; statement <= good; statement++) {
        if (!transaction) {
          this.do(file, statement, statement)
          this.unfinished.set(version, { done: statement, text: textOf(file) })
        }
        if (stopped()) return "Stopped"
      }
      if (file.broken) return "StatementFailed"
      if (transaction) this.do(file, 1, good)
      this.unfinished.delete(version)
      this.applied.set(version, contentOf(file))
      this.keepSchema()
      if (stopped()) return i === pending.length - 1 ? "StoppedLast" : "Stopped"
    }
    return "Success"
  }
  down(steps: number): string {
    const problem = this.problem("allow", "allow")
    if (problem !== undefined) return problem
    const newest = [...this.applied.keys()].sort((a, b) => b - a).slice(0, steps)
    if (newest.some((version) => this.isFuture(version))) return "FutureApplied"
    for (const version of newest) {
      const kept = this.log.filter((row) => !row.startsWith(`${version}.`))
      this.log.splice(0, this.log.length, ...kept)
      this.tables.delete(version)
      this.applied.delete(version)
      this.unfinished.delete(version)
      this.keepSchema()
    }
    return "Success"
  }
  repair(forgetMissing: boolean, forgetFuture: boolean, forgetUnfinished: boolean) {
    for (const version of this.applied.keys()) {
      const file = this.files.get(version)
      if (file !== undefined) this.applied.set(version, contentOf(file))
      else if (this.isFuture(version) ? forgetFuture : forgetMissing) this.applied.delete(version)
    }
    if (this.applied.size === 0) this.known = undefined
    if (forgetUnfinished) this.unfinished.clear()
  }
  baseline(upTo: number) {
    for (const file of this.inOrder()) {
      if (file.version > upTo || this.applied.has(file.version)) continue
      this.applied.set(file.version, contentOf(file))
      this.unfinished.delete(file.version)
    }
    this.keepSchema()
  }
}

const pick = <A>(items: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, items.length - 1), (i) => items[i]!)
const chance = (p: number) => Effect.map(Random.next, (n) => n < p)

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "Success"
  const error = Cause.squash(exit.cause)
  if (typeof error === "object" && error !== null && "_tag" in error) {
    if (error._tag === "MigrationError" && "reason" in error) return (error.reason as { readonly _tag: string })._tag
    return String(error._tag)
  }
  return Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : String(error)
}

/** A random history of one folder and one schema; after every step the store must be what the model says. */
const history = (seed: string) => {
  const steps: Array<string> = []
  return Effect.gen(function* () {
    const { client, driver, file: write, folder, remove, schema } = yield* ground()
    const { sql } = client
    const model = new Model()
    yield* sql.unsafe(`create schema ${schema}`)
    yield* sql.unsafe(`create table ${schema}.log (version int, statement int)`)
    let newest = 10

    const put = (file: File) => {
      model.files.set(file.version, file)
      const { broken, inserts, revision, transaction, version } = file
      const up = [
        `create /* ${revision} */ table if not exists app.t_${version} (n int)`,
        ...Array.from(
          { length: inserts },
          (_, i) => `insert /* ${revision} */ into app.log values (${version}, ${i + 2})`
        ),
        ...(broken ? ["selec 1"] : [])
      ]
      const down = [`delete from app.log where version = ${version}`, `drop table if exists app.t_${version}`]
      const mark = transaction ? "" : " transaction:false"
      return write(nameOf(file), `${up.join(";\n")};`, `${down.join(";\n")};`, mark)
    }

    const operations = (options: Migrations.MigrationsOptions = {}) => Migrations.make(driver, { folder, ...options })

    const add = Effect.gen(function* () {
      const late = yield* chance(0.25)
      let version = late ? yield* Random.nextIntBetween(1, newest) : (newest += yield* Random.nextIntBetween(1, 5))
      while (model.files.has(version) || model.removed.has(version)) version = ++newest
      const file: File = {
        version,
        revision: 1,
        inserts: yield* Random.nextIntBetween(0, 3),
        transaction: yield* chance(0.7),
        broken: yield* chance(0.2)
      }
      steps.push(`add ${contentOf(file)}`)
      yield* put(file)
    })
    const edit = Effect.gen(function* () {
      const file = yield* pick([...model.files.values()])
      const edited = { ...file, revision: file.revision + 1 }
      steps.push(`edit ${contentOf(edited)}`)
      yield* put(edited)
    })
    const mend = Effect.gen(function* () {
      const broken = [...model.files.values()].filter(({ broken }) => broken)
      if (broken.length === 0) return
      const file = yield* pick(broken)
      steps.push(`mend ${file.version}`)
      yield* put({ ...file, broken: false })
    })
    const takeAway = (file: File) => {
      model.files.delete(file.version)
      model.removed.set(file.version, file)
      return remove(nameOf(file))
    }
    const lose = Effect.gen(function* () {
      const file = yield* pick([...model.files.values()])
      steps.push(`remove ${file.version}`)
      yield* takeAway(file)
    })
    const giveBack = (file: File) => {
      model.removed.delete(file.version)
      return put(file)
    }
    const bringBack = Effect.gen(function* () {
      if (model.removed.size === 0) return
      const file = yield* pick([...model.removed.values()])
      steps.push(`bring back ${file.version}`)
      yield* giveBack(file)
    })
    const killOthers = sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`
    const run = Effect.gen(function* () {
      const policy = yield* pick(["error", "allow", "allow", "skip"] as const)
      const future = yield* pick(["allow", "allow", "error"] as const)
      const fault = yield* pick(["none", "none", "kill", "interrupt"] as const)
      const at = fault === "none" ? undefined : yield* Random.nextIntBetween(1, 12)
      steps.push(`run ${policy} ${future}${at === undefined ? "" : `, ${fault} at ${at}`}`)
      const reached = yield* Deferred.make<void>()
      let told = 0
      const onProgress = () =>
        Effect.suspend(() => {
          if (++told !== at) return Effect.void
          if (fault === "kill") return Effect.asVoid(Effect.orDie(killOthers))
          return Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
        })
      const fiber = yield* Effect.forkChild(operations({ outOfOrder: policy, future, onProgress }).run)
      const interrupting = yield* Effect.forkChild(Effect.andThen(Deferred.await(reached), Fiber.interrupt(fiber)))
      const exit = yield* Fiber.await(fiber)
      yield* Fiber.interrupt(interrupting)
      const expected = model.run(policy, future, at)
      const found = outcomeOf(exit)
      if (expected === "Stopped") assert.notEqual(found, "Success")
      // Killed after the last migration there is nothing left that could fail.
      else if (expected === "StoppedLast") assert.ok(["Success", "Interrupted", "StoreError"].includes(found), found)
      else assert.equal(found, expected)
    })
    const down = Effect.gen(function* () {
      const steps_ = yield* Random.nextIntBetween(1, 2)
      steps.push(`down ${steps_}`)
      const exit = yield* Effect.exit(operations().down({ steps: steps_ }))
      assert.equal(outcomeOf(exit), model.down(steps_))
    })
    const repair = Effect.gen(function* () {
      const [forgetMissing, forgetFuture, forgetUnfinished] = [
        yield* chance(0.6),
        yield* chance(0.4),
        yield* chance(0.6)
      ]
      steps.push(`repair ${forgetMissing} ${forgetFuture} ${forgetUnfinished}`)
      yield* operations().repair({ forgetMissing, forgetFuture, forgetUnfinished })
      model.repair(forgetMissing, forgetFuture, forgetUnfinished)
    })
    const baseline = Effect.gen(function* () {
      const { version } = yield* pick([...model.files.values()])
      steps.push(`baseline ${version}`)
      yield* operations().baseline(BigInt(version))
      model.baseline(version)
    })

    const check = Effect.gen(function* () {
      const migrations = operations()
      const state = yield* driver.state
      assert.deepEqual(
        state.applied.map(({ version }) => Number(version)),
        [...model.applied.keys()].sort((a, b) => a - b)
      )
      assert.deepEqual(
        state.unfinished.filter(({ done }) => done > 0).map(({ done, version }) => [Number(version), done]),
        [...model.unfinished].map(([version, { done }]) => [version, done]).sort(([a = 0], [b = 0]) => a - b)
      )
      const log = yield* sql<{ readonly row: string }>`select version || '.' || statement as row
        from ${sql(schema)}.log order by version, statement`
      assert.deepEqual(log.map(({ row }) => row).sort(), [...model.log].sort())
      const tables = yield* sql<{ readonly n: number }>`select substr(relname, 3)::int as n from pg_class
        where relnamespace = ${schema}::regnamespace and relname like 't\\_%' order by n`
      assert.equal(tables.map(({ n }) => n).join(), model.schema())
      const { drift, future, problems } = yield* migrations.verify
      assert.equal(problems[0]?._tag, model.problem("error", "allow"))
      assert.equal((yield* operations({ future: "error" }).verify).problems[0]?._tag, model.problem("error", "error"))
      assert.deepEqual(
        future.map(Number),
        [...model.applied.keys()].filter((version) => model.isFuture(version)).sort((a, b) => a - b)
      )
      const drifted = drift !== undefined && drift.missing.length + drift.unexpected.length > 0
      assert.equal(drifted, model.known !== undefined && model.known !== model.schema())
    })

    /** A program of an older release restarts: it has the files up to one that was applied, and does something. */
    const older = Effect.gen(function* () {
      const known = [...model.files.keys()].filter((version) => model.applied.has(version))
      if (known.length === 0) return
      const newest = yield* pick(known)
      steps.push(`the release of ${newest}`)
      const newer = [...model.files.values()].filter(({ version }) => version > newest)
      yield* Effect.forEach(newer, takeAway)
      yield* check
      yield* yield* pick([run, down, repair])
      yield* check
      if (yield* chance(0.3)) return
      steps.push("the newest release")
      yield* Effect.forEach(newer, giveBack)
    })

    yield* add
    for (let i = 0; i < 16; i++) {
      const some = model.files.size > 0
      const action = yield* pick([
        "add",
        "add",
        "edit",
        "mend",
        "lose",
        "back",
        "older",
        "older",
        "down",
        "repair",
        "baseline",
        "run",
        "run",
        "run",
        "run",
        "run"
      ] as const)
      if (action === "add" || !some) yield* add
      else if (action === "edit") yield* edit
      else if (action === "mend") yield* mend
      else if (action === "lose") yield* lose
      else if (action === "back") yield* bringBack
      else if (action === "older") yield* older
      else if (action === "down") yield* down
      else if (action === "repair") yield* repair
      else if (action === "baseline") yield* baseline
      else yield* run
      yield* check
    }
    yield* sql.unsafe(`drop schema ${schema} cascade`)
  }).pipe(
    Effect.scoped,
    Random.withSeed(seed),
    Effect.catchCause((cause) =>
      Effect.die(new Error(`seed ${seed}\n${steps.join("\n")}`, { cause: Cause.squash(cause) }))
    )
  )
}

const soak = process.env.TEST_SOAK === "1"
const histories = soak ? 1000 : 25
const first = Number(process.env.TEST_SEED ?? 0)

describeLive("postgresql", "random histories of migrations", () => {
  it.layer(Layer.merge(server({ maxConnections: 3 }), quiet), { excludeTestServices: true, timeout: "1 minute" })(
    "against a model of what must be applied",
    (it) => {
      it.effect(
        "files added, edited, removed, out of order, failing, killed: the store is what the model says after every step",
        () =>
          Effect.gen(function* () {
            yield* PostgresClient
            for (let i = first; i < first + histories; i++) yield* history(`history ${i}`)
          }),
        soak ? 3_600_000 : 120_000
      )
    }
  )
})
