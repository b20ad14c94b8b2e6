import type { Mutant } from "./Mutant.ts"

const network = ["test/postgres/PostgresNetwork.test.ts"]
const faults = ["test/postgres/PostgresFaults.test.ts"]
const client = ["test/postgres/PostgresClient.test.ts"]
const pool = "src/postgres/PostgresPool.ts"
const errors = "src/postgres/PostgresError.ts"

/** Each handling of a fault, taken out. */
export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "PostgreSQL: start-up does not wait for a server that comes up later",
    file: "src/core/StartUp.ts",
    find: `    case "Unavailable":\n`,
    replace: "",
    tests: faults,
    only: "then up within"
  },
  {
    name: "PostgreSQL: a silent server at start is not given up",
    file: pool,
    find: "Effect.timeoutOrElse({ duration: config.connectTimeout, orElse: () => Effect.fail(silent) })",
    replace: "Effect.uninterruptible",
    tests: network,
    only: "accepts and never answers"
  },
  {
    name: "PostgreSQL: a silent server in a call is not given up",
    file: pool,
    find: "slot.socket.destroy(new StatementExpired(now() - startedAt))",
    replace: "",
    tests: network,
    only: "goes silent"
  },
  {
    name: "PostgreSQL: a lost connection is told as not applied",
    file: errors,
    find: `return kind === "read" ? "not-applied" : "unknown"`,
    replace: `return "not-applied"`,
    tests: network,
    only: "drops the reply to an INSERT"
  },
  {
    name: "PostgreSQL: a write of unknown outcome is sent again",
    file: "src/core/StoreError.ts",
    find: `return this.outcome === "not-applied" || options?.idempotent === true`,
    replace: "return true",
    tests: network,
    only: "drops the reply to an INSERT"
  },
  {
    name: "PostgreSQL: a lost COMMIT is told as a lost connection",
    file: errors,
    find: `error.reason._tag === "ConnectionLost" || error.reason._tag === "Timeout"`,
    replace: "false",
    tests: network,
    only: "COMMIT"
  },
  {
    name: "PostgreSQL: a dead connection stays in the pool",
    file: pool,
    find: `const usable = (slot: Slot) => !slot.retired && slot.socket.writable`,
    replace: `const usable = (_: Slot) => true`,
    tests: [...faults, ...network]
  },
  {
    name: "PostgreSQL: a lost connection inside a transaction becomes a defect",
    file: "src/postgres/PostgresConnection.ts",
    find: "Effect.catch(inside.execute(sql, [], undefined), () => Effect.succeed(none))",
    replace: "inside.execute(sql, [], undefined)",
    tests: faults,
    only: "inside a transaction"
  },
  {
    name: "PostgreSQL: waiting for a connection has no limit",
    file: pool,
    find: "Math.min(since + acquireMillis, contextDeadline)",
    replace: "Number.POSITIVE_INFINITY",
    tests: client,
    only: "limit, waiting and waited"
  },
  {
    name: "PostgreSQL: an interrupted statement keeps its connection",
    file: pool,
    find: '      lend("exclusive", (slot) => Effect.scoped(Effect.flatMap(slot.connection.pin, use)), release)',
    replace:
      '      lend("exclusive", (slot) => Effect.scoped(Effect.flatMap(slot.connection.pin, use)), (lease, exit) => { if (Exit.isSuccess(exit)) release(lease) })',
    tests: client,
    only: "interrupted fiber"
  },
  {
    name: "PostgreSQL: a statement of its own is not cancelled on the server",
    file: pool,
    find: "Effect.scoped(Effect.flatMap(slot.connection.pin, use))",
    replace: "use(slot.connection)",
    tests: client,
    only: "interrupted fiber"
  },
  {
    name: "PostgreSQL: sessions have no statement timeout",
    file: pool,
    find: "{ statement_timeout: String(Math.ceil(statementMillis)) }",
    replace: "{}",
    tests: client,
    only: "statement timeout"
  },
  {
    name: "PostgreSQL: closing does not wait for what is under way",
    file: pool,
    find: "if (lentOut() > 0) {",
    replace: "if (lentOut() < 0) {",
    tests: client,
    only: "under way"
  },
  {
    name: "PostgreSQL: an abandoned statement's place is given away at once",
    file: pool,
    find: "Exit.isSuccess(exit) || !Cause.hasInterrupts(exit.cause)",
    replace: "true",
    tests: client,
    only: "abandoned"
  },
  {
    name: "PostgreSQL: short statements starve a caller that needs a connection of its own",
    file: pool,
    find: "if (slot === undefined) break",
    replace: "if (slot === undefined) continue",
    tests: client,
    only: "short statements keep coming"
  }
]
