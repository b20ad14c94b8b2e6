import { at, type Mutant } from "../Mutant.ts"

const file = "src/postgres/repository/StreamRows.ts"
const watch = "src/postgres/pool/RowWatch.ts"
const test = at("test/postgres/repository/StreamRows.test.ts")
const stream = at("test/postgres/statements/StatementStream.test.ts")
const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const inside = at("test/postgres/transactions/StreamInTransaction.test.ts")

/** What a stream of rows handles, taken out. */
export const streamRows: ReadonlyArray<Mutant> = [
  {
    name: "Streamed rows: its transaction stays open",
    file,
    find: 'connection.execute("ROLLBACK", [], undefined)',
    replace: "Effect.void",
    red: [
      test("gives every row once and in order, decoded, and then its connection back"),
      test("fails as a StoreError that shows the statement, or names the column")
    ]
  },
  {
    name: "Streamed rows: its transaction stays open where its deadline has passed",
    file,
    find: 'Effect.provideService(connection.execute("ROLLBACK", [], undefined), Deadline, Number.POSITIVE_INFINITY)',
    replace: 'connection.execute("ROLLBACK", [], undefined)',
    red: [test("ends by the deadline")]
  },
  {
    name: "Streamed rows: it may write",
    file,
    find: "BEGIN READ ONLY",
    replace: "BEGIN",
    red: [test("only reads: a statement that writes is refused")]
  },
  {
    name: "Streamed rows: it ends by the session's timeout",
    file,
    find: '    yield* connection.executeUnprepared("SET LOCAL statement_timeout = 0", [], undefined)\n',
    replace: "",
    red: [test("may last longer than the session lets a statement")]
  },
  {
    name: "Streamed rows: what an administrator ended is told as its timeout",
    file,
    find: "statementMillis: Number.POSITIVE_INFINITY",
    replace: "statementMillis: 300",
    red: [test("may last longer than the session lets a statement")]
  },
  {
    name: "Streamed rows: a silent server is waited for",
    file,
    find: "Stream.provideService(RowPatience, timeout)",
    replace: 'Stream.provideService(RowPatience, "1 hour")',
    red: [test("a server that falls silent is given up after the timeout")]
  },
  {
    name: "Stream: a silent server is waited for",
    file: watch,
    find: "Math.min(limit, deadline)",
    replace: "deadline",
    red: [stream("a server that falls silent in it is given up after the statement timeout")]
  },
  {
    name: "Stream: the Context's deadline is ignored",
    file: watch,
    find: "Math.min(limit, deadline)",
    replace: "limit",
    red: [stream("it ends by the Context's Deadline"), test("ends by the deadline")]
  },
  {
    name: "Stream: whoever asks after the deadline has more rows",
    file: watch,
    find: "if (deadline <= startedAt) return afterDeadline(pull, streaming)",
    replace: "if (deadline <= startedAt) return pull",
    red: [stream("it ends by the Context's Deadline")]
  },
  {
    name: "Stream: whoever asks after the deadline is not told that there is no more",
    file: watch,
    find: "if (exit !== undefined && Exit.isFailure(exit)) return exit",
    replace: "",
    red: [stream("its consumer may take longer"), test("ends by the deadline")]
  },
  {
    name: "Stream: the time of its consumer counts",
    file: watch,
    find: "          calls.end(call)\n",
    replace: "",
    red: [test("a consumer that takes longer than the timeout")]
  },
  {
    name: "Stream: the connection of one that was given up is kept",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "giveUp: (waitedMillis) => statementWatch.abandon(slot, waitedMillis, true)",
    replace: "giveUp: () => undefined",
    red: [stream("a server that falls silent in it is given up after the statement timeout")]
  },
  {
    name: "Streamed rows: inside a transaction it does not see what that has written",
    file,
    find: "Option.isSome(around)\n",
    replace: "Option.isSome(around) && startedAt < 0\n",
    red: [test("inside a transaction it sees what that has written, and leaves it open")]
  },
  {
    name: "Stream: whoever stops early spoils the transaction around it",
    file: transactions,
    find: "inTransaction(fiber) ? inSavepoint(session, level, rows) : Effect.succeed(rows)",
    replace: "Effect.succeed(rows)",
    red: [
      inside("a consumer that stops early leaves the transaction as it was"),
      inside("interrupted in a fiber of the transaction"),
      inside("one that fails on the server is undone alone")
    ]
  },
  {
    name: "Stream: what its statement wrote is undone though it came to its end",
    file: "src/postgres/transactions/HeldConnection.ts",
    find: "        finish = `SET LOCAL statement_timeout",
    replace: "        `SET LOCAL statement_timeout",
    red: [inside("what its statement wrote is kept")]
  },
  {
    name: "Stream: the transaction has no statement timeout after it",
    file: "src/postgres/transactions/HeldConnection.ts",
    find: `SET LOCAL statement_timeout = '`,
    replace: `SET LOCAL lock_timeout = '`,
    red: [inside("the transaction's own statement timeout holds again")]
  },
  {
    name: "Stream: inside a transaction the time of its consumer counts",
    file: "src/postgres/transactions/HeldConnection.ts",
    find: "set_config('statement_timeout', '0', true)",
    replace: "set_config('statement_timeout', '500', true)",
    red: [
      inside("its consumer may take longer than the statement timeout"),
      inside("streamRows waits for rows as long as its own timeout says")
    ]
  },
  {
    name: "Streamed rows: a failure is the driver's own",
    file,
    find: "        Stream.mapError(told),\n",
    replace: "",
    red: [
      test("fails as a StoreError that shows the statement, or names the column"),
      test("the connection is lost in the middle: ConnectionLost, not applied")
    ]
  },
  {
    name: "Streamed rows: no free connection is told as the driver's failure",
    file,
    find: "Effect.mapError(Effect.provideService(reading(sql), CurrentHolder, { operation }), told)",
    replace: "Effect.provideService(reading(sql), CurrentHolder, { operation })",
    red: [test("interrupted while it waits for a connection it waits no more")]
  },
  {
    name: "Streamed rows: who is interrupted waits for a connection",
    file,
    find: "yield* sql.reserve",
    replace: "yield* Effect.uninterruptible(sql.reserve)",
    red: [test("interrupted while it waits for a connection it waits no more")]
  },
  {
    name: "Streamed rows: a lost connection is told as unknown",
    file,
    find: 'kind: "read" } as const',
    replace: 'kind: "write" } as const',
    red: [test("the connection is lost in the middle: ConnectionLost, not applied")]
  },
  {
    name: "Streamed rows: rows are not checked",
    file,
    find: "Stream.mapEffect((chunk) => rows.all(call, chunk))",
    replace: "Stream.map((chunk) => chunk as never)",
    red: [test("fails as a StoreError that shows the statement, or names the column")]
  },
  {
    name: "Streamed rows: a failure does not show the statement",
    file,
    find: "          },\n          [text, values]\n",
    replace: "          }\n",
    red: [test("fails as a StoreError that shows the statement, or names the column")]
  },
  {
    name: "Streamed rows: its connection is not given back",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "Effect.addFinalizer(() => Effect.sync(() => release(held, now())))",
    replace: "Effect.addFinalizer(() => Effect.void)",
    red: [
      test("gives every row once and in order, decoded, and then its connection back"),
      test("interrupted it ends at once, on the server too"),
      test("a consumer that fails ends it, with its own failure")
    ]
  }
]
