import { at, type Mutant } from "../Mutant.ts"

const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const test = at("test/postgres/transactions/SessionReturn.test.ts")
const pooler = at("test/postgres/PgBouncer.test.ts")

/** What keeps a caller's session from becoming the next one's, taken out. */
export const sessions: ReadonlyArray<Mutant> = [
  {
    name: "Session: a capability's BEGIN is sent over a shared connection",
    file: "src/postgres/statements/StatementRunner.ts",
    find: "    if (refused !== undefined) return Effect.fail(refused)\n",
    replace: "",
    red: [test("BEGIN over a connection that is another's next is refused")]
  },
  {
    name: "Session: a BEGIN of Effect's client is sent over a shared connection",
    file: transactions,
    find: "use(new SqlConnection(connection, unlessRefused(note)))",
    replace: "use(new SqlConnection(connection, note))",
    red: [test("BEGIN over a connection that is another's next is refused")]
  },
  {
    name: "Session: a unit ends its own transaction",
    file: "src/postgres/statements/PipelinedUnit.ts",
    find: "              if (refused !== undefined) return Effect.fail(refused)\n",
    replace: "",
    red: [test("a transaction's end is its own")]
  },
  {
    name: "Session: a transaction is ended behind its back",
    file: transactions,
    find: 'if (!reserved || (found.effect !== "lasts" && inTransaction(fiber))) {',
    replace: 'if (reserved && found.effect !== "lasts" && inTransaction(fiber)) {',
    red: [test("a transaction's end is its own")]
  },
  {
    name: "Session: what was changed is lent again",
    file: transactions,
    find: 'if (found?.effect === "lasts") leased.retire()',
    replace: 'if (found?.effect === "lasts") return',
    red: [test("a reserved connection whose session was changed is never another's")]
  },
  {
    name: "Session: a setting is sent to whichever session a pooler gives",
    file: transactions,
    find: 'const failure = found.effect === "lasts" ? options.sessionless("statement") : undefined',
    replace: "const failure: StoreError | undefined = undefined",
    red: [pooler("what needs a session")]
  },
  {
    name: "Session: one of its own is handed out behind a pooler",
    file: "src/postgres/PostgresClient.ts",
    find: 'Effect.andThen(needsSession(holder?.operation ?? "session"), transactions.session("session"))',
    replace: 'Effect.andThen(Effect.succeed(holder), transactions.session("session"))',
    red: [pooler("what needs a session")]
  },
  {
    name: "Session: a transaction that was left open is lent again",
    file: transactions,
    find: "if (connection.session.begun) leased.retire()",
    replace: "",
    red: [test("a reserved connection whose transaction was left open is rolled back")]
  },
  {
    name: "Session: a BEGIN is noted before its turn, and forgotten by a COMMIT before it",
    file: transactions,
    find: "          return inTurn(levelFor(fiber), () => {\n            noteSent(found)\n",
    replace: "          noteSent(found)\n          return inTurn(levelFor(fiber), () => {\n",
    red: [test("a BEGIN that was asked for while a COMMIT was under way")]
  },
  {
    name: "Session: a transaction that was ended costs its connection",
    file: transactions,
    find: '=== "ends" ? ending(statement) : statement',
    replace: '=== "ends" ? statement : statement',
    red: [test("one that was left as it was found is lent again")]
  }
]
