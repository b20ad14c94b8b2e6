import { apiKeys } from "./fakes/apiKeys.ts"
import { auditLog } from "./fakes/auditLog.ts"
import { billing } from "./fakes/billing.ts"
import { federation } from "./fakes/federation.ts"
import { notifications } from "./fakes/notifications.ts"
import { roles } from "./fakes/roles.ts"
import { userTokens } from "./fakes/userTokens.ts"
import { workflows } from "./fakes/workflows.ts"
import type { Mutant } from "./Mutant.ts"

const users = [{ suite: "memory", file: "test/contracts/Users.test.ts" }]
const transaction = [{ suite: "memory", file: "test/contracts/Transaction.test.ts" }]
const locks = [{ suite: "memory", file: "test/contracts/AdvisoryLocks.test.ts" }]
const cache = [{ suite: "memory", file: "test/contracts/SharedCache.test.ts" }]
const limiter = [{ suite: "memory", file: "test/contracts/RateLimiter.test.ts" }]
const analytics = [{ suite: "memory", file: "test/contracts/Analytics.test.ts" }]
const campaigns = [{ suite: "memory", file: "test/contracts/Campaigns.test.ts" }]

const usersMemory = "src/platform/users/UsersMemory.ts"
const postgresMemory = "src/postgres/PostgresMemory.ts"
const memoryTransactions = "src/postgres/memory/MemoryTransactions.ts"
const locksMemory = "src/postgres/AdvisoryLocksMemory.ts"
const redisMemory = "src/redis/RedisMemory.ts"
const window = "src/redis/SlidingWindow.ts"
const sharedCacheMemory = "src/redis/SharedCacheMemory.ts"
const cacheStore = "src/redis/CacheStore.ts"
const cacheKey = "src/redis/CacheKey.ts"
const singleFlight = "src/redis/SingleFlight.ts"
const limiterStore = "src/redis/LimiterStore.ts"
const memoryDatabase = "src/postgres/memory/MemoryDatabase.ts"
const memoryTables = "src/postgres/memory/MemoryTables.ts"
const keysetPage = "src/core/KeysetPage.ts"
const analyticsInput = "src/platform/analytics/AnalyticsInput.ts"
const analyticsMemory = "src/platform/analytics/AnalyticsMemory.ts"
const memoryIndex = "src/mongodb/memory/MemoryIndex.ts"
const memoryUpdate = "src/mongodb/memory/MemoryUpdate.ts"
const campaignsStored = "src/platform/campaigns/CampaignsStored.ts"
const collection = "src/mongodb/memory/MemoryCollection.ts"

