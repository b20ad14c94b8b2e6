import { apiKeys } from "./handling/apiKeys.ts"
import { archive } from "./handling/archive.ts"
import { beginAhead } from "./handling/beginAhead.ts"
import { billingRaces } from "./handling/billingRaces.ts"
import { billingSchema } from "./handling/billingSchema.ts"
import { bulkInsert } from "./handling/bulkInsert.ts"
import { failures } from "./handling/failures.ts"
import { lookup } from "./handling/lookup.ts"
import { quietHours } from "./handling/quietHours.ts"
import { migrationFiles } from "./handling/migrationFiles.ts"
import { migrationInput } from "./handling/migrationInput.ts"
import { migrationLint } from "./handling/migrationLint.ts"
import { migrationScripts } from "./handling/migrationScripts.ts"
import { sessions } from "./handling/sessions.ts"
import { streamRows } from "./handling/streamRows.ts"
import { unit } from "./handling/unit.ts"
import { users } from "./handling/users.ts"
import { userTokens } from "./handling/userTokens.ts"
import { withdrawn } from "./handling/withdrawn.ts"
import { at, type Mutant, type Proof } from "./Mutant.ts"

const core = {
  startUp: at("test/core/StartUp.test.ts"),
  calls: at("test/core/Calls.test.ts"),
  retry: at("test/core/Retry.test.ts"),
  decode: at("test/core/Decode.test.ts"),
  direct: at("test/core/DirectDecoder.test.ts")
}
const postgres = {
  network: at("test/postgres/PostgresNetwork.test.ts"),
  faults: at("test/postgres/PostgresFaults.test.ts"),
  diskFull: at("test/postgres/PostgresDiskFull.test.ts"),
  client: at("test/postgres/PostgresClient.test.ts"),
  pool: at("test/postgres/pool/PostgresPool.test.ts"),
  holders: at("test/postgres/pool/Holders.test.ts"),
  tls: at("test/postgres/session/PostgresTls.test.ts"),
  pooler: at("test/postgres/PgBouncer.test.ts"),
  listener: at("test/postgres/PostgresListener.test.ts"),
  log: at("test/postgres/statements/StatementLog.test.ts"),
  transaction: at("test/postgres/Transaction.test.ts"),
  tenant: at("test/postgres/Tenant.test.ts"),
  locks: at("test/postgres/AdvisoryLocks.test.ts"),
  parameters: at("test/postgres/statements/Parameters.test.ts"),
  claims: at("test/postgres/repository/Claims.test.ts"),
  columns: at("test/postgres/repository/Columns.test.ts"),
  schedules: at("test/platform/WorkflowSchedules.test.ts")
}
const redis = {
  faults: at("test/redis/RedisFaults.test.ts"),
  client: at("test/redis/RedisClient.test.ts"),
  effect: at("test/redis/RedisEffect.test.ts"),
  cache: at("test/redis/SharedCacheFaults.test.ts")
}
const mongodb = {
  faults: at("test/mongodb/MongoDbFaults.test.ts"),
  client: at("test/mongodb/MongoDbClient.test.ts")
}
const clickhouse = {
  faults: at("test/clickhouse/ClickHouseFaults.test.ts", "live"),
  client: at("test/clickhouse/ClickHouseClient.test.ts", "live"),
  killed: at("test/clickhouse/ClickHouseFaults.test.ts", "killed"),
  between: at("test/clickhouse/ClickHouseFaults.test.ts", "in between"),
  analytics: at("test/platform/Analytics.test.ts")
}
const migrations = {
  engine: at("test/migrations/PostgresMigrations.test.ts", "live"),
  together: at("test/migrations/PostgresMigrations.test.ts", "several at once"),
  operations: at("test/migrations/Operations.test.ts", "live"),
  faults: at("test/migrations/PostgresMigrationFaults.test.ts"),
  stores: at("test/migrations/Stores.test.ts"),
  random: at("test/migrations/RandomHistories.test.ts")(
    "files edited, late, failing; run, down and redo killed: the store is what the model says after every step"
  ),
  lease: at("test/core/Lease.test.ts"),
  leaseTable: at("test/postgres/PostgresLease.test.ts"),
  live: at("test/database/live.test.ts")
}
const contract = {
  users: at("test/contracts/Users.test.ts", "live"),
  transaction: at("test/contracts/Transaction.test.ts", "live"),
  campaigns: at("test/contracts/Campaigns.test.ts", "live"),
  analytics: at("test/contracts/Analytics.test.ts", "live"),
  cache: at("test/contracts/SharedCache.test.ts", "live"),
  limiter: at("test/contracts/RateLimiter.test.ts", "live")
}
/** The attempts at a method, whose test is named for it. */
const injection = (method: string): Proof => ({ file: "test/platform/Injection.test.ts", suite: method })
const sigterm = at("test/database/live.test.ts")("ends on SIGTERM")

const ofCore: ReadonlyArray<Mutant> = [
  {
    name: "Start-up: a server that comes up later is not waited for",
    file: "src/core/StartUp.ts",
    find: `    case "Unavailable":\n`,
    replace: "",
    red: [
      core.startUp("a store that comes up before the deadline"),
      postgres.faults("down, then up within"),
      redis.faults("down, then up within"),
      mongodb.faults("comes up before the deadline"),
      clickhouse.faults("down, then up within")
    ]
  },
  {
    name: "Start-up: the failure does not name the port",
    file: "src/core/StartUp.ts",
    find: "...(endpoint.port === undefined ? {} : { port: endpoint.port }),",
    replace: "",
    red: [
      core.startUp("one that stays down"),
      postgres.faults("down at start"),
      redis.faults("down at start"),
      mongodb.faults("a start where nobody listens"),
      clickhouse.faults("down at start")
    ]
  },
  {
    name: "Start-up: it goes on past its deadline while each attempt fails",
    file: "src/core/StartUp.ts",
    find: "      duration: limit,\n",
    replace: "      duration: Number.POSITIVE_INFINITY,\n",
    red: [
      core.startUp("one that accepts and never answers"),
      redis.faults("accepts and never answers at start"),
      clickhouse.faults("accepts and never answers")
    ]
  },
  {
    name: "Start-up: a silent server is told as one that is down",
    file: "src/core/StartUp.ts",
    find: `last.reason._tag === "Timeout"`,
    replace: "false",
    red: [core.startUp("one that accepts and never answers"), mongodb.faults("a start on a server that accepts")]
  },
  {
    name: "Start-up: a wrong password is tried until the deadline",
    file: "src/core/StartUp.ts",
    find: "if (!mendsWithTime(error)) return yield* error",
    replace: "",
    red: [core.startUp("what time does not mend"), redis.faults("no password, and a wrong one")]
  },
  {
    name: "Calls: no deadline is swept",
    file: "src/core/Calls.ts",
    find: "yield* sweep(clock.currentTimeMillisUnsafe())",
    replace: "yield* sweep(0)",
    red: [
      core.calls("the Context's deadline holds where it is sooner"),
      postgres.network("goes silent in a call"),
      redis.faults("a server that hangs"),
      mongodb.faults("a server that falls silent"),
      clickhouse.faults("accepts and never answers")
    ]
  },
  {
    name: "Calls: the Context's deadline is ignored",
    file: "src/core/Calls.ts",
    find: "Math.min(now + timeoutMillis, fiber.getRef(Deadline))",
    replace: "now + timeoutMillis",
    red: [core.calls("the Context's deadline holds where it is sooner")]
  },
  {
    name: "Calls: what was given up is told as not applied",
    file: "src/core/Calls.ts",
    find: "resume(Effect.fail(timedOut(outcome)))",
    replace: `resume(Effect.fail(timedOut("not-applied")))`,
    red: [core.calls("drain gives up what is left"), clickhouse.faults("accepts and never answers")]
  },
  {
    name: "Calls: a call past its deadline is sent",
    file: "src/core/Calls.ts",
    find: `if (deadline <= now) return Effect.fail(timedOut("not-applied"))`,
    replace: "",
    red: [core.calls("past its deadline a call is not sent")]
  },
  {
    name: "Calls: an interrupted call is left to the driver",
    file: "src/core/Calls.ts",
    find: "            end(call)\n            abandon?.()\n",
    replace: "            end(call)\n",
    red: [core.calls("an interrupted call is abandoned once"), clickhouse.client("an interrupted query no longer runs")]
  },
  {
    name: "Calls: a driver that throws ends the deadlines of all",
    file: "src/core/Calls.ts",
    find: `(defect) => Effect.logError("a call could not be given up", defect)`,
    replace: "(defect) => Effect.die(defect)",
    red: [core.calls("a driver that fails to abandon one call")]
  },
  {
    name: "Calls: closing does not wait for what is under way",
    file: "src/core/Calls.ts",
    find: "        if (pending.length === 0) return\n        const empty",
    replace: "        if (pending.length >= 0) return\n        const empty",
    red: [
      core.calls("drain waits for what is under way"),
      redis.faults("closing waits for the calls under way"),
      mongodb.client("closing waits for the work under way"),
      clickhouse.faults("closing waits for what is under way")
    ]
  },
  {
    name: "Calls: closing takes new calls",
    file: "src/core/Calls.ts",
    find: "      closing\n        ? new StoreError({",
    replace: "      closing === undefined\n        ? new StoreError({",
    red: [core.calls("drain waits for what is under way"), clickhouse.faults("closing waits for what is under way")]
  },
  {
    name: "Calls: closing waits without end",
    file: "src/core/Calls.ts",
    find: "yield* Effect.timeoutOption(empty, timeout)",
    replace: "yield* empty",
    red: [core.calls("drain gives up what is left"), clickhouse.faults("closing ends what lasts longer")]
  },
  {
    name: "Retry: what may have been applied is sent again",
    file: "src/core/StoreError.ts",
    find: `return this.outcome === "not-applied" || options?.idempotent === true`,
    replace: "return true",
    red: [
      core.retry("repeats what the table says"),
      postgres.network("drops the reply to an INSERT"),
      redis.faults("reply dropped after INCR"),
      clickhouse.faults("answer dropped after an INSERT: not sent again")
    ]
  },
  {
    name: "Retry: an outage makes a storm",
    file: "src/core/Retry.ts",
    find: "pause >= left || !budget.withdraw()",
    replace: "pause >= left",
    red: [core.retry("an outage ends the tokens"), clickhouse.faults("an outage makes no storm")]
  },
  {
    name: "Retry: it goes on past the deadline",
    file: "src/core/Retry.ts",
    find: "pause >= left || !budget.withdraw()",
    replace: "!budget.withdraw()",
    red: [core.retry("a retry that does not fit before the deadline")]
  },
  {
    name: "Retry: it has no end",
    file: "src/core/Retry.ts",
    find: "            retries >= policy.attempts ||\n",
    replace: "",
    red: [core.retry("gives up after the policy's attempts")]
  }
]

