import type { Mutant } from "./Mutant.ts"

const users = ["test/contracts/Users.test.ts"]
const cache = ["test/contracts/SharedCache.test.ts"]
const limiter = ["test/contracts/RateLimiter.test.ts"]
const analytics = ["test/contracts/Analytics.test.ts"]
const campaigns = ["test/contracts/Campaigns.test.ts"]
const memory = "memory"

const usersMemory = "src/platform/UsersMemory.ts"
const postgresMemory = "src/postgres/PostgresMemory.ts"
const redisMemory = "src/redis/RedisMemory.ts"
const window = "src/redis/SlidingWindow.ts"
const analyticsMemory = "src/platform/AnalyticsMemory.ts"
const collection = "src/mongodb/memory/MemoryCollection.ts"

/** Defects of the in-memory fakes; the contract of each capability must notice them. */
export const mutants: ReadonlyArray<Mutant> = [
  // ---- Redis: SharedCache
  {
    name: "SharedCache: TTL ignored",
    file: redisMemory,
    find: "ttlMillis === undefined ? Number.POSITIVE_INFINITY : now + ttlMillis",
    replace: "Number.POSITIVE_INFINITY",
    tests: cache,
    only: memory
  },
  {
    name: "SharedCache: a value lives one moment too long",
    file: redisMemory,
    find: "if (entry === undefined || now < entry.expiresAt) return entry",
    replace: "if (entry === undefined || now <= entry.expiresAt) return entry",
    tests: cache,
    only: memory
  },
  {
    name: "SharedCache: delete says there was a value where there was none",
    file: redisMemory,
    find: "        return there\n",
    replace: "        return there || true\n",
    tests: cache,
    only: memory
  },
  {
    name: "SharedCache: delete forgets to delete",
    file: redisMemory,
    find: "        texts.delete(key)\n",
    replace: "",
    tests: cache,
    only: memory
  },
  {
    name: "SharedCache: a value without end is told as absent",
    file: redisMemory,
    find: "return entry.expiresAt === Number.POSITIVE_INFINITY ? -1 : entry.expiresAt - now",
    replace: "return entry.expiresAt === Number.POSITIVE_INFINITY ? -2 : entry.expiresAt - now",
    tests: cache,
    only: memory
  },
  // ---- Redis: RateLimiter
  {
    name: "RateLimiter: the window is off by one",
    file: window,
    find: "const live = log.filter(({ time }) => time + take.window > at)",
    replace: "const live = log.filter(({ time }) => time + take.window >= at)",
    tests: limiter,
    only: memory
  },
  {
    name: "RateLimiter: one more than the limit",
    file: window,
    find: "if (used + take.cost > take.limit) {",
    replace: "if (used + take.cost > take.limit + 1) {",
    tests: limiter,
    only: memory
  },
  {
    name: "RateLimiter: a denied check takes",
    file: window,
    find: "return { state: log, expiresAt: at + take.window, result: denied(live, used, at, take) }",
    replace:
      "return { state: [...live, { time: at, before: total, after: total + take.cost }], expiresAt: at + take.window, result: denied(live, used, at, take) }",
    tests: limiter,
    only: memory
  },
  {
    name: "RateLimiter: cost ignored",
    file: window,
    find: "state: [...live, { time: at, before: total, after: total + take.cost }],",
    replace: "state: [...live, { time: at, before: total, after: total + 1 }],",
    tests: limiter,
    only: memory
  },
  {
    name: "RateLimiter: retryAfter tells when all is free",
    file: window,
    find: "retryAfter: frees + take.window - at,",
    replace: "retryAfter: last + take.window - at,",
    tests: limiter,
    only: memory
  },
  {
    name: "RateLimiter: every rule counts in the same window",
    file: redisMemory,
    find: "const before = states.get(`${script.name} ${key}`, now)?.state as State | undefined",
    replace: "const before = states.get(script.name, now)?.state as State | undefined",
    tests: limiter,
    only: memory
  },
  // ---- PostgreSQL: Users and Transaction
  {
    name: "Users: unique index of e-mails ignored",
    file: usersMemory,
    find: "    users_email_key: (user) => lowerAscii(user.email),\n",
    replace: "    users_email_key: (user) => user.id,\n",
    tests: users,
    only: memory
  },
  {
    name: "Users: e-mails differ by case",
    file: usersMemory,
    find: "text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())",
    replace: "text",
    tests: users,
    only: memory
  },
  {
    name: "Users: version not checked",
    file: usersMemory,
    find: "if (user.version !== expectedVersion) {",
    replace: "if (user.version < expectedVersion) {",
    tests: users,
    only: memory
  },
  {
    name: "Users: version not counted",
    file: usersMemory,
    find: "version: user.version + 1,",
    replace: "version: user.version,",
    tests: users,
    only: memory
  },
  {
    name: "Users: the first row of the next page is skipped",
    file: usersMemory,
    find: "const rows = from === -1 ? [] : sorted.slice(from, from + limit + 1)",
    replace: "const rows = from === -1 ? [] : sorted.slice(after === undefined ? from : from + 1, from + limit + 2)",
    tests: users,
    only: memory
  },
  {
    name: "Users: newest first is oldest first",
    file: usersMemory,
    find: 'const sorted = order === "oldest-first" ? oldestFirst(users) : newestFirst(users)',
    replace: "const sorted = oldestFirst(users)",
    tests: users,
    only: memory
  },
  {
    name: "Users: deleting nobody succeeds",
    file: usersMemory,
    find: "Option.isNone(getRow(users, id))\n        ? Result.fail(new UserNotFound({ id }))",
    replace: "id === undefined\n        ? Result.fail(new UserNotFound({ id }))",
    tests: users,
    only: memory
  },
  {
    name: "Transaction: a failed one is committed",
    file: postgresMemory,
    find: "if (Exit.isSuccess(exit)) for (const commit of transaction.commits) commit()",
    replace: "for (const commit of transaction.commits) commit()",
    tests: users,
    only: memory
  },
  {
    name: "Transaction: a failed savepoint keeps its work",
    file: postgresMemory,
    find: "            if (Exit.isSuccess(exit)) return\n",
    replace: "            return\n",
    tests: users,
    only: memory
  },
  {
    name: "Transaction: others see what is not committed",
    file: postgresMemory,
    find: "            own.value = next\n",
    replace: "            own.value = next\n            committed = next\n",
    tests: users,
    only: memory
  },
  // ---- ClickHouse: Analytics
  {
    name: "Analytics: the end of a range is included",
    file: analyticsMemory,
    find: "return at >= fromMillis && at < toMillis &&",
    replace: "return at >= fromMillis && at <= toMillis &&",
    tests: analytics,
    only: memory
  },
  {
    name: "Analytics: the start of a range is excluded",
    file: analyticsMemory,
    find: "return at >= fromMillis && at < toMillis &&",
    replace: "return at > fromMillis && at < toMillis &&",
    tests: analytics,
    only: memory
  },
  {
    name: "Analytics: the service is ignored",
    file: analyticsMemory,
    find: "(service === undefined || event.service === service)",
    replace: "(service === undefined || event.service !== undefined)",
    tests: analytics,
    only: memory
  },
  {
    name: "Analytics: the same event counts twice",
    file: analyticsMemory,
    find: "if (!stored.has(event.eventId)) stored.set(event.eventId,",
    replace: "stored.set(`${event.eventId} ${stored.size}`,",
    tests: analytics,
    only: memory
  },
  {
    name: "Analytics: p95 is the nearest rank",
    file: analyticsMemory,
    find: "return low + (rank - below) * (high - low)",
    replace: "return low",
    tests: analytics,
    only: memory
  },
  {
    name: "Analytics: events without an outcome count as failed",
    file: analyticsMemory,
    find: "success === undefined ? [] : [success]",
    replace: "[success === true]",
    tests: analytics,
    only: memory
  },
  // ---- MongoDB: Campaigns
  {
    name: "Campaigns: unique index ignored",
    file: "src/mongodb/memory/MemoryIndex.ts",
    find: "if (holder !== undefined && holder !== id) throw",
    replace: "if (holder !== undefined && holder === `${id}x`) throw",
    tests: campaigns,
    only: memory
  },
  {
    name: "Campaigns: update many changes one",
    file: collection,
    find: 'const chosen = which === "one" ? all.slice(0, 1) : all\n            for',
    replace: "const chosen = all.slice(0, 1)\n            for",
    tests: campaigns,
    only: memory
  },
  {
    name: "Campaigns: a document read is the stored one",
    file: collection,
    find: "skip + limit).map(roundTrip)",
    replace: "skip + limit).map((document) => document)",
    tests: campaigns,
    only: memory,
    survives:
      "the codec decodes every document that is read into a new value, so that a caller never holds the stored one; the copy guards raw reads"
  },
  {
    name: "Campaigns: the sort is ignored",
    file: collection,
    find: "const sorted = sort === undefined ? all : sortBy(all, sort)",
    replace: "const sorted = sort === undefined ? all : all",
    tests: campaigns,
    only: memory
  },
  {
    name: "Campaigns: the limit is ignored",
    file: collection,
    find: "limit === undefined ? undefined : skip + limit",
    replace: "undefined",
    tests: campaigns,
    only: memory
  }
]
