import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isSqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import type { MigrationStep, ScriptStep, TellProgress } from "../../core/MigrationDriver.ts"
import type { ProgramFailed } from "../../core/MigrationFailure.ts"
import { InvalidStatement, isStoreError, StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import { fromSqlError } from "../PostgresError.ts"
import { type ScriptStatement, splitScript } from "./SqlScript.ts"
import { makeLeftBehind } from "./ConcurrentIndex.ts"
import { concurrentStatement } from "./ConcurrentStatement.ts"
import type { makeHistory } from "./History.ts"
import { resumed } from "./Resumed.ts"
import { scriptProblem } from "./ScriptProblem.ts"
import { codeOf, type Transactions } from "./Transactions.ts"
import type { Which } from "./Which.ts"

const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex")

const refused = (operation: string, text: string, detail: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    statement: { text },
    reason: new InvalidStatement({ detail })
  })

/** The statement wants to be outside of a transaction, or to end one. */
const wantsNoTransaction: ReadonlySet<string | undefined> = new Set(["25001", "2D000"])

type StepFailure = StoreError | ProgramFailed

/** How one direction of a migration is run, as one transaction or statement by statement. */
export const makeSteps = (
  client: PostgresClient["Service"],
  { atomically, inTransaction, limitLocks, whileLocksAreBusy, whileLocksAreLimited }: Transactions,
  { forgetJournal, journal, journaled, keepSchema, prepareJournal }: ReturnType<typeof makeHistory>,
  /** Longest time of a statement, for the server; undefined where the session has one already. */
  statementMillis: number | undefined
) => {
  const { endpoint, query, sql } = client
  const leftBehind = makeLeftBehind(client)
  const run = (operation: string, text: string) => query({ operation, kind: "write" }, sql.unsafe<object>(text))

  /** What a step set in its session ends with it: a search path, a role, a timeout. */
  const resetSession = (operation: string) =>
    Effect.forEach(["RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"], (text) => run(operation, text), {
      discard: true
    })

  /** To the end of the session, or of what is undone: how scripts are read, and how long a statement may take. */
  const prepareSession = (operation: string) =>
    query(
      { operation, kind: "read" },
      statementMillis === undefined
        ? sql<object>`select set_config('standard_conforming_strings', 'on', false)`
        : sql<object>`select set_config('standard_conforming_strings', 'on', false),
            set_config('statement_timeout', ${String(statementMillis)}, false)`
    )

  /** The step's settings end with it, and the engine's go on. */
  const endStep = (operation: string) => Effect.andThen(resetSession(operation), prepareSession(operation))

  const statementsOf = (
    operation: string,
    step: ScriptStep
  ): Effect.Effect<ReadonlyArray<ScriptStatement>, StoreError> => {
    const statements = splitScript(step.text)
    const problem = scriptProblem(step, statements)
    return problem === undefined
      ? Effect.succeed(statements)
      : Effect.fail(refused(operation, problem.text, problem.detail))
  }

  /** What fails with Effect's own error in a program is told like any other statement. */
  const runProgram = <R>(
    operation: string,
    program: Effect.Effect<void, StepFailure, R>
  ): Effect.Effect<void, StepFailure, R> =>
    Effect.mapError(program, (error) =>
      error._tag === "ProgramFailed" && isSqlError(error.cause)
        ? fromSqlError(
            error.cause,
            { operation, kind: "write" },
            { endpoint, elapsedMillis: 0, statementMillis: Number.POSITIVE_INFINITY }
          )
        : error
    )

  const timed = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
    Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      yield* work
      return Math.round((yield* Clock.currentTimeMillis) - startedAt)
    })

  /** Runs a step inside the migration's transaction. */
  const runWhole = <R>(
    operation: string,
    which: Which,
    step: MigrationStep<R>,
    tell: TellProgress
  ): Effect.Effect<void, StepFailure, R> =>
    Effect.gen(function* () {
      const begun = yield* journaled(operation, which)
      if (begun.length > 0) {
        return yield* refused(
          operation,
          step._tag === "Script" ? step.text.trim() : "",
          `it broke off in a run without a transaction, with ${begun.filter(({ done }) => done).length} statements done; say transaction:false again to go on after them, or repair with forgetUnfinished to begin anew`
        )
      }
      if (step._tag === "Program") {
        yield* tell({ _tag: "Started", ...which, statements: 1 })
        yield* runProgram(operation, step.run)
      } else {
        const statements = yield* statementsOf(operation, step)
        yield* tell({ _tag: "Started", ...which, statements: statements.length })
        for (const [i, { text }] of statements.entries()) {
          const elapsedMillis = yield* timed(run(operation, text))
          yield* tell({
            _tag: "StatementDone",
            ...which,
            statement: i + 1,
            statements: statements.length,
            elapsedMillis
          })
        }
      }
      yield* endStep(operation)
      yield* limitLocks(operation, "transaction")
    })

  /** To the transaction's end the role is the session's own: the journal is not the script's, whatever role it took. */
  const enterTogether = (
    operation: string,
    { direction, version }: Which,
    statement: number,
    text: string,
    done: boolean
  ) =>
    Effect.andThen(
      query({ operation, kind: "read" }, sql<object>`set local role to default`),
      query(
        { operation, kind: "write", idempotent: true },
        sql<object>`insert into ${journal} (version, direction, statement, checksum, done)
          values (${version}::bigint, ${direction}, ${statement}::int, ${checksumOf(text)}, ${done})
          on conflict (version, direction, statement) do update set checksum = excluded.checksum, done = excluded.done`
      )
    )
  const enterStatement = (...entry: Parameters<typeof enterTogether>) => inTransaction(enterTogether(...entry))

  /** Runs a step without a transaction around it, statement by statement, after those that have been done. */
  const runInParts = <R>(
    operation: string,
    which: Which,
    step: MigrationStep<R>,
    tell: TellProgress
  ): Effect.Effect<void, StepFailure, R> => {
    const busy = (attempt: number, pauseMillis: number) => tell({ _tag: "LockBusy", ...which, attempt, pauseMillis })
    if (step._tag === "Program") {
      return Effect.gen(function* () {
        yield* prepareJournal
        yield* enterStatement(operation, which, 1, "", false)
        yield* tell({ _tag: "Started", ...which, statements: 1 })
        yield* runProgram(operation, step.run)
        yield* endStep(operation)
      })
    }
    const one = (statement: number, text: string, begun: boolean) =>
      Effect.gen(function* () {
        const concurrent = concurrentStatement(text) !== undefined
        if (begun && (yield* leftBehind(operation, which, text, tell))) {
          yield* enterStatement(operation, which, statement, text, true)
          return
        }
        const together = atomically(
          busy,
          Effect.andThen(run(operation, text), enterTogether(operation, which, statement, text, true))
        )
        // CONCURRENTLY waits for old transactions and blocks nobody; a lock timeout would leave an invalid index.
        const alone = Effect.gen(function* () {
          yield* enterStatement(operation, which, statement, text, false)
          if (concurrent) yield* run(operation, text)
          else yield* whileLocksAreLimited(operation, whileLocksAreBusy(busy, run(operation, text)))
          yield* enterStatement(operation, which, statement, text, true)
        })
        yield* concurrent
          ? alone
          : Effect.catch(together, (error) => (wantsNoTransaction.has(codeOf(error)) ? alone : Effect.fail(error)))
      })
    return Effect.gen(function* () {
      const statements = yield* statementsOf(operation, step)
      yield* prepareJournal
      const entries = yield* journaled(operation, which)
      const before = new Map(entries.map((entry) => [entry.statement, entry]))
      // What comes before it may have made the session what it needs.
      const lastToDo = 1 + statements.findLastIndex((_, i) => before.get(i + 1)?.done !== true)
      for (const { checksum, done, statement } of entries) {
        const text = statements[statement - 1]?.text ?? ""
        if (done && checksum !== checksumOf(text)) {
          return yield* refused(
            operation,
            text,
            `statement ${statement} was edited after it had been done in a run that broke off; put it back, or repair with forgetUnfinished`
          )
        }
        if (done && statement < lastToDo && resumed(text) === "gone") {
          return yield* refused(
            operation,
            text,
            `what statement ${statement} made ended with the session of the run that broke off; undo what was done, or take it out of the file, and repair with forgetUnfinished to begin anew`
          )
        }
      }
      yield* tell({ _tag: "Started", ...which, statements: statements.length })
      for (const [i, { text }] of statements.entries()) {
        const entry = before.get(i + 1)
        if (entry?.done === true) {
          if (i + 1 < lastToDo && resumed(text) === "again") yield* run(operation, text)
          continue
        }
        const elapsedMillis = yield* timed(one(i + 1, text, entry !== undefined))
        yield* tell({
          _tag: "StatementDone",
          ...which,
          statement: i + 1,
          statements: statements.length,
          elapsedMillis
        })
      }
      yield* endStep(operation)
    })
  }

  /** Runs one direction of a migration, and `record` with it in the transaction or, without one, after it. */
  const runStep = <A, R>(
    which: Which,
    step: MigrationStep<R>,
    tell: TellProgress,
    record: (operation: string, elapsedMillis: number) => Effect.Effect<A, StoreError>
  ): Effect.Effect<A, StepFailure, R> =>
    Effect.gen(function* () {
      const operation = `Migrations.${which.direction === "up" ? "apply" : "revert"} ${which.version}_${which.name}`
      const startedAt = yield* Clock.currentTimeMillis
      const busy = (attempt: number, pauseMillis: number) => tell({ _tag: "LockBusy", ...which, attempt, pauseMillis })
      const elapsed = Effect.map(Clock.currentTimeMillis, (now) => Math.round(now - startedAt))
      const recorded = Effect.gen(function* () {
        const kept = yield* record(operation, yield* elapsed)
        yield* forgetJournal(operation, [which.version])
        yield* keepSchema
        return kept
      })
      // Until COMMIT is sent nothing is applied, however a statement fails.
      const undone = <E>(error: E): E | StoreError =>
        isStoreError(error) ? error.during(error.operation, "not-applied") : error
      const result = step.transaction
        ? yield* atomically(
            busy,
            Effect.mapError(Effect.andThen(runWhole(operation, which, step, tell), recorded), undone)
          )
        : yield* Effect.andThen(runInParts(operation, which, step, tell), inTransaction(recorded))
      yield* tell({ _tag: "Finished", ...which, elapsedMillis: yield* elapsed })
      return result
    })

  return { prepareSession, resetSession, runStep }
}