const pool = "src/postgres/pool/PostgresPool.ts"
const postgresError = "src/postgres/PostgresError.ts"

const transactions = "src/postgres/transactions/PostgresTransactions.ts"
const transactionRun = "src/postgres/transactions/TransactionRun.ts"
const locksLive = "src/postgres/AdvisoryLocksLive.ts"

const ofPostgres: ReadonlyArray<Mutant> = [
  {
    name: "PostgreSQL: a silent server at start is not given up",
    file: "src/postgres/session/PostgresSession.ts",
    find: "answersWithin(config.connectTimeout)",
    replace: "Effect.uninterruptible",
    red: [postgres.network("accepts and never answers")]
  },
  {
    name: "PostgreSQL: a silent server in a call is not given up",
    file: "src/postgres/pool/StatementWatch.ts",
    find: "slot.socket.destroy(new StatementExpired(waitedMillis))",
    replace: "",
    red: [postgres.network("goes silent")]
  },
  {
    name: "PostgreSQL: a lost connection is told as not applied",
    file: postgresError,
    find: `endsIdle(reason.code) ? "not-applied" : "unknown"`,
    replace: `endsIdle(reason.code) ? "not-applied" : "not-applied"`,
    red: [
      postgres.network("drops the reply to an INSERT"),
      postgres.network("resets the connection in a call"),
      postgres.faults("killed in a call")
    ]
  },
  {
    name: "PostgreSQL: a lost COMMIT is told as a lost connection",
    file: postgresError,
    find: `error.reason._tag === "ConnectionLost" || error.reason._tag === "Timeout"`,
    replace: "false",
    red: [postgres.network("COMMIT")]
  },
  {
    name: "PostgreSQL: a dead connection keeps its place in the pool",
    file: pool,
    find: "      if (!slots.delete(slot)) return\n",
    replace: "      if (slots.size > 0) return\n",
    red: [postgres.network("every connection reset at once")]
  },
  {
    name: "PostgreSQL: a dead connection is lent",
    file: "src/postgres/pool/PoolSlots.ts",
    find: "const usable = (slot: Slot): boolean => !slot.retired && slot.socket.writable",
    replace: "const usable = (_: Slot): boolean => true",
    red: [postgres.network("resets the connection in a call")]
  },
  {
    name: "PostgreSQL: a lost connection inside a transaction becomes a defect",
    file: "src/postgres/transactions/HeldConnection.ts",
    find: '        if (sql === "ROLLBACK" || !isServerError(error.reason.cause)) session.leased.retire()\n',
    replace: "        throw error\n",
    red: [postgres.faults("inside a transaction")]
  },
  {
    name: "PostgreSQL: waiting for a connection has no limit",
    file: pool,
    find: "Math.min(at + acquireMillis, contextDeadline)",
    replace: "Number.POSITIVE_INFINITY",
    red: [postgres.client("limit, waiting and waited")]
  },
  {
    name: "PostgreSQL: an interrupted statement keeps its connection",
    file: pool,
    find: "            onReturn(lease, at, exit)\n",
    replace: "            if (Exit.isSuccess(exit)) onReturn(lease, at, exit)\n",
    red: [postgres.client("interrupted fiber")]
  },
  {
    name: "PostgreSQL: a statement of its own is not cancelled on the server",
    file: pool,
    find: "Effect.scoped(Effect.flatMap(slot.connection.pin, (connection) => use(connection, noteOf(lease))))",
    replace: "use(slot.connection, noteOf(lease))",
    red: [postgres.client("interrupted fiber")]
  },
  {
    name: "PostgreSQL: sessions have no statement timeout",
    file: "src/postgres/session/PostgresSession.ts",
    find: "{ statement_timeout: String(Math.ceil(statementMillis)) }",
    replace: "{}",
    red: [postgres.client("statement timeout")]
  },
  {
    name: "PostgreSQL: closing does not wait for what is under way",
    file: pool,
    find: "if (lentOut(slots) > 0) {\n          const returned",
    replace: "if (lentOut(slots) < 0) {\n          const returned",
    red: [postgres.client("under way")]
  },
  {
    name: "PostgreSQL: an abandoned statement's place is given away at once",
    file: pool,
    find: "if (slot === undefined || !lease.abandoned) return release(lease, at)",
    replace: "if (slot !== null) return release(lease, at)",
    red: [postgres.client("abandoned")]
  },
  {
    name: "PostgreSQL: a connection that is always shared outlives its greatest age",
    file: "src/postgres/pool/PoolUpkeep.ts",
    find: "if (at >= slot.expiresAt) slot.retired = true",
    replace: "if (at >= slot.expiresAt && slot.holders.length === 0) slot.retired = true",
    red: [postgres.client("though it is never without a statement")]
  },
  {
    name: "PostgreSQL: a refused login fails those who would get a connection that is open",
    file: pool,
    find: "if (slots.size > 0) return false",
    replace: "",
    red: [postgres.pool("logins that are refused from now on")]
  },
  {
    name: "PostgreSQL: short statements starve a caller that needs a connection of its own",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "line.size() === 0 ? lendTo(lease, at, 0) : undefined",
    replace: "lendTo(lease, at, 0)",
    red: [postgres.client("short statements keep coming")]
  },
  {
    name: "PostgreSQL: a connection that may have died is lent unasked",
    file: "src/postgres/pool/PoolSlots.ts",
    find: "if (trusts || isFresh(slot, at)) return slot",
    replace: "return slot",
    red: [postgres.pool("gone silent while idle")]
  },
  {
    name: "PostgreSQL: connections that never come back are not told from busy ones",
    file: "src/postgres/pool/PoolExhaustion.ts",
    find: "if (leaked > 0) return",
    replace: "if (leaked < 0) return",
    red: [postgres.pool("five connections, 500 callers")]
  },
  {
    name: "PostgreSQL: nobody knows who holds the connections",
    file: "src/postgres/pool/PoolExhaustion.ts",
    find: "    holders.push(holderOf(lease, at))\n",
    replace: "",
    red: [postgres.pool("five connections, 500 callers"), postgres.pool("a transaction is named")]
  },
  {
    name: "PostgreSQL: slow statements are told as too many callers",
    file: "src/postgres/pool/PoolExhaustion.ts",
    find: "slow * 2 >= open - kept",
    replace: "slow < 0",
    red: [postgres.pool("slow statements")]
  },
  {
    name: "PostgreSQL: a server that takes no more connections is told as a small pool",
    file: "src/postgres/pool/PoolExhaustion.ts",
    find: "if (lastFailure !== undefined && open < limit) {",
    replace: "if (lastFailure === null) {",
    red: [postgres.pool("the server takes no more connections")]
  },
  {
    name: "PostgreSQL: a server that does not answer is told as a small pool",
    file: pool,
    find: "if (lentOut(slots) > 0) {\n        const waiting",
    replace: "if (slots.size >= 0) {\n        const waiting",
    red: [postgres.pool("reachable by nobody")]
  },
  {
    name: "PostgreSQL: a leaked connection is logged every second",
    file: "src/postgres/pool/PoolUpkeep.ts",
    find: "if (lease.reported || ",
    replace: "if (",
    red: [postgres.pool("a connection held for too long")]
  },
  {
    name: "PostgreSQL: a lock that is held for long is called a leak",
    file: "src/postgres/pool/PoolSlots.ts",
    find: "!lease.lasting && at",
    replace: "at",
    red: [postgres.holders("a lease is named"), postgres.holders("migrations are named")]
  },
  {
    name: "PostgreSQL: slow statements beside a lock are told as too many callers",
    file: "src/postgres/pool/PoolExhaustion.ts",
    find: "slow * 2 >= open - kept",
    replace: "slow * 2 >= open",
    red: [postgres.holders("beside a lease, slow statements")]
  },
  {
    name: "PostgreSQL: a stream whose rows are taken is called a leak",
    file: pool,
    find: "held.usedAt = at",
    replace: "void at",
    red: [postgres.holders("a stream is named")]
  },
  {
    name: "PostgreSQL: the minimum is not opened again after an outage",
    file: "src/postgres/pool/PoolUpkeep.ts",
    find: "    grow()\n    if (++ticks",
    replace: "    if (++ticks",
    red: [postgres.pool("keeps its minimum warm")]
  },
  {
    name: "PostgreSQL: verify-full takes a certificate for another host",
    file: "src/postgres/session/PostgresTls.ts",
    find: `mode === "verify-full" ? {} :`,
    replace: `mode === "" ? {} :`,
    red: [postgres.tls("each sslmode")]
  },
  {
    name: "PostgreSQL: an authority that is named is not asked",
    file: "src/postgres/session/PostgresTls.ts",
    find: "if (ca === undefined) return",
    replace: `if (mode !== "verify-full" || ca === undefined) return`,
    red: [postgres.tls("each sslmode")]
  },
  {
    name: "PostgreSQL: a certificate of the client's is not shown",
    file: "src/postgres/session/PostgresTls.ts",
    find: "return { ca, crl, cert, key,",
    replace: "return { ca, crl,",
    red: [postgres.tls("show who connects")]
  },
  {
    name: "PostgreSQL: a certificate that is revoked is taken",
    file: "src/postgres/session/PostgresTls.ts",
    find: "return { ca, crl, cert, key,",
    replace: "return { ca, cert, key,",
    red: [postgres.tls("sslcrl revokes")]
  },
  {
    name: "PostgreSQL: an unknown sslmode is taken",
    file: "src/postgres/session/PostgresTls.ts",
    find: "if (!modes.includes(mode)) return",
    replace: "if (modes.length === 0) return",
    red: [postgres.tls("what cannot be meant is refused")]
  },
  {
    name: "PostgreSQL: statements are prepared behind a pooler",
    file: "src/postgres/session/PostgresSession.ts",
    find: "prepare: !pooled,",
    replace: "prepare: true,",
    red: [postgres.pooler("statements of many callers at once")]
  },
  {
    name: "PostgreSQL: behind a pooler a statement has no timeout on the server",
    file: "src/postgres/pool/StatementWatch.ts",
    find: "giveUp)\n              fork(slot.connection.interrupt)\n",
    replace: "giveUp)\n",
    red: [postgres.pooler("a statement that the server does not end")]
  },
  {
    name: "PostgreSQL: a full disk is unknown to the tables",
    file: "src/postgres/failures/SqlStateReason.ts",
    find: `    case "53100":\n`,
    replace: "",
    red: [postgres.diskFull("the disk is full")]
  },
  {
    name: "PostgreSQL: a session that may not write is lent again",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "isReadOnlySession(Cause.squash(exit.cause))) slot.retired = true",
    replace: "isReadOnlySession(Cause.squash(exit.cause))) slot.retired = false",
    red: [postgres.faults("read-only: NotPrimary")]
  },
  {
    name: "PostgreSQL: migrations lock in a session that is none",
    file: "src/postgres/PostgresMigrations.ts",
    find: `yield* needsSession("Migrations.lock", "set DB_MIGRATION_URL, or migrate by a client that connects past it")`,
    replace: "",
    red: [postgres.pooler("what needs a session")]
  },
  {
    name: "PostgreSQL: a listener does not notice that its connection fell silent",
    file: "src/postgres/PostgresListener.ts",
    find: "Effect.andThen(end), Effect.andThen(Effect.never)",
    replace: "Effect.andThen(Effect.never)",
    red: [postgres.listener("fell silent")]
  },
  {
    name: "PostgreSQL: a listener does not tell that it was deaf",
    file: "src/postgres/PostgresListener.ts",
    find: `{ _tag: "Reconnected", deafMillis: now() - since }`,
    replace: `{ _tag: "Listening" }`,
    red: [postgres.listener("a connection that is lost is told"), postgres.listener("fell silent")]
  },
  {
    name: "PostgreSQL: the log shows values",
    file: "src/postgres/statements/StatementLog.ts",
    find: "statement: summaryOf(statement)",
    replace: "statement",
    red: [postgres.log("at debug level")]
  },
  {
    name: "PostgreSQL: a slow statement is not reported",
    file: "src/postgres/statements/StatementLog.ts",
    find: "const slow = elapsedMillis >= slowMillis",
    replace: "const slow = elapsedMillis < 0",
    red: [postgres.log("above it")]
  },
  {
    name: "Transaction: CommitUnknown does not carry the id",
    file: transactions,
    find: `if (typeof text === "string") id = text`,
    replace: "",
    red: [
      postgres.transaction("reply to COMMIT dropped"),
      postgres.transaction("connection lost while COMMIT works"),
      postgres.transaction("killed while COMMIT works")
    ]
  },
  {
    name: "Transaction: it stays open where COMMIT was not sent in time",
    file: transactions,
    find: "if (isStoreError(error)) {\n            leased.retire()",
    replace: "if (isStoreError(error)) {",
    red: [postgres.transaction("a deadline that passes before COMMIT")]
  },
  {
    name: "Transaction: a conflict is not run again",
    file: "src/postgres/transactions/ConflictRetry.ts",
    find: "mayRepeat(error) ? again(error) : Effect.fail(error)",
    replace: "Effect.fail(error)",
    red: [
      postgres.transaction("storms of 64 on one row"),
      postgres.transaction("two that deadlock"),
      postgres.transaction("raw statements are run again"),
      contract.transaction("after a conflict the whole effect")
    ]
  },
  {
    name: "Transaction: a raw serialization failure is not known",
    file: "src/postgres/TransactionLive.ts",
    find: "isConflict(error) || isRawConflict(error)",
    replace: "isConflict(error)",
    red: [postgres.transaction("raw statements are run again")]
  },
  {
    name: "Transaction: it has no deadline",
    file: transactionRun,
    find: "if (deadline === Number.POSITIVE_INFINITY) return yield* effect",
    replace: "if (deadline > 0) return yield* effect",
    red: [contract.transaction("takes longer than its timeout"), contract.transaction("the Context's deadline")]
  },
  {
    name: "Transaction: a nested one's options are ignored",
    file: transactionRun,
    find: "if (!asked) return store.savepoint(untilDeadline(effect))",
    replace: "if (!asked || options.retry !== null) return store.savepoint(untilDeadline(effect))",
    red: [contract.transaction("asks for what the transaction around is not")]
  },
  {
    name: "Transaction: a statement that failed inside is sent again",
    file: "src/postgres/PostgresClient.ts",
    find: "if (around === undefined) {\n          return retry(once",
    replace: "if (fiber !== undefined) {\n          return retry(once",
    red: [contract.transaction("a write in a read-only transaction")]
  },
  {
    name: "Transaction: its fibers do not take turns",
    file: "src/postgres/transactions/Turns.ts",
    find: "return level.over || level.take(turn) ? unlessOver() : Effect.flatMap(wait(level, turn), unlessOver)",
    replace: "return unlessOver()",
    red: [contract.transaction("of two nested ones at once")]
  },
  {
    name: "Transaction: what outlives it goes on",
    file: "src/postgres/transactions/TransactionLevel.ts",
    find: "    this.#ended = true\n",
    replace: "",
    red: [contract.transaction("a call that outlives its transaction")]
  },
  {
    name: "Transaction: it commits while a nested one is open in another fiber",
    file: transactions,
    find: "if (Exit.isFailure(exit) || !level.busy) {",
    replace: "if (Exit.isFailure(exit) || level !== null) {",
    red: [postgres.transaction("still open in another fiber at the end")]
  },
  {
    name: "Transaction: its level goes on to those begun within it",
    file: "src/postgres/TransactionLive.ts",
    find: "transaction(Effect.provideService(effect, BeginTransaction, before)),",
    replace: "transaction(effect),",
    red: [postgres.transaction("the level is the server's own")]
  },
  {
    name: "Tenant: a statement outside a transaction runs without its tenant",
    file: transactions,
    find: "      fiber.getRef(CurrentTenant) === undefined\n        ? Effect.mapError(",
    replace: "      fiber !== undefined\n        ? Effect.mapError(",
    red: [postgres.tenant("statements see their tenant's rows"), postgres.tenant("many tenants and none at once")]
  },
  {
    name: "Tenant: the setting stays on the connection",
    file: transactions,
    find: "set_config('ai_core.tenant', $1, true)",
    replace: "set_config('ai_core.tenant', $1, false)",
    red: [postgres.tenant("nothing is left on a connection"), postgres.tenant("many tenants and none at once")]
  },
  {
    name: "Tenant: a statement runs in another tenant's transaction",
    file: transactions,
    find: "if (fiber.getRef(CurrentTenant) !== tenant) return",
    replace: "if (fiber === undefined) return",
    red: [postgres.tenant("never may a statement run as somebody else")]
  },
  {
    name: "Transaction: deferrable is asked for and left out",
    file: "src/postgres/TransactionLive.ts",
    find: 'deferrable ? "DEFERRABLE" : "NOT DEFERRABLE"',
    replace: '"NOT DEFERRABLE"',
    red: [
      postgres.transaction("isolation, read only and deferrable are set"),
      at("test/contracts/Transaction.test.ts")("a transaction is what was asked for")
    ]
  },
  {
    name: "AdvisoryLocks: a lock that nobody knows of stays on its connection",
    file: locksLive,
    find: "(exit) => (Exit.isSuccess(exit) ? Effect.void : holder.retire)",
    replace: "() => Effect.void",
    red: [postgres.locks("interrupted while it asks")]
  },
  {
    name: "AdvisoryLocks: a lease is not given back",
    file: locksLive,
    find: "yield* Scope.addFinalizer(own, unlock)",
    replace: "",
    red: [postgres.locks("a lease that was given back")]
  },
  {
    name: "AdvisoryLocks: a silent connection is not noticed",
    file: locksLive,
    find: "Effect.raceFirst(holder.ended, silent)",
    replace: "holder.ended",
    red: [postgres.locks("falls silent")]
  },
  {
    name: "AdvisoryLocks: the holder does not learn of its loss",
    file: "src/postgres/LockWait.ts",
    find: "Effect.raceFirst(effect, lost)",
    replace: "effect",
    red: [postgres.locks("the holder's connection ends")]
  },
  {
    name: "AdvisoryLocks: a lease takes the only connection",
    file: locksLive,
    find: "if ((yield* stats).max < 2) return yield* noneToSpare(operation)",
    replace: "",
    red: [postgres.locks("a client of one connection is refused")]
  }
]

