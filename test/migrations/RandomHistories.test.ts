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
  /** The second statement of its way down is none. */
  readonly brokenDown: boolean
}

type Direction = "up" | "down"

interface Statement {
  readonly text: string
  /** What it does; undefined where it is none. */
  readonly act: ((model: Model) => void) | undefined
}

const none: Statement = { text: "selec 1", act: undefined }

const statementsOf = (
  { broken, brokenDown, inserts, revision, version }: File,
  direction: Direction
): ReadonlyArray<Statement> =>
  direction === "up"
    ? [
        {
          text: `create /* ${revision} */ table if not exists app.t_${version} (n int)`,
          act: ({ tables }) => void tables.add(version)
        },
        ...Array.from({ length: inserts }, (_, i) => ({
          text: `insert /* ${revision} */ into app.log values (${version}, ${i + 2})`,
          act: ({ log }: Model) => void log.push(`${version}.${i + 2}`)
        })),
        ...(broken ? [none] : [])
      ]
    : [
        {
          text: `delete /* ${revision} */ from app.log where version = ${version}`,
          act: (model) => void (model.log = model.log.filter((row) => !row.startsWith(`${version}.`)))
        },
        ...(brokenDown ? [none] : []),
        { text: `drop table if exists app.t_${version}`, act: ({ tables }) => void tables.delete(version) }
      ]

const nameOf = ({ version }: File) => `${version}_step.sql`
/** What a checksum tells apart. */
const contentOf = (file: File) => JSON.stringify(file)

/** How an operation of the model ends, if not in success. */
class Ended {
  readonly outcome: string
  constructor(outcome: string) {
    this.outcome = outcome
  }
}

/** What must be in the store, kept beside it by the simplest means. */
class Model {
  files = new Map<number, File>()
  removed = new Map<number, File>()
  /** Content of the file that each version was applied with. */
  applied = new Map<number, { readonly content: string; readonly kind: "migrated" | "baseline" }>()
  /** Texts of the statements that have been done of what broke off. */
  unfinished = new Map<number, { readonly direction: Direction; readonly texts: ReadonlyArray<string> }>()
  log: Array<string> = []
  tables = new Set<number>()
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
  contradiction(future: FuturePolicy): string | undefined {
    for (const version of [...this.applied.keys()].sort((a, b) => a - b)) {
      const file = this.files.get(version)
      if (this.isFuture(version)) {
        if (future === "error") return "FutureApplied"
        continue
      }
      if (file === undefined) return "FileMissing"
      if (contentOf(file) !== this.applied.get(version)?.content) return "ChecksumChanged"
    }
    return undefined
  }
  problem(policy: OutOfOrderPolicy, future: FuturePolicy): string | undefined {
    if ([...this.unfinished.values()].some(({ direction }) => direction === "down")) return "HalfUndone"
    const late = () => this.pending("allow").some((file) => this.isLate(file))
    return this.contradiction(future) ?? (policy === "error" && late() ? "OutOfOrder" : undefined)
  }
  isLate({ version }: File) {
    return version < Math.max(-1, ...this.applied.keys())
  }
  pending(policy: OutOfOrderPolicy) {
    const missing = this.inOrder().filter(({ version }) => !this.applied.has(version))
    return policy === "skip" ? missing.filter((file) => !this.isLate(file)) : missing
  }

  /** Undoes what the work did where it does not end well. */
  inTransaction(work: () => void) {
    const { applied, known, log, tables, unfinished } = this
    const before = {
      applied: new Map(applied),
      log: [...log],
      tables: new Set(tables),
      unfinished: new Map(unfinished)
    }
    try {
      work()
    } catch (ended) {
      Object.assign(this, before, { known })
      throw ended
    }
  }
  /** Ends at the nth progress. */
  ending(stopAt: number | undefined, work: (tell: (last?: boolean) => void) => void): string {
    let told = 0
    try {
      work((last = false) => {
        if (++told === stopAt) throw new Ended(last ? "StoppedLast" : "Stopped")
      })
      return "Success"
    } catch (ended) {
      if (ended instanceof Ended) return ended.outcome
      throw ended
    }
  }
  /** Runs one direction of a migration, all but the last progress of it. */
  step(file: File, direction: Direction, tell: () => void) {
    const { transaction, version } = file
    const statements = statementsOf(file, direction)
    const done = this.unfinished.get(version)?.texts ?? []
    const work = () => {
      // What has been done of it was done without a transaction, and is as it was.
      if (transaction ? done.length > 0 : done.some((text, i) => statements[i]?.text !== text)) {
        throw new Ended("StatementFailed")
      }
      tell()
      for (const [i, { act }] of statements.entries()) {
        if (i < done.length) continue
        if (act === undefined) throw new Ended("StatementFailed")
        act(this)
        if (!transaction) {
          this.unfinished.set(version, { direction, texts: statements.slice(0, i + 1).map(({ text }) => text) })
        }
        tell()
      }
      this.unfinished.delete(version)
      if (direction === "down") this.applied.delete(version)
      else this.applied.set(version, { content: contentOf(file), kind: "migrated" })
      this.keepSchema()
    }
    if (transaction) this.inTransaction(work)
    else work()
  }

