import { at, type Mutant } from "../Mutant.ts"

const file = "src/postgres/pool/BeginAhead.ts"
const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const ahead = at("test/postgres/pool/BeginAhead.test.ts")
const forgotten = at("test/postgres/statements/ForgottenStatements.test.ts")

/** What is handled where BEGIN goes along with the COMMIT before it, taken out. */
export const beginAhead: ReadonlyArray<Mutant> = [
  {
    name: "BEGIN ahead: a transaction that was begun for one who has gone stays open",
    file,
    find: "if (slot.ahead === undefined || !isIdle(slot)) return",
    replace: "if (slot.ahead === undefined || isIdle(slot)) return",
    red: [ahead("whoever waited for it and has gone leaves no transaction open")]
  },
  {
    name: "BEGIN ahead: one who comes later begins in the past",
    file,
    find: "lease.joined > 0 && lease.joined <= ahead.joined",
    replace: "lease.joined > 0",
    red: [ahead("one that comes later begins later")]
  },
  {
    name: "BEGIN ahead: one with options of its own gets a plain transaction",
    file: transactions,
    find: "plain && tenant === undefined",
    replace: "tenant === undefined",
    red: [ahead("one with options of its own gets them")]
  },
  {
    name: "BEGIN ahead: a transaction that was begun for one whose deadline has passed stays open",
    file: transactions,
    find: "const begin = Effect.suspend(() => {\n          // Taken only when it is awaited: a BEGIN that nobody has taken is undone.\n          const begun = leased.takeBegun()",
    replace: "const begun = leased.takeBegun()\n        const begin = Effect.suspend(() => {",
    red: [ahead("whoever gets it after his deadline leaves no transaction open")]
  },
  {
    name: "Forgotten statements: a transaction begins after its tenant was set",
    file: transactions,
    find: "leased.connection.query(statement, [], tenant === undefined)",
    replace: "leased.connection.query(statement)",
    red: [forgotten("one of a tenant is the tenant's")]
  },
  {
    name: "Forgotten statements: a transaction that could not commit stays open",
    file: transactions,
    find: "if (!isServerError(cause) || leavesOpen(cause)) leased.retire()",
    replace: "if (!isServerError(cause)) leased.retire()",
    red: [forgotten("one that cannot commit for it"), forgotten("it takes nobody with it who waits")]
  },
  {
    name: "Forgotten statements: a COMMIT that was refused for it is told as unknown",
    file: transactions,
    find: 'leavesOpen(cause) ? failure.during(failure.operation, "not-applied") : failure',
    replace: "failure",
    red: [forgotten("one that cannot commit for it")]
  }
]