const line = "src/redis/RedisLine.ts"
const driver = "src/redis/RedisDriver.ts"

const ofValuesAndTime: ReadonlyArray<Mutant> = [
  {
    name: "Parameters: of a value that cannot be sent nobody knows whether it was",
    file: "src/postgres/PostgresError.ts",
    find: "(unsent(error, statement?.[1] ?? []) ?? new Unclassified({}))",
    replace: "new Unclassified({})",
    red: [
      postgres.parameters("one that cannot be sent is told by its number"),
      postgres.parameters("nothing of its unit is applied"),
      postgres.parameters("too many of them are a limit exceeded")
    ]
  },
  {
    name: "Parameters: the cause repeats the value",
    file: "src/postgres/failures/SafeCause.ts",
    find: '_tag === "UnknownError" ? new Error(error.message) : error',
    replace: "error",
    red: [postgres.parameters("one that cannot be sent is told by its number")]
  },
  {
    name: "Parameters: a date that is far from now is sent by the driver, some microseconds off",
    file: "src/postgres/statements/FarDate.ts",
    find: "Math.abs(value.getTime()) > nearMillis",
    replace: "value.getTime() > Number.POSITIVE_INFINITY",
    red: [postgres.parameters("a date is sent exactly, however far from now it is, alone and in an array")]
  },
  {
    name: "Rows: what a write gave and does not fit is told as not applied",
    file: "src/postgres/repository/Row.ts",
    find: 'subject: "row", outcome: "unknown" }',
    replace: 'subject: "row", outcome: "not-applied" }',
    red: [postgres.columns("a row that does not fit what was written is no proof that nothing was")]
  },
  {
    name: "Claims: what is returned must name the table",
    file: "src/postgres/repository/Claims.ts",
    find: "select w.id as spent_id from ${name} as w",
    replace: "select w.id as spent_id, w.id from ${name} as w",
    red: [postgres.claims("a row whose last lease ended without a word is buried, others are not")]
  },
  {
    name: "Claims: burying reads every row in flight",
    file: "src/postgres/repository/Claims.ts",
    find: "w.lease_until <= statement_timestamp()",
    replace: "w.lease_until <= clock_timestamp()",
    red: [postgres.claims("burying reads the leases that have ended")]
  },
  {
    name: "Claims: a lease never ends within the transaction",
    file: "src/postgres/repository/Claims.ts",
    find: "w.lease_until <= statement_timestamp()",
    replace: "w.lease_until <= now()",
    red: [postgres.claims("a lease ends within the transaction")]
  },
  {
    name: "Schedules: every schedule is read for those that are due",
    file: "src/platform/workflows/SchedulesLive.ts",
    find: "s.next_run_at <= statement_timestamp()",
    replace: "s.next_run_at <= clock_timestamp()",
    red: [postgres.schedules("reads what is due")]
  }
]

