import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { StoreError } from "../../core/StoreError.ts"
import type { PostgresMemory } from "../PostgresMemory.ts"
import type { TransactionOptions, TransactionOutcome, TransactionSettings } from "../Transaction.ts"

/** An open transaction of memory, or a savepoint in it. */
export interface MemoryLevel {
  readonly settings: TransactionSettings
  /** Given when somebody asks. */
  readonly id: () => string
  /** What is run once the outermost one has been committed. */
  readonly actions: Array<Effect.Effect<void>>
  /** What is run when the work of this level is undone, or the outermost one has ended either way. */
  readonly releases: Array<() => void>
  open: boolean
}

/** Transactions of one memory, with what hangs on their ends. */
export interface MemoryTransactions {
  readonly current: Context.Reference<MemoryLevel | undefined>
  readonly outermost: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TransactionOptions
  ) => Effect.Effect<A, E | StoreError, R>
  readonly savepoint: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  readonly outcomeOf: (id: string) => TransactionOutcome
}

const runAction = (action: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.ignoreCause(action, { log: "Error", message: "An action after COMMIT died" })

let serial = 0

const make = (memory: PostgresMemory["Service"]): MemoryTransactions => {
  const current = Context.Reference<MemoryLevel | undefined>(
    `@ai-core/database/postgres/MemoryTransactions/${++serial}`,
    { defaultValue: () => undefined }
  )
  const outcomes = new Map<string, TransactionOutcome>()

  const outermost: MemoryTransactions["outermost"] = (effect, options) =>
    Effect.suspend(() => {
      let id: string | undefined
      let outcome: TransactionOutcome = "in progress"
      const { deferrable = false, isolation = "read committed", readOnly = false } = options
      const level: MemoryLevel = {
        settings: { isolation, readOnly, deferrable },
        id: () => {
          if (id === undefined) {
            id = String(1000 + outcomes.size)
            outcomes.set(id, outcome)
          }
          return id
        },
        actions: [],
        releases: [],
        open: true
      }
      const end = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.sync(() => {
          level.open = false
          outcome = Exit.isSuccess(exit) ? "committed" : "aborted"
          if (id !== undefined) outcomes.set(id, outcome)
          for (const release of level.releases) release()
        })
      // What has ended well in memory is committed, even where its fiber is interrupted in the same moment.
      return Effect.onExit(
        memory.transaction(Effect.onExit(Effect.provideService(effect, current, level), end), { readOnly }),
        () => (outcome === "committed" ? Effect.forEach(level.actions, runAction, { discard: true }) : Effect.void)
      )
    })

  const savepoint: MemoryTransactions["savepoint"] = (effect) =>
    Effect.flatMap(current, (outer) => {
      if (outer === undefined) return Effect.die("a savepoint needs a transaction around it")
      const level: MemoryLevel = { settings: outer.settings, id: outer.id, actions: [], releases: [], open: true }
      const end = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.sync(() => {
          level.open = false
          if (Exit.isSuccess(exit)) {
            outer.actions.push(...level.actions)
            outer.releases.push(...level.releases)
          } else for (const release of level.releases) release()
        })
      return memory.transaction(Effect.onExit(Effect.provideService(effect, current, level), end))
    })

  return { current, outermost, savepoint, outcomeOf: (id) => outcomes.get(id) ?? "aborted" }
}

const made = new WeakMap<PostgresMemory["Service"], MemoryTransactions>()

/** The transactions of a memory, the same for everybody who asks. */
export const transactionsOf = (memory: PostgresMemory["Service"]): MemoryTransactions => {
  const known = made.get(memory)
  if (known !== undefined) return known
  const transactions = make(memory)
  made.set(memory, transactions)
  return transactions
}
