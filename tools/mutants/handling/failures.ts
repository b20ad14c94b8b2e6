import { at, type Mutant } from "../Mutant.ts"

const serverError = "src/postgres/failures/ServerError.ts"
const connectFailure = "src/postgres/failures/ConnectFailure.ts"
const sqlState = "src/postgres/failures/SqlStateReason.ts"
const postgresError = "src/postgres/PostgresError.ts"
const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const network = at("test/postgres/PostgresNetwork.test.ts")

const pooler = at("test/postgres/PgBouncer.test.ts")

const stale = at("test/postgres/transactions/StalePrepared.test.ts")
const forgotten = at("test/postgres/statements/ForgottenStatements.test.ts")

const refusals = at("test/postgres/failures/Refusals.test.ts")

const ended = at("test/postgres/transactions/SessionEnded.test.ts")

const timeout = at("test/postgres/failures/StatementTimeout.test.ts")

/** How a failure of PostgreSQL is told, taken out. */
export const failures: ReadonlyArray<Mutant> = [
  {
    name: "Failures: an errno of five letters is taken for the server's refusal",
    file: serverError,
    find: '  "severity" in cause &&\n  typeof cause.severity === "string" &&\n',
    replace: "",
    red: [network("a write into a connection that is gone already")]
  },
  {
    name: "Failures: all that a pooler refuses is told as the setting to make",
    file: connectFailure,
    find: 'code === "08P01" && detail.includes("startup parameter")',
    replace: 'code === "08P01" && detail !== ""',
    red: [pooler("left unsaid, one that is crowded")]
  },
  {
    name: "Failures: a pooler that was told of is told as the setting to make",
    file: connectFailure,
    find: " && withParameters && refusesParameters(found)",
    replace: ' && found.code === "08P01"',
    red: [pooler("the server behind it is down"), pooler("it lets in no more clients")]
  },
  {
    name: "Failures: why a pooler refuses is not told",
    file: connectFailure,
    find: '...present("detail", detail)',
    replace: "...(detail === undefined ? {} : {})",
    red: [pooler("the server behind it is down"), pooler("left unsaid, the first connection")]
  },
  {
    name: "Failures: all that the server cannot do is told as a stale statement",
    file: serverError,
    find: ' && cause.routine === "RevalidateCachedQuery"',
    replace: "",
    red: [stale("what the server cannot do at all")]
  },
  {
    name: "Failures: a stale statement is told as one that is not valid",
    file: sqlState,
    find: "if (isStale(fields)) return",
    replace: "if (isStale(undefined)) return",
    red: [stale("one that is not to be repeated"), stale("the whole transaction is run again")]
  },
  {
    name: "Transactions: one with a stale statement is not run again",
    file: "src/postgres/transactions/ConflictRetry.ts",
    find: "error.reason.stale === true || ",
    replace: "",
    red: [stale("the whole transaction is run again"), stale("one that is nested"), forgotten("is run again")]
  },
  {
    name: "Transactions: one with a stale raw statement is not run again",
    file: "src/postgres/TransactionLive.ts",
    find: "isStale(cause) || ",
    replace: "",
    red: [stale("the whole transaction is run again")]
  },
  {
    name: "Tenants: a stale statement is not sent again",
    file: transactions,
    find: "{ times: staleRetries, while: isStaleFailure }",
    replace: "{ times: 0, while: isStaleFailure }",
    red: [stale("under a tenant")]
  },
  {
    name: "Tenants: a statement is not sent again where what begins its transaction was stale",
    file: transactions,
    find: ' || (isStoreError(cause) && cause.reason._tag === "Conflict" && cause.reason.stale === true)',
    replace: "",
    red: [forgotten("one of a tenant is the tenant's")]
  },
  {
    name: "Failures: what the server refused by a code of no table may have been applied",
    file: postgresError,
    find: 'isServerError(cause) && !endsSession(cause) ? "not-applied" : ',
    replace: "",
    red: [refusals("a code that no table of ours has")]
  },
  {
    name: "Failures: an error of the user's own is told as one that nobody knows",
    file: "src/postgres/failures/UnlistedState.ts",
    find: "routine === raiseStatement || !serverClasses.has(code.slice(0, 2)) ?",
    replace: "routine === null ?",
    red: [refusals("a trigger's exception"), refusals("a code of one's own"), refusals("what COMMIT raises")]
  },
  {
    name: "Failures: what a trigger says of a row is shown",
    file: "src/core/StoreErrorReport.ts",
    find: 'values && "text" in reason',
    replace: '"text" in reason',
    red: [refusals("a trigger's exception")]
  },
  {
    name: "Failures: a file that is missing is named by the value it was asked for with",
    file: sqlState,
    find: `    case "58P01":\n`,
    replace: `    case "58P01":\n      return new InvalidStatement(told)\n`,
    red: [refusals("what cannot be done so")]
  },
  {
    name: "Transactions: one that was idle for too long is not told so",
    file: sqlState,
    find: `    case "25P03":\n`,
    replace: "",
    red: [ended("for being idle, before its next statement"), ended("for being idle, before COMMIT")]
  },
  {
    name: "Transactions: why the session ended before COMMIT is not told",
    file: transactions,
    find: "Effect.fail(lostBefore(told(error)))",
    replace: "Effect.fail(lostBefore())",
    red: [ended("for being idle, before COMMIT")]
  },
  {
    name: "Transactions: what a lost connection undid may have been applied",
    file: "src/postgres/PostgresClient.ts",
    find: "level < 0 ? once :",
    replace: "level < 1000 ? once :",
    red: [ended("in a statement of it")]
  },
  {
    name: "Transactions: what a unit in one lost with its connection may have been applied",
    file: "src/postgres/statements/PipelinedUnit.ts",
    find: 'storeError(call, error, statement).during(call.operation, "not-applied")',
    replace: "storeError(call, error, statement)",
    red: [ended("in a statement of it")]
  },
  {
    name: "Failures: a session that was ended while idle may have read what was sent",
    file: postgresError,
    find: ' || endsIdle(reason.code) ? "not-applied"',
    replace: ' || endsIdle(undefined) ? "not-applied"',
    red: [ended("is a ConnectionLost, whatever the code is")]
  },
  {
    name: "Failures: what ends the session by a code of no table is told as an error that nobody knows",
    file: postgresError,
    find: 'reason._tag === "Unclassified" && endsSession(fields)',
    replace: 'reason._tag === "Unclassified" && !endsSession(fields)',
    red: [ended("is a ConnectionLost, whatever the code is"), refusals("a code that no table of ours has")]
  },
  {
    name: "Retry: a read that took too long for its server is asked again",
    file: "src/postgres/PostgresClient.ts",
    find: "return reason.code !== undefined",
    replace: "return false",
    red: [timeout("is asked once")]
  },
  {
    name: "Retry: a read whose connection fell silent is not asked again",
    file: "src/postgres/PostgresClient.ts",
    find: "return reason.code !== undefined",
    replace: "return true",
    red: [network("goes silent, and a read is asked again")]
  }
]