const ofRedis: ReadonlyArray<Mutant> = [
  {
    name: "Redis: a lost reply is told as not applied",
    file: "src/redis/RedisError.ts",
    find: `sent.kind === "write" && sent.written ? "unknown" : "not-applied"`,
    replace: `"not-applied"`,
    red: [
      redis.faults("killed in a call"),
      redis.faults("reset in a call"),
      redis.faults("reply dropped after INCR"),
      redis.faults("a server that hangs")
    ]
  },
  {
    name: "Redis: the driver sends again what was under way",
    file: driver,
    find: "autoResendUnfulfilledCommands: false,\n      autoResubscribe: false,\n      maxRetriesPerRequest: 0,",
    replace: "autoResendUnfulfilledCommands: true,\n      autoResubscribe: false,\n      maxRetriesPerRequest: null,",
    red: [redis.faults("reply dropped after INCR"), redis.faults("killed in a call")]
  },
  {
    name: "Redis: a lost connection is not made again",
    file: driver,
    find: "retryStrategy: purpose.reconnects ? pauseBefore : () => null\n        },",
    replace: "retryStrategy: () => null\n        },",
    red: [redis.faults("killed while idle"), redis.faults("killed in a call")]
  },
  {
    name: "Redis: a connection that is down is told as a lost answer",
    file: "src/redis/RedisError.ts",
    find: `if (!sent.written) return make(sent, "not-applied", unavailable(endpoint, { code }))`,
    replace: "",
    red: [redis.faults("killed while idle")]
  },
  {
    name: "Redis: a silent connection is kept",
    file: driver,
    find: "socketTimeout: Math.min(longestTimer, Duration.toMillis(config.responseTimeout) + silenceAllowance)",
    replace: "",
    red: [redis.faults("a server that hangs")]
  },
  {
    name: "Redis: a command past its deadline is sent",
    file: line,
    find: "if (deadline <= startedAt) return resume(",
    replace: "if (deadline <= Number.NEGATIVE_INFINITY) return resume(",
    red: [redis.faults("a call that begins after its Deadline")]
  },
  {
    name: "Redis: any number of commands may be pending",
    file: line,
    find: "if (pending >= maxPending) {",
    replace: "if (pending < 0) {",
    red: [redis.faults("as many pending as allowed")]
  },
  {
    name: "Redis: any number of connections may be reserved",
    file: "src/redis/RedisEffect.ts",
    find: "maxConnections: config.maxConnections,",
    replace: "maxConnections: config.maxConnections + 1,",
    red: [redis.effect("as many reserved as allowed")]
  },
  {
    name: "Redis: an abandoned command runs later",
    file: "src/redis/RedisCommand.ts",
    find: "if (this.abandoned) return ping",
    replace: "",
    red: [redis.client("a command that was abandoned")]
  },
  {
    name: "Redis: the place of an interrupted command is never free again",
    file: line,
    find: "          pending--\n          if (request.abandoned) return\n",
    replace: "          if (request.abandoned) return\n          pending--\n",
    red: [redis.faults("interrupted calls leave nothing pending"), redis.faults("as many pending as allowed")]
  },
  {
    name: "Redis: a connection interrupted in a blocking command lives on",
    file: "src/redis/RedisEffect.ts",
    find: "close: Scope.close(scope, Exit.void) }",
    replace: "close: Effect.void }",
    red: [redis.effect("a reserved connection that is interrupted")]
  },
  {
    name: "Redis: closing takes new commands",
    file: line,
    find: "        closed = true\n",
    replace: "",
    red: [redis.faults("closing waits for the calls under way")]
  },
  {
    name: "Redis: closing does not give up at its timeout",
    file: "src/redis/RedisClient.ts",
    find: "return calls.drain(config.shutdownTimeout)",
    replace: `return calls.drain("1 hour")`,
    red: [redis.faults("closing gives up at the shutdown timeout")]
  },
  {
    name: "Redis: getOrSet fails with the cache",
    file: "src/redis/CacheStore.ts",
    find: "if (Result.isFailure(found)) return yield* flights.run<A, E | StoreError, R>(name, load, late)",
    replace: "if (Result.isFailure(found)) return yield* found.failure",
    red: [redis.cache("Redis down"), redis.cache("Redis silent")]
  }
]

