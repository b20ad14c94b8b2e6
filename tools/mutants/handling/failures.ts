import { at, type Mutant } from "../Mutant.ts"

const serverError = "src/postgres/failures/ServerError.ts"
const connectFailure = "src/postgres/failures/ConnectFailure.ts"
const sqlState = "src/postgres/failures/SqlStateReason.ts"
const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const network = at("test/postgres/PostgresNetwork.test.ts")

const pooler = at("test/postgres/PgBouncer.test.ts")

const stale = at("test/postgres/transactions/StalePrepared.test.ts")
const forgotten = at("test/postgres/statements/ForgottenStatements.test.ts")

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
  }
]