/** Defects of the in-memory fakes; the contract of each capability must notice them. */
export const mutants: ReadonlyArray<Mutant> = [
  // ---- Redis: SharedCache
  {
    name: "SharedCache: TTL ignored",
    file: redisMemory,
    find: "ttlMillis === undefined ? Number.POSITIVE_INFINITY : now + ttlMillis",
    replace: "Number.POSITIVE_INFINITY",
    red: cache
  },
  {
    name: "SharedCache: a value lives one moment too long",
    file: redisMemory,
    find: "if (entry === undefined || now < entry.expiresAt) return entry",
    replace: "if (entry === undefined || now <= entry.expiresAt) return entry",
    red: cache
  },
  {
    name: "SharedCache: delete says there was a value where there was none",
    file: redisMemory,
    find: "        return there\n",
    replace: "        return there || true\n",
    red: cache
  },
  {
    name: "SharedCache: delete forgets to delete",
    file: redisMemory,
    find: "        texts.delete(key)\n",
    replace: "",
    red: cache
  },
  {
    name: "SharedCache: a value without end is told as absent",
    file: redisMemory,
    find: "return entry.expiresAt === Number.POSITIVE_INFINITY ? -1 : entry.expiresAt - now",
    replace: "return entry.expiresAt === Number.POSITIVE_INFINITY ? -2 : entry.expiresAt - now",
    red: cache
  },
  {
    name: "SharedCache: has sees what has expired",
    file: sharedCacheMemory,
    find: "(ttl) => ttl !== -2",
    replace: "(ttl) => ttl !== -3",
    red: cache
  },
  {
    name: "SharedCache: a second value does not replace the first",
    file: redisMemory,
    find: "      entries.set(key, entry)\n",
    replace: "      if (!entries.has(key)) entries.set(key, entry)\n",
    red: cache
  },
  {
    name: "SharedCache: the default life is ignored",
    file: cacheStore,
    find: "          ? defaultTtl\n",
    replace: "          ? Duration.infinity\n",
    red: cache
  },
  {
    name: "SharedCache: a life given is ignored",
    file: cacheStore,
    find: "life?.ttl === undefined\n",
    replace: "life !== null\n",
    red: cache
  },
  {
    name: "SharedCache: a fraction of a millisecond is for ever",
    file: cacheStore,
    find: "Math.ceil(millis)",
    replace: "Math.floor(millis) || Number.MAX_SAFE_INTEGER",
    red: cache
  },
  {
    name: "SharedCache: a life of zero is taken",
    file: cacheStore,
    find: "return millis > 0\n",
    replace: "return millis >= 0\n",
    red: cache
  },
  {
    name: "SharedCache: an infinite life is told as the longest number",
    file: cacheStore,
    find: "millis === -1 ? Duration.infinity : Duration.millis(millis)",
    replace: "Duration.millis(millis)",
    red: cache
  },
  {
    name: "SharedCache: what is absent is told as expired just now",
    file: cacheStore,
    find: "if (millis === -2) return Option.none()",
    replace: "",
    red: cache
  },
  {
    name: "SharedCache: getMany gives the first value to all",
    file: cacheStore,
    find: "read(operation, key, stored[i] ?? null)",
    replace: "read(operation, key, stored[0] ?? null)",
    red: cache
  },
  {
    name: "SharedCache: setMany sets one",
    file: cacheStore,
    find: "Effect.forEach(encoded, ([name, text])",
    replace: "Effect.forEach(encoded.slice(0, 1), ([name, text])",
    red: cache
  },
  {
    name: "SharedCache: setMany forgets the life",
    file: cacheStore,
    find: "([name, text]) => store.set(name, text, millis)",
    replace: "([name, text]) => store.set(name, text, undefined)",
    red: cache
  },
  {
    name: "SharedCache: getOrSet does not store",
    file: cacheStore,
    find: "yield* Effect.ignore(inPatience(store.set(name, text, millis)))",
    replace: "",
    red: cache
  },
  {
    name: "SharedCache: concurrent callers load each for themselves",
    file: singleFlight,
    find: "const under = flights.get(name) as Flight<A, E> | undefined",
    replace: "const under = undefined as Flight<A, E> | undefined",
    red: cache
  },
  {
    name: "SharedCache: a failed load is kept for the next caller",
    file: singleFlight,
    find: "          forget(name, flight)\n          Deferred.doneUnsafe(flight.answer, Exit.succeed(exit))",
    replace: "          Deferred.doneUnsafe(flight.answer, Exit.succeed(exit))",
    red: cache
  },
  {
    name: "SharedCache: one caller's interruption ends the load of all",
    file: singleFlight,
    find: "if (flight.waiting > 0) return undefined",
    replace: "if (flight.fiber === undefined) return undefined",
    red: cache
  },
  {
    name: "SharedCache: a load that nobody waits for goes on",
    file: singleFlight,
    find: "    flight.fiber?.interruptUnsafe(by)\n    return flight.fiber",
    replace: "    void by\n    return undefined",
    red: cache
  },
  {
    name: "SharedCache: keys are not encoded",
    file: cacheKey,
    find: "Exit.succeed(keySegment(value))",
    replace: 'Exit.succeed(value.replaceAll(":", ""))',
    red: cache
  },
  {
    name: "SharedCache: a stored value that no longer decodes fails the read",
    file: cacheStore,
    find: "stored === null ? Effect.succeedNone : Effect.option(key.decode(operation, stored))",
    replace: "stored === null ? Effect.succeedNone : Effect.asSome(Effect.orDie(key.decode(operation, stored)))",
    red: cache
  },
  // ---- Redis: RateLimiter
  {
    name: "RateLimiter: the window is off by one",
    file: window,
    find: "const live = log.filter(({ time }) => time + take.window > at)",
    replace: "const live = log.filter(({ time }) => time + take.window >= at)",
    red: limiter
  },
  {
    name: "RateLimiter: one more than the limit",
    file: window,
    find: "if (used + take.cost > take.limit) {",
    replace: "if (used + take.cost > take.limit + 1) {",
    red: limiter
  },
  {
    name: "RateLimiter: a denied check takes",
    file: window,
    find: "return { state: log, expiresAt: at + take.window, result: denied(live, used, at, take) }",
    replace:
      "return { state: [...live, { time: at, before: total, after: total + take.cost }], expiresAt: at + take.window, result: denied(live, used, at, take) }",
    red: limiter
  },
  {
    name: "RateLimiter: cost ignored",
    file: window,
    find: "state: [...live, { time: at, before: total, after: total + take.cost }],",
    replace: "state: [...live, { time: at, before: total, after: total + 1 }],",
    red: limiter
  },
  {
    name: "RateLimiter: retryAfter tells when all is free",
    file: window,
    find: "retryAfter: frees + take.window - at,",
    replace: "retryAfter: last + take.window - at,",
    red: limiter
  },
  {
    name: "RateLimiter: every rule counts in the same window",
    file: redisMemory,
    find: "const before = states.get(`${script.name} ${key}`, now)?.state as State | undefined",
    replace: "const before = states.get(script.name, now)?.state as State | undefined",
    red: limiter
  },
  {
    name: "RateLimiter: one less than the limit",
    file: window,
    find: "if (used + take.cost > take.limit) {",
    replace: "if (used + take.cost >= take.limit) {",
    red: limiter
  },
  {
    name: "RateLimiter: the window is emptied at a boundary",
    file: window,
    find: "const live = log.filter(({ time }) => time + take.window > at)",
    replace: "const live = log.filter(({ time }) => Math.floor(time / take.window) === Math.floor(at / take.window))",
    red: limiter
  },
  {
    name: "RateLimiter: what is too old still counts",
    file: window,
    find: "const live = log.filter(({ time }) => time + take.window > at)",
    replace: "const live = log",
    red: limiter
  },
  {
    name: "RateLimiter: remaining forgets this cost",
    file: window,
    find: "remaining: take.limit - used - take.cost,",
    replace: "remaining: take.limit - used,",
    red: limiter
  },
  {
    name: "RateLimiter: a denial says that nothing remains",
    file: window,
    find: "remaining: Math.max(0, take.limit - used),",
    replace: "remaining: 0,",
    red: limiter
  },
  {
    name: "RateLimiter: retryAfter of what is allowed is a window",
    file: window,
    find: "        retryAfter: 0,\n",
    replace: "        retryAfter: take.window,\n",
    red: limiter
  },
  {
    name: "RateLimiter: resetAfter of what is allowed is nothing",
    file: window,
    find: "resetAfter: take.window\n",
    replace: "resetAfter: 0\n",
    red: limiter
  },
  {
    name: "RateLimiter: resetAfter of a denial begins at the first",
    file: window,
    find: "resetAfter: last + take.window - at",
    replace: "resetAfter: frees + take.window - at",
    red: limiter
  },
  {
    name: "RateLimiter: retryAfter tells when one is free",
    file: window,
    find: "const wanted = gone + used + take.cost - take.limit",
    replace: "const wanted = gone + used + 1 - take.limit",
    red: limiter
  },
  {
    name: "RateLimiter: a denied check is told as allowed",
    file: window,
    find: "    allowed: false,\n",
    replace: "    allowed: true,\n",
    red: limiter
  },
  {
    name: "RateLimiter: an allowed check is told as denied",
    file: window,
    find: "        allowed: true,\n",
    replace: "        allowed: false,\n",
    red: limiter
  },
  {
    name: "RateLimiter: the log is lost before the window ends",
    file: window,
    find: "      expiresAt: at + take.window,\n      result",
    replace: "      expiresAt: at + take.window / 2,\n      result",
    red: limiter
  },
  {
    name: "RateLimiter: every key has the same count",
    file: limiterStore,
    find: "${keySegment(rule.name)}:${keySegment(key)}",
    replace: "${keySegment(rule.name)}",
    red: limiter
  },
  {
    name: "RateLimiter: every rule has the same count",
    file: limiterStore,
    find: "${keySegment(rule.name)}:${keySegment(key)}",
    replace: "${keySegment(key)}",
    red: limiter
  },
  {
    name: "RateLimiter: cost is always one",
    file: limiterStore,
    find: "const cost = options?.cost ?? 1",
    replace: "const cost = 1 + 0 * (options?.cost ?? 1)",
    red: limiter
  },
  {
    name: "RateLimiter: enforce lets everything through",
    file: limiterStore,
    find: "        decision.allowed\n",
    replace: "        decision.limit > 0\n",
    red: limiter
  },
  {
    name: "RateLimiter: the window is a thousandth",
    file: limiterStore,
    find: "Duration.toMillis(rule.window) * 1000",
    replace: "Duration.toMillis(rule.window)",
    red: limiter
  },
  // ---- PostgreSQL: Users and Transaction
  {
    name: "Users: unique index of e-mails ignored",
    file: usersMemory,
    find: "users_email_key: (user) => (user.erasedAt === null ? lowerAscii(user.email) : undefined)",
    replace: "users_email_key: (user) => user.id",
    red: users
  },
  {
    name: "Users: e-mails differ by case",
    file: usersMemory,
    find: "text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())",
    replace: "text",
    red: users
  },
  {
    name: "Users: a list has users whose e-mail begins otherwise",
    file: usersMemory,
    find: "lowerAscii(email).startsWith(prefix) &&",
    replace: "lowerAscii(email).includes(prefix) &&",
    red: users
  },
  {
    name: "Users: a span of time holds its end",
    file: usersMemory,
    find: "createdAt.epochMilliseconds < range.toMillis",
    replace: "createdAt.epochMilliseconds <= range.toMillis",
    red: users
  },
  {
    name: "Users: of many the last one is left out",
    file: usersMemory,
    find: "for (const user of made) yield*",
    replace: "for (const user of made.slice(0, 29)) yield*",
    red: users
  },
  {
    name: "Users: version not checked",
    file: usersMemory,
    find: "if (user.version !== expectedVersion) {",
    replace: "if (user.version < expectedVersion) {",
    red: users
  },
  {
    name: "Users: version not counted",
    file: usersMemory,
    find: "version: user.version + 1,\n          updatedAt: DateTime.max(",
    replace: "version: user.version,\n          updatedAt: DateTime.max(",
    red: users
  },
  {
    name: "Users: the first row of the next page is skipped",
    file: keysetPage,
    find: "from === -1 ? [] : sorted.slice(from, from + size + 1)",
    replace: "from === -1 ? [] : sorted.slice(after === undefined ? from : from + 1, from + size + 2)",
    red: users
  },
  {
    name: "Users: newest first is oldest first",
    file: usersMemory,
    find: 'const sorting = order === "oldest-first" ? byAge : newestFirst',
    replace: "const sorting = byAge",
    red: users
  },
  {
    name: "Users: the e-mail of an erased user is taken",
    file: usersMemory,
    find: "(user.erasedAt === null ? lowerAscii(user.email) : undefined)",
    replace: "lowerAscii(user.email)",
    red: users
  },
  {
    name: "Users: the name of an erased user is taken",
    file: usersMemory,
    find: "(user.erasedAt === null ? lowerAscii(user.username) : undefined)",
    replace: "lowerAscii(user.username)",
    red: users
  },
  {
    name: "Users: an erased user keeps its name",
    file: "src/platform/users/Users.ts",
    find: "  username: `erased-${id}`,\n",
    replace: "",
    red: users
  },
  {
    name: "Users: an erased user keeps its password",
    file: "src/platform/users/Users.ts",
    find: '  passwordHash: Redacted.make("*"),\n',
    replace: "",
    red: users
  },
  {
    name: "Users: an erased user is changed",
    file: usersMemory,
    find: "        if (user.erasedAt !== null) return Result.fail(new UserErased({ id }))\n",
    replace: "",
    red: users
  },
  {
    name: "Users: who is erased again is erased anew",
    file: usersMemory,
    find: "        if (user.erasedAt !== null) return user\n",
    replace: "",
    red: users
  },
  {
    name: "Users: erased users are listed among the others",
    file: usersMemory,
    find: "(erasedAt !== null) === erased &&",
    replace: "",
    red: users
  },
  {
    name: "Users: a stream does not tell who is asked for",
    file: "src/platform/users/UsersInput.ts",
    find: "const options = { emailPrefix, erased,",
    replace: "const options = { emailPrefix,",
    red: users
  },
  {
    name: "Users: a name is found only in the case it was given",
    file: usersMemory,
    find: '"users_username_key", lowerAscii(username)',
    replace: '"users_username_key", username',
    red: users
  },
  {
    name: "Users: what an erased user has stays",
    file: usersMemory,
    find: "        yield* db.letGo(usersTable, id)\n",
    replace: "",
    red: [{ suite: "memory", file: "test/contracts/UserTokens.test.ts" }]
  },
  {
    name: "Users: what keeps a user from being deleted keeps it from being erased",
    file: "src/postgres/memory/MemoryDatabase.ts",
    find: '({ onRemoval }) => onRemoval !== "restrict")',
    replace: "({ onRemoval }) => onRemoval !== undefined)",
    red: [{ suite: "memory", file: "test/contracts/Billing.test.ts" }]
  },
  {
    name: "Users: an erased user is given tokens",
    file: usersMemory,
    find: "Option.filter(db.get(usersTable, id), ({ erasedAt }) => erasedAt === null)",
    replace: "Option.filter(db.get(usersTable, id), ({ erasedAt }) => erasedAt !== undefined)",
    red: [{ suite: "memory", file: "test/contracts/UserTokens.test.ts" }]
  },
  {
    name: "Users: deleting nobody succeeds",
    file: usersMemory,
    find: "Option.isNone(db.get(usersTable, id))\n        ? Result.fail(new UserNotFound({ id }))",
    replace: "id === undefined\n        ? Result.fail(new UserNotFound({ id }))",
    red: users
  },
  {
    name: "Users: unique index of names ignored",
    file: usersMemory,
    find: "users_username_key: (user) => (user.erasedAt === null ? lowerAscii(user.username) : undefined)",
    replace: "users_username_key: (user) => user.id",
    red: users
  },
  {
    name: "Users: an e-mail is found only in the case it was given",
    file: usersMemory,
    find: '"users_email_key", lowerAscii(email)',
    replace: '"users_email_key", email',
    red: users
  },
  {
    name: "Users: a taken name is told as a taken e-mail",
    file: usersMemory,
    find: "users_username_key: () => new UsernameTaken({ username })",
    replace: "users_username_key: () => new EmailTaken({ email })",
    red: users
  },
  {
    name: "Users: an update drops what it does not name",
    file: usersMemory,
    find: "          ...user,\n          ...changes,",
    replace: "          ...user,\n          username: user.email,\n          ...changes,",
    red: users
  },
  {
    name: "Users: an update changes nothing",
    file: usersMemory,
    find: "          ...changes,\n",
    replace: "",
    red: users
  },
  {
    name: "Users: an update of nobody is a conflict",
    file: usersMemory,
    find: "if (Option.isNone(found)) return Result.fail(new UserNotFound({ id }))",
    replace: "if (Option.isNone(found)) return Result.fail(new VersionConflict({ id, expected: 1, actual: 1 }))",
    red: users
  },
  {
    name: "Users: a conflict tells the wrong version",
    file: usersMemory,
    find: "actual: user.version })",
    replace: "actual: expectedVersion })",
    red: users
  },
  {
    name: "Users: a deleted user stays",
    file: usersMemory,
    find: ": Result.mapError(db.remove(usersTable, id), inUse(id))",
    replace: ": Result.void",
    red: users
  },
  {
    name: "Users: what a deleted user held is not free",
    file: memoryDatabase,
    find: "indexes: indexed(held, before, Option.none(), key)",
    replace: "indexes: held.indexes",
    red: users
  },
  {
    name: "Users: what an update gives up is not free",
    file: memoryDatabase,
    find: "const free = Option.isSome(old) ? HashMap.remove(keys, old.value) : keys",
    replace: "const free = keys",
    red: users
  },
  {
    name: "Users: a new user begins at version 0",
    file: "src/platform/users/Users.ts",
    find: "version: 1,\n  createdAt",
    replace: "version: 0,\n  createdAt",
    red: users
  },
  {
    name: "Users: a page ends at 500 where nothing is said",
    file: usersMemory,
    find: "limit = defaultPageSize",
    replace: "limit = streamPageSize",
    red: users
  },
  {
    name: "Lists: a cursor of another list is taken",
    file: keysetPage,
    find: "Schema.Literal(list)",
    replace: "Schema.String",
    red: [
      { suite: "memory", file: "test/contracts/Users.test.ts", test: "the cursor of another list is refused" },
      ...["Roles", "ApiKeys", "AuditLog", "Billing", "Workflows", "Federation", "Notifications", "Campaigns"].map(
        (contract) => ({ suite: "memory", file: `test/contracts/${contract}.test.ts` })
      )
    ]
  },
  {
    name: "Lists: a cursor of another owner's list is taken",
    file: keysetPage,
    find: "after[field] !== given[field]",
    replace: "after[field] === undefined",
    red: ["ApiKeys", "Billing", "Workflows", "Notifications", "Campaigns"].map((contract) => ({
      suite: "memory",
      file: `test/contracts/${contract}.test.ts`
    }))
  },
  {
    name: "Lists: the key of a cursor may be null",
    file: keysetPage,
    find: "if (nullable !== undefined) throw",
    replace: 'if (nullable === "") throw',
    red: [{ file: "test/core/KeysetPage.test.ts", test: "of a key that admits null" }]
  },
  {
    name: "Lists: a page behind null is looked for in memory",
    file: keysetPage,
    find: "([, value]) => value === null",
    replace: "([, value]) => value === undefined",
    red: [{ file: "test/postgres/repository/Keyset.test.ts", suite: "memory", test: "a null in the key" }]
  },
  {
    name: "Memory: a table that a foreign key leads to may be missing",
    file: memoryDatabase,
    find: "    assertReferences(tables, table)\n",
    replace: "",
    red: [{ file: "test/postgres/memory/MemoryDatabase.test.ts", test: "names the foreign key, the table it leads to" }]
  },
  {
    name: "Memory: a second table of a name takes the place of the first",
    file: memoryTables,
    find: "known !== undefined && known !== table",
    replace: "known === null",
    red: [{ file: "test/postgres/PostgresMemory.test.ts", test: "but not its name with another table" }]
  },
  {
    name: "Memory: a table is known by its name alone",
    file: memoryTables,
    find: "if (known === table) return",
    replace: "if (known !== undefined) return",
    red: [
      { file: "test/postgres/memory/MemoryDatabase.test.ts", test: "takes another table of the same name for none" }
    ]
  },
  {
    name: "Users: a page has no next",
    file: keysetPage,
    find: "from + size + 1)",
    replace: "from + size)",
    red: users
  },
  {
    name: "Users: the order of a stream is ignored",
    file: "src/platform/users/UsersInput.ts",
    find: "during: given?.during, order, limit }",
    replace: "during: given?.during, limit }",
    red: users
  },
  {
    name: "Transaction: a failed one is committed",
    file: postgresMemory,
    find: "if (Exit.isSuccess(exit)) committed = transaction.database",
    replace: "committed = transaction.database",
    red: users
  },
  {
    name: "Transaction: a failed savepoint keeps its work",
    file: postgresMemory,
    find: "if (Exit.isFailure(exit)) transaction.database = before",
    replace: "",
    red: users
  },
  {
    name: "Transaction: others see what is not committed",
    file: postgresMemory,
    find: "            transaction.database = next\n",
    replace: "            transaction.database = next\n            committed = next\n",
    red: users
  },
  {
    name: "Transaction: a successful one is not committed",
    file: postgresMemory,
    find: "if (Exit.isSuccess(exit)) committed = transaction.database",
    replace: "",
    red: users
  },
  {
    name: "Transaction: it does not see its own writes",
    file: postgresMemory,
    find: "look(readerOf(tables, () => level.transaction.database))",
    replace: "look(readerOf(tables, () => committed))",
    red: users
  },
  {
    name: "Transaction: two at once overwrite each other",
    file: postgresMemory,
    find: "      if (!taken) {\n        taken = true\n",
    replace: "      if (!taken || queue.size === 0) {\n",
    red: users
  },
  {
    name: "Transaction: a read-only one writes",
    file: postgresMemory,
    find: "if (transaction.readOnly) return Effect.fail(readOnly(operation))",
    replace: "",
    red: transaction
  },
  {
    name: "Transaction: a write falls into another fiber's savepoint",
    file: postgresMemory,
    find: "return inTurn(operation, level, inside)",
    replace: "return inside",
    red: transaction
  },
  {
    name: "Transaction: a call that outlives its level goes on",
    file: postgresMemory,
    find: "=> level.open && (",
    replace: "=> level.open || (",
    red: transaction
  },
  {
    name: "Transaction: actions run although it was rolled back",
    file: memoryTransactions,
    find: `(outcome === "committed" ? Effect.forEach`,
    replace: `(outcome !== "in progress" ? Effect.forEach`,
    red: transaction
  },
  {
    name: "Transaction: actions of a rolled back savepoint run",
    file: memoryTransactions,
    find: "          } else for (const release of level.releases) release()",
    replace: "          } else outer.actions.push(...level.actions)",
    red: transaction
  },
  {
    name: "Transaction: its outcome is not kept",
    file: memoryTransactions,
    find: "if (id !== undefined) outcomes.set(id, outcome)",
    replace: "",
    red: transaction
  },
  {
    name: "AdvisoryLocks: two have one lease",
    file: locksMemory,
    find: "      else return false\n",
    replace: "      else return true\n",
    red: locks
  },
  {
    name: "AdvisoryLocks: a rolled back savepoint keeps its lock",
    file: memoryTransactions,
    find: "          } else for (const release of level.releases) release()",
    replace: "          } else outer.releases.push(...level.releases)",
    red: locks
  },
  {
    name: "AdvisoryLocks: a transaction keeps its lock beyond its end",
    file: locksMemory,
    find: "if (taken) level.releases.push(() => release(key))",
    replace: "",
    red: locks
  },
  // ---- ClickHouse: Analytics
  {
    name: "Analytics: the end of a range is included",
    file: analyticsMemory,
    find: "return at >= fromMillis && at < toMillis &&",
    replace: "return at >= fromMillis && at <= toMillis &&",
    red: analytics
  },
  {
    name: "Analytics: the start of a range is excluded",
    file: analyticsMemory,
    find: "return at >= fromMillis && at < toMillis &&",
    replace: "return at > fromMillis && at < toMillis &&",
    red: analytics
  },
  {
    name: "Analytics: the service is ignored",
    file: analyticsMemory,
    find: "(service === undefined || event.service === service)",
    replace: "(service === undefined || event.service !== undefined)",
    red: analytics
  },
  {
    name: "Analytics: the same event counts twice",
    file: analyticsMemory,
    find: "if (!stored.has(event.eventId)) stored.set(event.eventId,",
    replace: "stored.set(`${event.eventId} ${stored.size}`,",
    red: analytics
  },
  {
    name: "Analytics: p95 is the nearest rank",
    file: analyticsMemory,
    find: "return low + (rank - below) * (high - low)",
    replace: "return low",
    red: analytics
  },
  {
    name: "Analytics: events without an outcome count as failed",
    file: analyticsMemory,
    find: "success === undefined ? [] : [success]",
    replace: "[success === true]",
    red: analytics
  },
  {
    name: "Analytics: the range is ignored",
    file: analyticsMemory,
    find: "return at >= fromMillis && at < toMillis &&",
    replace: "return",
    red: analytics
  },
  {
    name: "Analytics: the success rate counts failures",
    file: analyticsMemory,
    find: "judged.filter((success) => success)",
    replace: "judged.filter((success) => !success)",
    red: analytics
  },
  {
    name: "Analytics: the success rate of nothing is zero",
    file: analyticsMemory,
    find: "judged.length === 0\n",
    replace: "judged.length < 0\n",
    red: analytics
  },
  {
    name: "Analytics: the mean counts events without a duration",
    file: analyticsMemory,
    find: "sumOf(durations) / durations.length",
    replace: "sumOf(durations) / events.length",
    red: analytics
  },
  {
    name: "Analytics: the mean is the sum",
    file: analyticsMemory,
    find: "sumOf(durations) / durations.length",
    replace: "sumOf(durations)",
    red: analytics
  },
  {
    name: "Analytics: p95 is p90",
    file: analyticsMemory,
    find: "quantileInclusive(0.95,",
    replace: "quantileInclusive(0.9,",
    red: analytics
  },
  {
    name: "Analytics: p95 is the longest",
    file: analyticsMemory,
    find: "quantileInclusive(0.95,",
    replace: "quantileInclusive(1,",
    red: analytics
  },
  {
    name: "Analytics: durations are sorted as text",
    file: analyticsMemory,
    find: ".sort((a, b) => a - b)",
    replace: ".sort()",
    red: analytics
  },
  {
    name: "Analytics: costs add up in floating point",
    file: analyticsMemory,
    find: "BigDecimal.normalize(BigDecimal.sumAll(events.map(({ costUsd }) => costUsd)))",
    replace:
      "BigDecimal.normalize(BigDecimal.fromNumberUnsafe(sumOf(events.map(({ costUsd }) => Number(BigDecimal.format(costUsd))))))",
    red: analytics
  },
  {
    name: "Analytics: costs are rounded to cents",
    file: analyticsInput,
    find: "BigInt(Math.round(amount * 1_000_000)), 6",
    replace: "BigInt(Math.round(amount * 100)), 2",
    red: analytics
  },
  {
    name: "Analytics: a batch stores one",
    file: analyticsMemory,
    find: "events.forEach(store)",
    replace: "events.slice(0, 1).forEach(store)",
    red: analytics
  },
  {
    name: "Analytics: a batch is counted as one",
    file: analyticsMemory,
    find: "        return events.length\n",
    replace: "        return Math.min(1, events.length)\n",
    red: analytics
  },
  {
    name: "Analytics: events come newest first",
    file: analyticsMemory,
    find: "DateTime.toEpochMillis(a.occurredAt) - DateTime.toEpochMillis(b.occurredAt)",
    replace: "DateTime.toEpochMillis(b.occurredAt) - DateTime.toEpochMillis(a.occurredAt)",
    red: analytics
  },
  {
    name: "Analytics: events come as they were told",
    file: analyticsMemory,
    find: "Stream.fromIterable(events.sort(byTime))",
    replace: "Stream.fromIterable(events)",
    red: analytics
  },
  {
    name: "Analytics: metadata is lost",
    file: analyticsInput,
    find: "metadata: metadata ?? {}",
    replace: "metadata: {}",
    red: analytics
  },
  {
    name: "Analytics: an id given is not kept",
    file: analyticsInput,
    find: "eventId: eventId ?? EventId.make(crypto.randomUUID())",
    replace: "eventId: EventId.make(crypto.randomUUID())",
    red: analytics
  },
  {
    name: "Analytics: the time given is not kept",
    file: analyticsInput,
    find: "occurredAt: occurredAt ?? now",
    replace: "occurredAt: now",
    red: analytics
  },
  // ---- MongoDB: Campaigns
  {
    name: "Campaigns: unique index ignored",
    file: "src/mongodb/memory/MemoryIndex.ts",
    find: "if (holder !== undefined && holder !== id) throw",
    replace: "if (holder !== undefined && holder === `${id}x`) throw",
    red: campaigns
  },
  {
    name: "Campaigns: update many changes one",
    file: collection,
    find: 'const chosen = which === "one" ? all.slice(0, 1) : all\n            for',
    replace: "const chosen = all.slice(0, 1)\n            for",
    red: campaigns
  },
  {
    name: "Campaigns: a document read is the stored one",
    file: collection,
    find: "skip + limit).map(roundTrip)",
    replace: "skip + limit).map((document) => document)",
    red: campaigns,
    survives:
      "the codec decodes every document that is read into a new value, so that a caller never holds the stored one; the copy guards raw reads"
  },
  {
    name: "Campaigns: the sort is ignored",
    file: collection,
    find: "const sorted = sort === undefined ? all : sortBy(all, sort)",
    replace: "const sorted = sort === undefined ? all : all",
    red: campaigns
  },
  {
    name: "Campaigns: the limit is ignored",
    file: collection,
    find: "limit === undefined ? undefined : skip + limit",
    replace: "undefined",
    red: campaigns,
    survives: "a page is cut to its size by whoever asks for it; the limit only saves the store the rest of the work"
  },
  {
    name: "Campaigns: an increment sets",
    file: memoryUpdate,
    find: "const sum = (old ?? 0) + by",
    replace: "const sum = 0 * Number(old ?? 0) + by",
    red: campaigns
  },
  {
    name: "Campaigns: an increment of a path makes a field of that name",
    file: memoryUpdate,
    find: 'const parts = path.split(".")',
    replace: "const parts = [path]",
    red: campaigns
  },
  {
    name: "Campaigns: a set changes nothing",
    file: memoryUpdate,
    find: "    write(holder, last, value)\n",
    replace: "",
    red: campaigns
  },
  {
    name: "Campaigns: what is found is everything",
    file: collection,
    find: "filter((document) => query.test(document))",
    replace: "filter((document) => query.test(document) || true)",
    red: campaigns
  },
  {
    name: "Campaigns: what is inserted is not stored",
    file: collection,
    find: "    stored.set(id, document)\n",
    replace: "",
    red: campaigns
  },
  {
    name: "Campaigns: an update is counted and not stored",
    file: collection,
    find: "    enter(id, after, document)\n",
    replace: "",
    red: campaigns
  },
  {
    name: "Campaigns: an update says that it matched nothing",
    file: collection,
    find: "matched: chosen.length, modified",
    replace: "matched: 0, modified",
    red: campaigns
  },
  {
    name: "Campaigns: the sort is the other way round",
    file: collection,
    find: "sortBy(all, sort)",
    replace: "[...sortBy(all, sort)].reverse()",
    red: campaigns
  },
  {
    name: "Campaigns: the page begins one later",
    file: collection,
    find: "skip = 0, sort",
    replace: "skip = 1, sort",
    red: campaigns
  },
  {
    name: "Campaigns: an aggregation sees one document",
    file: collection,
    find: "run<Mutable>([...stored.values()])",
    replace: "run<Mutable>([...stored.values()].slice(0, 1))",
    red: campaigns
  },
  {
    name: "Campaigns: an aggregation is empty",
    file: collection,
    find: "return made.map(roundTrip)",
    replace: "return made.slice(made.length)",
    red: campaigns
  },
  {
    name: "Campaigns: a unique index is of the first field of each document",
    file: memoryIndex,
    find: "`${prefix}|${canonical(value)}`",
    replace: "`${prefix}|`",
    red: campaigns
  },
  {
    name: "Campaigns: a new campaign begins at version 0",
    file: campaignsStored,
    find: "          version: 1,\n",
    replace: "          version: 0,\n",
    red: campaigns
  },
  {
    name: "Campaigns: tags are lost",
    file: campaignsStored,
    find: "tags: tags ?? []",
    replace: "tags: []",
    red: campaigns
  },
  {
    name: "Campaigns: a change of status is not counted",
    file: campaignsStored,
    find: "{ $set: { status, updatedAt }, $inc: { version: 1 } }",
    replace: "{ $set: { status, updatedAt } }",
    red: campaigns
  },
  {
    name: "Campaigns: an increment is not counted as a change",
    file: campaignsStored,
    find: "{ ...Object.fromEntries(figures), version: 1 }",
    replace: "{ ...Object.fromEntries(figures) }",
    red: campaigns
  },
  {
    name: "Campaigns: a taken id is told as a constraint",
    file: campaignsStored,
    find: "error.reason.constraint === uniqueId.name",
    replace: "error.reason.constraint === `${uniqueId.name}x`",
    red: campaigns
  },
  ...roles,
  ...apiKeys,
  ...userTokens,
  ...auditLog,
  ...billing,
  ...workflows,
  ...notifications,
  ...federation
]