const ofMongodb: ReadonlyArray<Mutant> = [
  {
    name: "MongoDB: a write that may be stored is told as not applied where no server is left to ask",
    file: "src/mongodb/MongoCalls.ts",
    find: 'outcome: call.sent && call.kind !== "read" ? "unknown" : "not-applied"',
    replace: 'outcome: "not-applied"',
    red: [
      mongodb.faults("a write whose reply is lost, and no server to ask again"),
      mongodb.faults("a server that falls silent"),
      mongodb.client("a write that takes too long may have been applied")
    ]
  },
  {
    name: "MongoDB: a lost reply is told as not applied",
    file: "src/mongodb/MongoDbError.ts",
    find: `if (call.kind === "read" || !call.sent || reason._tag === "Unavailable") return "not-applied"`,
    replace: `return "not-applied"`,
    red: [
      mongodb.faults("an update of many whose reply was dropped"),
      mongodb.faults("an insert whose reply is dropped each time"),
      mongodb.faults("reset in a write"),
      mongodb.faults("killed in a call"),
      mongodb.faults("a write that was sent before its server went away")
    ]
  },
  {
    name: "MongoDB: a write of one document is not sent again",
    file: "src/mongodb/MongoConnections.ts",
    find: "retryWrites: true",
    replace: "retryWrites: false",
    red: [
      mongodb.faults("an insert whose reply was dropped is stored once"),
      mongodb.faults("an increment of one document whose reply was dropped")
    ]
  },
  {
    name: "MongoDB: a read is not asked again",
    file: "src/mongodb/MongoConnections.ts",
    find: "retryReads: true",
    replace: "retryReads: false",
    red: [mongodb.faults("a read whose reply was dropped")]
  },
  {
    name: "MongoDB: a server that went away is told as a timeout",
    file: "src/mongodb/MongoCalls.ts",
    find: "if (refused !== undefined) return unavailable(endpoint, refused)",
    replace: "",
    red: [mongodb.faults("a server that went away")]
  },
  {
    name: "MongoDB: the Context's deadline is ignored",
    file: "src/mongodb/MongoCalls.ts",
    find: "Math.min(startedAt + timeoutMillis, until)",
    replace: "startedAt + timeoutMillis",
    red: [
      mongodb.faults("a call that takes too long is told as that"),
      mongodb.client("past its deadline a call is not sent")
    ]
  },
  {
    name: "MongoDB: a call past its deadline is sent",
    file: "src/mongodb/MongoCalls.ts",
    find: "if (deadline <= startedAt) {",
    replace: "if (deadline < 0) {",
    red: [mongodb.client("past its deadline a call is not sent")]
  },
  {
    name: "MongoDB: an interrupted call is left to the driver",
    file: "src/mongodb/MongoCalls.ts",
    find: "          calls.end(call)\n          giveUp()\n",
    replace: "          calls.end(call)\n",
    red: [mongodb.client("an interrupted read no longer runs"), mongodb.client("a write that was sent is carried out")]
  },
  {
    name: "MongoDB: what the driver refuses at once is a defect",
    file: "src/mongodb/MongoCalls.ts",
    find: "return Promise.reject(error)",
    replace: "throw error",
    red: [mongodb.client("what the driver refuses before it sends anything")]
  },
  {
    name: "MongoDB: a call that takes too long is told as refused, because another one was",
    file: "src/mongodb/MongoCalls.ts",
    find: "isUnderWay(call.sent) ? undefined : pool.refusal()",
    replace: "pool.refusal()",
    red: [mongodb.faults("a call that takes too long is told as that")]
  },
  {
    name: "MongoDB: waiting for a server has no limit of its own",
    file: "src/mongodb/MongoCalls.ts",
    find: "? limits.waitQueue : limits.serverSelection",
    replace: "? limits.waitQueue : limits.timeout",
    red: [mongodb.faults("a write whose reply is lost, and no server to ask again")]
  },
  {
    name: "MongoDB: waiting for a connection has no limit of its own",
    file: "src/mongodb/MongoCalls.ts",
    find: "? limits.waitQueue : limits.serverSelection",
    replace: "? limits.timeout : limits.serverSelection",
    red: [mongodb.client("a caller that waits too long"), mongodb.client("the next batch of a stream waits no longer")]
  },
  {
    name: "MongoDB: a later batch of a stream counts as sent while it waits",
    file: "src/mongodb/MongoCalls.ts",
    find: "later ? pool.lent() !== lent : passage.sent",
    replace: "passage.sent",
    red: [mongodb.client("the next batch of a stream waits no longer")]
  },
  {
    name: "MongoDB: waiting too long is told as a timeout",
    file: "src/mongodb/MongoCalls.ts",
    find: "!call.sent && call.stats.inUse >= call.stats.max",
    replace: "call.sent && call.stats.inUse >= call.stats.max",
    red: [mongodb.client("a caller that waits too long")]
  },
  {
    name: "MongoDB: an interrupted read runs on",
    file: "src/mongodb/MongoCalls.ts",
    find: "patience[kind], () => passage.cut())",
    replace: "patience[kind], () => {})",
    red: [mongodb.client("an interrupted read no longer runs")]
  },
  {
    name: "MongoDB: an interrupted write that still waits is sent",
    file: "src/mongodb/MongoCalls.ts",
    find: "if (!isUnderWay(isSent())) return passage.cut()",
    replace: "if (!isUnderWay(isSent())) return",
    red: [
      mongodb.client("a write that was sent is carried out"),
      mongodb.faults("a write that was given up while it had no server")
    ]
  },
  {
    name: "MongoDB: a write without a connection is taken for one on its way",
    file: "src/mongodb/MongoCalls.ts",
    find: "sent && stats().size > 0",
    replace: "sent",
    red: [mongodb.faults("a write that was given up while it had no server")]
  },
  {
    name: "MongoDB: the driver's own client waits for a server without a limit",
    file: "src/mongodb/MongoConnections.ts",
    find: "  serverSelectionTimeoutMS: Duration.toMillis(config.serverSelectionTimeout),\n",
    replace: "",
    red: [mongodb.faults("the driver's own client has the driver's limits")]
  },
  {
    name: "MongoDB: the driver's own client outlives the scope",
    file: "src/mongodb/MongoConnections.ts",
    find: "Promise.all([client.close(), raw?.close()])",
    replace: "client.close()",
    red: [mongodb.client("the driver's own client")]
  },
  {
    name: "MongoDB: closing does not wait for what is under way",
    file: "src/mongodb/MongoDbClient.ts",
    find: "calls.drain(config.shutdownTimeout)",
    replace: "Effect.void",
    red: [mongodb.client("closing waits for the work under way")]
  }
]