  /** Runs what is pending, up to the nth progress; gives how it ends. */
  run(policy: OutOfOrderPolicy, future: FuturePolicy, stopAt: number | undefined): string {
    const problem = this.problem(policy, future)
    if (problem !== undefined) return problem
    const pending = this.pending(policy)
    return this.ending(stopAt, (tell) => {
      for (const file of pending) {
        this.step(file, "up", tell)
        tell(file === pending.at(-1))
      }
    })
  }
  /** The newest applied migrations, newest first, or why they cannot be undone. */
  newest(steps: number): ReadonlyArray<File> | string {
    const contradiction = this.contradiction("allow")
    if (contradiction !== undefined) return contradiction
    const versions = [...this.applied.keys()].sort((a, b) => b - a).slice(0, steps)
    const files = versions.flatMap((version) => this.files.get(version) ?? [])
    return files.length < versions.length ? "FutureApplied" : files
  }
  down(steps: number, stopAt: number | undefined): string {
    const newest = this.newest(steps)
    if (typeof newest === "string") return newest
    const prove = (file: File, tell: () => void) =>
      this.inTransaction(() => {
        const before = this.schema()
        this.step(file, "down", tell)
        tell()
        const { applied, known, log, tables } = this
        Object.assign(this, { applied: new Map(applied), log: [...log], tables: new Set(tables) })
        this.step(file, "up", () => undefined)
        if (this.schema() !== before) throw new Ended("DownUnfaithful")
        Object.assign(this, { applied, known, log, tables })
      })
    return this.ending(stopAt, (tell) => {
      for (const file of newest) {
        if (file.transaction && this.applied.get(file.version)?.kind === "migrated") prove(file, tell)
        else {
          this.step(file, "down", tell)
          tell(file === newest.at(-1))
        }
      }
    })
  }
  redo(steps: number, stopAt: number | undefined): string {
    const newest = this.newest(steps)
    if (typeof newest === "string") return newest
    const whole = newest.every(({ transaction }) => transaction)
    return this.ending(stopAt, (tell) => {
      const again = () => {
        for (const file of newest) {
          this.step(file, "down", tell)
          tell()
        }
        for (const file of newest.toReversed()) {
          this.step(file, "up", tell)
          tell(!whole && file === newest[0])
        }
      }
      if (!whole) return again()
      this.inTransaction(() => {
        const before = this.schema()
        again()
        if (this.schema() !== before) throw new Ended("DownUnfaithful")
      })
    })
  }
  repair(forgetMissing: boolean, forgetFuture: boolean, forgetUnfinished: boolean) {
    for (const [version, { kind }] of this.applied) {
      const file = this.files.get(version)
      if (file !== undefined) this.applied.set(version, { content: contentOf(file), kind })
      else if (this.isFuture(version) ? forgetFuture : forgetMissing) {
        this.applied.delete(version)
        this.unfinished.delete(version)
      }
    }
    if (this.applied.size === 0) this.known = undefined
    if (forgetUnfinished) this.unfinished.clear()
  }
  baseline(upTo: number) {
    for (const file of this.inOrder()) {
      if (file.version > upTo || this.applied.has(file.version)) continue
      this.applied.set(file.version, { content: contentOf(file), kind: "baseline" })
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

/** How operations have ended. */
const ends = new Set<string>()

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
      const script = (direction: Direction) =>
        `${statementsOf(file, direction)
          .map(({ text }) => text)
          .join(";\n")};`
      return write(nameOf(file), script("up"), script("down"), file.transaction ? "" : " transaction:false")
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
        broken: yield* chance(0.2),
        brokenDown: yield* chance(0.15)
      }
      steps.push(`add ${contentOf(file)}`)
      yield* put(file)
    })
    const editOne = Effect.fnUntraced(function* (file: File) {
      const { broken, brokenDown, inserts, revision, transaction } = file
      const edited = {
        ...file,
        ...(yield* pick([
          { revision: revision + 1 },
          { transaction: !transaction },
          { inserts: (inserts + 2) % 4 },
          { broken: !broken },
          { brokenDown: !brokenDown }
        ]))
      }
      steps.push(`edit ${contentOf(edited)}`)
      yield* put(edited)
    })
    const edit = Effect.gen(function* () {
      yield* editOne(yield* pick([...model.files.values()]))
    })
    const mend = Effect.gen(function* () {
      const broken = [...model.files.values()].filter(({ broken, brokenDown }) => broken || brokenDown)
      if (broken.length === 0) return
      const file = yield* pick(broken)
      steps.push(`mend ${file.version}`)
      yield* put({ ...file, broken: false, brokenDown: false })
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
    /** Runs an operation that is killed or interrupted at one progress or another, or is not. */
    const disturbed = (
      name: string,
      operation: (options: Migrations.MigrationsOptions) => Effect.Effect<unknown, unknown>,
      expect: (at: number | undefined) => string
    ) =>
      Effect.gen(function* () {
        const fault = yield* pick(["none", "none", "kill", "interrupt"] as const)
        const at = fault === "none" ? undefined : yield* Random.nextIntBetween(1, 12)
        steps.push(`${name}${at === undefined ? "" : `, ${fault} at ${at}`}`)
        const reached = yield* Deferred.make<void>()
        let told = 0
        const onProgress = () =>
          Effect.suspend(() => {
            if (++told !== at) return Effect.void
            if (fault === "kill") return Effect.asVoid(Effect.orDie(killOthers))
            return Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
          })
        const fiber = yield* Effect.forkChild(operation({ onProgress }))
        const interrupting = yield* Effect.forkChild(Effect.andThen(Deferred.await(reached), Fiber.interrupt(fiber)))
        const exit = yield* Fiber.await(fiber)
        yield* Fiber.interrupt(interrupting)
        const expected = expect(at)
        const found = outcomeOf(exit)
        if (expected === "Stopped") assert.notEqual(found, "Success")
        // Killed after the last migration there is nothing left that could fail.
        else if (expected === "StoppedLast") assert.ok(["Success", "Interrupted", "StoreError"].includes(found), found)
        else assert.equal(found, expected)
        ends.add(`${name.split(" ")[0]} ${expected}`)
      })
    const run = Effect.gen(function* () {
      const outOfOrder = yield* pick(["error", "allow", "allow", "skip"] as const)
      const future = yield* pick(["allow", "allow", "error"] as const)
      yield* disturbed(
        `run ${outOfOrder} ${future}`,
        (options) => operations({ outOfOrder, future, ...options }).run,
        (at) => model.run(outOfOrder, future, at)
      )
    })
    const down = Effect.gen(function* () {
      const steps = yield* Random.nextIntBetween(1, 2)
      yield* disturbed(
        `down ${steps}`,
        (options) => operations(options).down({ steps }),
        (at) => model.down(steps, at)
      )
    })
    const redo = Effect.gen(function* () {
      const steps = yield* Random.nextIntBetween(1, 2)
      yield* disturbed(
        `redo ${steps}`,
        (options) => operations(options).redo({ steps }),
        (at) => model.redo(steps, at)
      )
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
        state.unfinished.map(({ direction, done, version }) => [Number(version), direction, done]),
        [...model.unfinished]
          .sort(([a], [b]) => a - b)
          .map(([version, { direction, texts }]) => [version, direction, texts.length])
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

    /** What breaks off without a transaction is edited, and run again. */
    const editBegun = Effect.gen(function* () {
      const direction = yield* pick(["up", "down"] as const)
      const version = (newest += 1)
      const broken = { broken: direction === "up", brokenDown: direction === "down" }
      const file: File = { version, revision: 1, inserts: 2, transaction: false, ...broken }
      const act = (direction: Direction) => (direction === "up" ? run : down)
      steps.push(`add ${contentOf(file)}`)
      yield* put(file)
      yield* run
      if (direction === "down") yield* down
      yield* check
      yield* editOne(file)
      if (direction === "down") yield* repair
      yield* check
      yield* act(direction)
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
      yield* yield* pick([run, down, redo, repair])
      yield* check
      if (yield* chance(0.3)) return
      steps.push("the newest release")
      yield* Effect.forEach(newer, giveBack)
    })

    yield* add
    for (let i = 0; i < 20; i++) {
      const some = model.files.size > 0
      const action = yield* pick([
        "add",
        "add",
        "edit",
        "edit begun",
        "edit begun",
        "mend",
        "lose",
        "back",
        "older",
        "older",
        "down",
        "down",
        "redo",
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
      else if (action === "edit begun") yield* editBegun
      else if (action === "mend") yield* mend
      else if (action === "lose") yield* lose
      else if (action === "back") yield* bringBack
      else if (action === "older") yield* older
      else if (action === "down") yield* down
      else if (action === "redo") yield* redo
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
        "files edited, late, failing; run, down and redo killed: the store is what the model says after every step",
        () =>
          Effect.gen(function* () {
            yield* PostgresClient
            for (let i = first; i < first + histories; i++) yield* history(`history ${i}`)
            for (const end of [
              "run Stopped",
              "run HalfUndone",
              "down Stopped",
              "down StatementFailed",
              "redo Stopped"
            ]) {
              assert.ok(ends.has(end), `never: ${end}`)
            }
          }),
        soak ? 3_600_000 : 120_000
      )
    }
  )
})