const exchange = "src/clickhouse/Exchange.ts"
const clickhouseError = "src/clickhouse/ClickHouseError.ts"

const ofClickHouse: ReadonlyArray<Mutant> = [
  {
    name: "ClickHouse: a lost answer is told as not applied",
    file: clickhouseError,
    find: `: fail(attempt, new ConnectionLost(said), "unknown", { cause })`,
    replace: `: fail(attempt, new ConnectionLost(said), "not-applied", { cause })`,
    red: [
      clickhouse.faults("reset in a write"),
      clickhouse.faults("answer dropped after an INSERT: not sent again"),
      clickhouse.killed("killed in a write")
    ]
  },
  {
    name: "ClickHouse: a server that is down is told as a lost connection",
    file: clickhouseError,
    find: `  "ECONNREFUSED",\n`,
    replace: "",
    red: [clickhouse.killed("killed in a write")]
  },
  {
    name: "ClickHouse: an INSERT without a token is sent again",
    file: "src/clickhouse/ClickHouseClient.ts",
    find: "                  options.token !== undefined\n",
    replace: "                  true\n",
    red: [clickhouse.faults("answer dropped after an INSERT: not sent again")]
  },
  {
    name: "ClickHouse: an INSERT with a token is not sent again",
    file: "src/clickhouse/ClickHouseClient.ts",
    find: "                  options.token !== undefined\n",
    replace: "                  false\n",
    red: [
      clickhouse.faults("answer dropped after an INSERT with a token"),
      clickhouse.analytics("answers dropped: single events and batches")
    ]
  },
  {
    name: "ClickHouse: the token of a batch is not given to the server",
    file: "src/clickhouse/ClickHouseClient.ts",
    find: "...(options.token === undefined ? {} : { insert_deduplication_token: options.token }),",
    replace: "",
    red: [clickhouse.faults("answer dropped after an INSERT with a token")]
  },
  {
    name: "ClickHouse: a failed request keeps its connection",
    file: exchange,
    find: "                (error) => {\n                  slot.giveBack()\n",
    replace: "                (error) => {\n",
    red: [clickhouse.faults("reset in a write")]
  },
  {
    name: "ClickHouse: an abandoned request keeps its connection",
    file: exchange,
    find: "client.fork(kill(connection, queryId))\n        slot.giveBack()\n",
    replace: "client.fork(kill(connection, queryId))\n",
    red: [
      clickhouse.faults("accepts and never answers"),
      clickhouse.client("an interrupted query no longer runs"),
      clickhouse.client("all connections taken")
    ]
  },
  {
    name: "ClickHouse: an abandoned statement runs on",
    file: exchange,
    find: "if (slot.granted()) client.fork(kill(connection, queryId))",
    replace: "",
    red: [clickhouse.client("a silent INSERT SELECT is killed too")]
  },
  {
    name: "ClickHouse: waiting too long for a connection is told as a timeout",
    file: exchange,
    find: "if (waiting === undefined) return withStatement(attempt, error)",
    replace: "return withStatement(attempt, error)",
    red: [clickhouse.client("all connections taken")]
  },
  {
    name: "ClickHouse: a result cut short is told as a whole one",
    file: "src/clickhouse/Answer.ts",
    find: "if (exception === undefined) return cut === undefined ? lines : fromTransport(attempt, cut.cause)",
    replace: "if (exception === undefined) return lines",
    red: [clickhouse.between("a result cut short"), clickhouse.faults("reset in a stream")]
  },
  {
    name: "ClickHouse: closing does not wait for what is under way",
    file: "src/clickhouse/ClickHouseClient.ts",
    find: "calls.drain(config.shutdownTimeout),",
    replace: "Effect.void,",
    red: [clickhouse.faults("closing waits for what is under way")]
  },
  {
    name: "ClickHouse: closing drops events that were accepted",
    file: "src/clickhouse/BatchedWriter.ts",
    find: "return idle.await",
    replace: "return Effect.void",
    red: [clickhouse.analytics("closing stores what was accepted")]
  }
]

const ofMigrations: ReadonlyArray<Mutant> = [
  {
    name: "Migrations: a migration and its row are no transaction",
    file: "src/postgres/migrations/Transactions.ts",
    find: `inTransaction(Effect.andThen(limitLocks("Migrations.begin", "transaction"), work))`,
    replace: `Effect.andThen(limitLocks("Migrations.begin", "session"), work)`,
    red: [
      migrations.faults("kill -9 at every statement boundary: all"),
      migrations.engine("a migration that fails leaves nothing"),
      migrations.together("an interrupted migration leaves nothing"),
      migrations.together("a connection that is killed mid-migration leaves nothing"),
      migrations.random
    ]
  },
  {
    name: "Migrations: a rerun begins anew, not after the last statement",
    file: "src/postgres/migrations/Steps.ts",
    find: "if (entry?.done === true) {",
    replace: "if (entry?.statement === 0) {",
    red: [
      migrations.faults("kill -9 at every statement boundary without a transaction"),
      migrations.operations("without a transaction a run that broke off"),
      migrations.random
    ]
  },
  {
    name: "Migrations: a run that goes on sets nothing again",
    file: "src/postgres/migrations/Steps.ts",
    find: `resumed(text) === "again"`,
    replace: `resumed(text) !== resumed(text)`,
    red: [migrations.operations("a run that goes on finds the session")]
  },
  {
    name: "Migrations: a run that goes on takes what its session had for there",
    file: "src/postgres/migrations/Steps.ts",
    find: `resumed(text) === "gone"`,
    replace: `resumed(text) !== resumed(text)`,
    red: [migrations.operations("what is gone with the session of a run that broke off")]
  },
  {
    name: "Migrations: the journal is written by whatever role a script took",
    file: "src/postgres/migrations/Steps.ts",
    find: "sql<object>`set local role to default`",
    replace: "sql<object>`set local lock_timeout to default`",
    red: [migrations.operations("a script may take another role")]
  },
  {
    name: "Migrations: an invalid index is taken for whole",
    file: "src/postgres/migrations/ConcurrentIndex.ts",
    find: "index === undefined || index.valid",
    replace: "index === undefined || true",
    red: [migrations.faults("a broken CREATE INDEX CONCURRENTLY")]
  },
  {
    name: "Migrations: nobody locks",
    file: "src/postgres/migrations/Lock.ts",
    find: "if (row?.locked === true) return",
    replace: "if (row !== undefined) return",
    red: [migrations.together("of five that migrate at once"), migrations.faults("many processes migrate at once")]
  },
  {
    name: "Migrations: the lock is waited for inside the server",
    file: "src/postgres/migrations/Lock.ts",
    find: "select pg_try_advisory_lock(${key}::bigint) as locked",
    replace: "select true as locked from pg_advisory_lock(${key}::bigint)",
    red: [migrations.together("who waits too long is told"), migrations.faults("many processes migrate at once")]
  },
  {
    name: "Migrations: a waiter never gives up",
    file: "src/postgres/migrations/Lock.ts",
    find: "if (waited >= lockMillis)",
    replace: "if (waited >= Number.POSITIVE_INFINITY)",
    red: [migrations.together("who waits too long is told")]
  },
  {
    name: "Migrations: nobody looks whether the lock was held",
    file: "src/postgres/PostgresMigrations.ts",
    find: "if (!held) return",
    replace: "if (false) return",
    red: [migrations.faults("a session that had not locked")]
  },
  {
    name: "Migrations: a busy lock ends the run",
    file: "src/postgres/migrations/Transactions.ts",
    find: "if (!locksBusy.has(codeOf(error)))",
    replace: "if (tries >= 0)",
    red: [migrations.faults("a statement does not wait long for a lock")]
  },
  {
    name: "Migrations: a statement waits for a lock without end",
    file: "src/postgres/migrations/Transactions.ts",
    find: "${`${statementLockMillis}ms`}",
    replace: "${'0'}",
    red: [migrations.faults("a statement does not wait long for a lock")]
  },
  {
    name: "Migrations: a step after another waits for a lock without end",
    file: "src/postgres/migrations/Steps.ts",
    find: `      yield* limitLocks(operation, "transaction")\n`,
    replace: "",
    red: [migrations.operations("every step of whatever operation")]
  },
  {
    name: "Migrations: a statement that works beside others has the limit of one before it",
    file: "src/postgres/migrations/Transactions.ts",
    find: '${before?.limit ?? "0"}',
    replace: "${before?.limit.length === 0 ? '0' : '100ms'}",
    red: [migrations.faults("what waits beside others waits on")]
  },
  {
    name: "Migrations: a statement may take no longer than the client's own, on the server",
    file: "src/postgres/PostgresMigrations.ts",
    find: `yield* steps.prepareSession("Migrations.lock")`,
    replace: "void steps",
    red: [migrations.faults("a migration may take as long as it is given")]
  },
  {
    name: "Migrations: a statement may take no longer than the client's own, in the client",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "leased(held, slot, statementMillis)",
    replace: "leased(held, slot, void statementMillis)",
    red: [migrations.faults("a migration may take as long as it is given")]
  },
  {
    name: "Migrations: after the caller's deadline the lock is kept",
    file: "src/postgres/PostgresMigrations.ts",
    find: "Effect.orElseSucceed(whenever(unlock), () => true)",
    replace: "Effect.orElseSucceed(unlock, () => true)",
    red: [migrations.faults("a run whose deadline passes between two statements")]
  },
  {
    name: "Migrations: what is undone in part is up to date",
    file: "src/migrations/Plan.ts",
    find: "...halfUndone({ applied, unfinished }),",
    replace: "...halfUndone({ applied, unfinished: unfinished.slice(0, 0) }),",
    red: [migrations.operations("a migration that is undone in part is not up to date"), migrations.random]
  },
  {
    name: "Migrations: what broke off is begun anew where its mark is gone",
    file: "src/postgres/migrations/Steps.ts",
    find: "if (begun.length > 0) {",
    replace: "if (begun.length < 0) {",
    red: [
      migrations.operations("a migration that broke off without a transaction is not begun anew"),
      migrations.random
    ]
  },
  {
    name: "Migrations: a run has all the time in the world",
    file: "src/migrations/Migrations.ts",
    find: "            duration: limit,\n",
    replace: "            duration: Number.POSITIVE_INFINITY,\n",
    red: [migrations.faults("a run that takes too long"), migrations.faults("a server that hangs in a migration")]
  },
  {
    name: "Migrations: a failed backup is passed over",
    file: "src/migrations/Migrations.ts",
    find: ": driver.backup.pipe(",
    replace: ": Effect.orElseSucceed(driver.backup, () => undefined).pipe(",
    red: [
      migrations.faults("backup fails, nothing is migrated: pg_dump is not installed"),
      migrations.faults("backup fails, nothing is migrated: pg_dump says why"),
      migrations.faults("backup fails, nothing is migrated: what was written cannot be read"),
      migrations.live("a migration that fails fails the layer")
    ]
  },
  {
    name: "Migrations: a backup is not read back",
    file: "src/postgres/migrations/PostgresBackup.ts",
    find: "Effect.andThen(dump, check)",
    replace: "dump",
    red: [
      migrations.faults("backup fails, nothing is migrated: what was written cannot be read"),
      migrations.faults("backup fails, nothing is migrated: what was written is empty")
    ]
  },
  {
    name: "Migrations: an edited file is taken for the applied one",
    file: "src/migrations/Plan.ts",
    find: "return file.checksum === checksum",
    replace: "return file.version === version",
    red: [migrations.engine("a file edited after it was applied"), migrations.random]
  },
  {
    name: "Migrations: a late file is applied in silence",
    file: "src/migrations/Plan.ts",
    find: `...(outOfOrder === "error"`,
    replace: `...(outOfOrder !== outOfOrder`,
    red: [migrations.operations("late migrations"), migrations.random]
  },
  {
    name: "Migrations: what a newer program has applied is a missing file",
    file: "src/migrations/Plan.ts",
    find: "return future.has(row) ? [] : [new FileMissing",
    replace: "return future.size < 0 ? [] : [new FileMissing",
    red: [
      migrations.operations("an older program starts on what a newer one has migrated"),
      migrations.live("an older program starts on what a newer one has migrated"),
      migrations.random
    ]
  },
  {
    name: "Migrations: a missing file among known ones is taken for a newer program's",
    file: "src/migrations/Plan.ts",
    find: "applied.filter(({ version }) => version > newest)",
    replace: "applied.filter(({ version }) => migrations.every((file) => file.version !== version))",
    red: [
      migrations.operations("a missing file among known ones is refused"),
      migrations.operations("verify and status tell what was edited"),
      migrations.random
    ]
  },
  {
    name: "Migrations: down passes over what a newer program has applied",
    file: "src/migrations/Migrations.ts",
    find: "const descending = applied.toReversed()",
    replace: "const descending = applied.filter((row) => !futureOf(migrations, applied).includes(row)).toReversed()",
    red: [migrations.operations("an older program undoes nothing below"), migrations.random]
  },
  {
    name: "Migrations: repair forgets what a newer program has applied",
    file: "src/migrations/Migrations.ts",
    find: "...(repairOptions.forgetFuture === true ?",
    replace: "...(repairOptions.forgetMissing === true ?",
    red: [migrations.operations("repair forgets what a newer program has applied")]
  },
  {
    name: "Migrations: down is not proved",
    file: "src/migrations/Migrations.ts",
    find: "yield* sameSchema(migration, before, again)",
    replace: "void again",
    red: [migrations.operations("a down that leaves something behind")]
  },
  {
    name: "Migrations: continueOnError forgets the failure",
    file: "src/migrations/Stores.ts",
    find: "if (failures !== undefined) return yield* Effect.failCause(failures)",
    replace: "void failures",
    red: [migrations.stores("continueOnError halts"), migrations.live("a migration that fails fails the layer")]
  },
  {
    name: "Migrations: the layer is given out all the same",
    file: "src/live.ts",
    find: "Layer.effectDiscard(DatabaseMigrations.migrate(config))",
    replace: "Layer.effectDiscard(Effect.ignore(DatabaseMigrations.migrate(config)))",
    red: [migrations.live("a migration that fails fails the layer")]
  },
  {
    name: "Leases: a holder never renews",
    file: "src/core/Lease.ts",
    find: "Effect.raceFirst(use(lease), keep(lease, askedAt))",
    replace: "Effect.andThen(Effect.sync(() => void [keep, askedAt]), use(lease))",
    red: [
      migrations.lease("is renewed for as long as it is used"),
      migrations.lease("a holder whose lease went to somebody else"),
      migrations.lease("a holder that cannot renew")
    ]
  },
  {
    name: "Leases: one that is held is given to the next as well",
    file: "src/postgres/PostgresLease.ts",
    find: "where held.expires_at <= clock_timestamp() or held.owner = excluded.owner",
    replace: "where true",
    red: [migrations.leaseTable("of many that ask at once"), migrations.leaseTable("time is the server's")]
  }
]

const ofComposition: ReadonlyArray<Mutant> = [
  {
    name: "SIGTERM: the stores close in another order",
    file: "src/live.ts",
    find: "clickhouse.pipe(Layer.provideMerge(redis), Layer.provideMerge(mongodb), Layer.provideMerge(postgres))",
    replace: "postgres.pipe(Layer.provideMerge(redis), Layer.provideMerge(mongodb), Layer.provideMerge(clickhouse))",
    red: [sigterm]
  },
  {
    name: "SIGTERM: the exit code is that of a failure",
    file: "src/core/Teardown.ts",
    find: "? onExit(0) :",
    replace: "? onExit(130) :",
    red: [sigterm]
  },
  {
    name: "SIGTERM: a tracked event is acknowledged before it is stored",
    file: "src/clickhouse/BatchedWriter.ts",
    find: "Effect.onInterrupt(Deferred.await(entry.stored), () => Effect.sync(() => pending.delete(entry)))",
    replace: "Effect.delay(Effect.sync(() => void pending.delete(entry)), 10)",
    red: [sigterm]
  }
]

const ofInput: ReadonlyArray<Mutant> = [
  {
    name: "Input: an e-mail is made part of a statement",
    file: "src/platform/users/UsersLive.ts",
    find: "lower(${email}::text",
    replace: "lower(${sql.literal(`'${email}'`)}::text",
    red: [injection("Users.findByEmail")]
  },
  {
    name: "Input: a name that is looked for is a pattern",
    file: "src/platform/users/RolesLive.ts",
    find: "select(sql`r.name = ${name}`)",
    replace: "select(sql`r.name like ${name}`)",
    red: [injection("Roles.findByName")]
  },
  {
    name: "Input: any isolation level is made part of BEGIN",
    file: transactionRun,
    find: "Effect.flatMap(checkOptions(options), () => runAs(effect, options))",
    replace: "runAs(effect, options)",
    red: [contract.transaction("options that are none"), injection("Transaction.run")]
  },
  {
    name: "Input: unknown fields are taken",
    file: "src/core/Decode.ts",
    find: `, onExcessProperty: "error" })`,
    replace: " })",
    red: [
      core.decode("names every wrong field"),
      contract.users("unknown, missing and mistyped fields"),
      contract.campaigns("wrong input is refused by the names of its fields"),
      contract.analytics("a wrong event is refused")
    ]
  },
  {
    name: "Input: unknown fields that hide are taken",
    file: "src/core/DirectDecoder.ts",
    find: "Reflect.ownKeys(value)",
    replace: "Object.keys(value)",
    red: [core.direct("leaves to the schema what hides other fields")]
  },
  {
    name: "Input: what a plain value must be is not looked at",
    file: "src/core/DirectDecoder.ts",
    find: "filters.every(",
    replace: "filters.some(",
    red: [core.direct("decodes what the schema decodes")]
  },
  {
    name: "Input: a field may be undefined where it may be left out",
    file: "src/core/DirectDecoder.ts",
    find: "optional && !(name in value)",
    replace: "optional",
    red: [core.direct("decodes what the schema decodes")]
  },
  {
    name: "Input: an array of small and large numbers is refused",
    file: "src/postgres/statements/ArrayParameter.ts",
    find: "if (types.size === 1) return values",
    replace: "if (types.size >= 1) return values",
    red: [postgres.parameters("an array is sent whatever its elements are")]
  },
  {
    name: "Input: an array of nulls is refused",
    file: "src/postgres/statements/ArrayParameter.ts",
    find: "if (types.size === 0) return values.length === 0 ?",
    replace: "if (types.size === 0) return values.length >= 0 ?",
    red: [postgres.parameters("an array is sent whatever its elements are")]
  },
  {
    name: "Input: only the first wrong field is named",
    file: "src/core/Decode.ts",
    find: `{ errors: "all", onExcessProperty: "error" }`,
    replace: `{ onExcessProperty: "error" }`,
    red: [
      core.decode("names every wrong field"),
      contract.users("too long or empty"),
      contract.campaigns("wrong input is refused by the names of its fields")
    ]
  },
  {
    name: "Input: a user of wrong types reaches the store",
    file: "src/platform/users/UsersInput.ts",
    find: "const newUser = decodeInput(NewUser)",
    replace: "const newUser = decodeInput(Schema.Any)",
    red: [contract.users("unknown, missing and mistyped fields"), contract.users("texts that PostgreSQL cannot hold")]
  },
  {
    name: "Input: an e-mail that is none is taken",
    file: "src/platform/users/Users.ts",
    find: `  Schema.isPattern(emailPattern, { expected: "an e-mail address" }),\n`,
    replace: "",
    red: [contract.users("an e-mail that is none")]
  },
  {
    name: "Input: a username that is too long is taken",
    file: "src/platform/users/Users.ts",
    find: "textOf(1, 100)",
    replace: "textOf(0, 1000)",
    red: [contract.users("too long or empty")]
  },
  {
    name: "Input: a page of any size is taken",
    file: "src/core/KeysetPage.ts",
    find: "Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))",
    replace: "Schema.Number",
    red: [contract.users("page sizes and cursors that are none"), contract.campaigns("a page holds 1 to 1000")]
  },
  {
    name: "Input: the 30th of February is taken",
    file: "src/core/Day.ts",
    find: "DateTime.formatIsoDateUtc(midnight) === text",
    replace: 'DateTime.formatIsoDateUtc(midnight) !== ""',
    red: [{ file: "test/postgres/repository/Columns.test.ts", suite: "embedded", test: "takes what its column takes" }]
  },
  {
    name: "Input: more than a bigint holds is taken",
    file: "src/core/Integers.ts",
    find: "2n ** 63n - 1n",
    replace: "2n ** 64n",
    red: [{ file: "test/postgres/repository/Columns.test.ts", suite: "embedded", test: "takes what its column takes" }]
  },
  {
    name: "Lists: a page behind null is looked for on PostgreSQL",
    file: "src/postgres/repository/Keyset.ts",
    find: "segment.value === null",
    replace: "segment.value === undefined",
    red: [{ file: "test/postgres/repository/Keyset.test.ts", suite: "embedded", test: "a null in the key" }]
  },
  {
    name: "Input: a negative TTL is taken",
    file: "src/redis/CacheStore.ts",
    find: "return millis > 0\n",
    replace: "return millis > Number.NEGATIVE_INFINITY\n",
    red: [contract.cache("a TTL of zero or less")]
  },
  {
    name: "Input: a limit of zero is taken",
    file: "src/redis/RateLimit.ts",
    find: "options.limit < 1 ||",
    replace: "options.limit < 0 ||",
    red: [contract.limiter("a limit that is none")]
  },
  {
    name: "Input: a window of no length is taken",
    file: "src/redis/RateLimit.ts",
    find: "if (!(micros >= 1 && micros",
    replace: "if (!(micros",
    red: [contract.limiter("a window that is none")]
  },
  {
    name: "Input: a cost above the limit is taken",
    file: "src/redis/LimiterStore.ts",
    find: " || cost > rule.limit) {",
    replace: ") {",
    red: [contract.limiter("a cost that can never fit")]
  }
]

/** Each handling of a fault, taken out. */
export const mutants: ReadonlyArray<Mutant> = [
  ...ofCore,
  ...ofPostgres,
  ...failures,
  ...ofValuesAndTime,
  ...lookup,
  ...unit,
  ...beginAhead,
  ...bulkInsert,
  ...apiKeys,
  ...users,
  ...userTokens,
  ...withdrawn,
  ...archive,
  ...quietHours,
  ...billingRaces,
  ...billingSchema,
  ...sessions,
  ...streamRows,
  ...ofRedis,
  ...ofMongodb,
  ...ofClickHouse,
  ...ofMigrations,
  ...migrationFiles,
  ...migrationInput,
  ...migrationScripts,
  ...migrationLint,
  ...ofComposition,
  ...ofInput
]
