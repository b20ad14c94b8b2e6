import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/ApiKeys.test.ts" }]

const keys = "src/platform/users/ApiKeys.ts"
const memory = "src/platform/users/ApiKeysMemory.ts"
const secret = "src/platform/users/Secret.ts"

/** Defects of `ApiKeys` in memory, and of what it shares with PostgreSQL. */
export const apiKeys: ReadonlyArray<Mutant> = [
  {
    name: "ApiKeys: only the prefix of a secret is compared",
    file: secret,
    find: ".update(Redacted.value(secret))",
    replace: ".update(Redacted.value(secret).slice(0, 8))",
    red
  },
  {
    name: "ApiKeys: a secret is half as long",
    file: secret,
    find: "const secretBytes = 32",
    replace: "const secretBytes = 16",
    red
  },
  {
    name: "ApiKeys: a key lives one moment too long",
    file: keys,
    find: "expiresAt.epochMilliseconds <= now.epochMilliseconds",
    replace: "expiresAt.epochMilliseconds < now.epochMilliseconds",
    red
  },
  {
    name: "ApiKeys: a revoked key opens",
    file: keys,
    find: "  revokedAt !== null\n",
    replace: "  revokedAt !== revokedAt\n",
    red
  },
  {
    name: "ApiKeys: a time to live is ignored",
    file: memory,
    find: "timeToLive === undefined ? null : DateTime.addDuration(now, timeToLive)",
    replace: "null",
    red
  },
  {
    name: "ApiKeys: scopes are lost",
    file: memory,
    find: "scopes: [...scopes]",
    replace: "scopes: []",
    red
  },
  {
    name: "ApiKeys: the prefix is of the hash",
    file: memory,
    find: "prefix: Redacted.value(secret).slice",
    replace: "prefix: hashSecret(secret).slice",
    red
  },
  {
    name: "ApiKeys: the hash of the secret is told",
    file: memory,
    find: 'Struct.omit(row, ["hash"])',
    replace: "row",
    red
  },
  {
    name: "ApiKeys: a new key is told as used",
    file: memory,
    find: "      lastUsedAt: null,\n",
    replace: "      lastUsedAt: now,\n",
    red
  },
  {
    name: "ApiKeys: nobody is issued a key",
    file: memory,
    find: "key: ({ userId }) => userId, onRemoval",
    replace: "key: () => undefined, onRemoval",
    red
  },
  {
    name: "ApiKeys: nobody is told as a failure of the store",
    file: memory,
    find: "Result.andThen(presentUser(db, userId), () => db.insert(keysTable, row))",
    replace: "db.insert(keysTable, row)",
    red
  },
  {
    name: "ApiKeys: a user who has keys is not removed",
    file: memory,
    find: 'onRemoval: "cascade"',
    replace: 'onRemoval: "restrict"',
    red
  },
  {
    name: "ApiKeys: what is no key is told as revoked",
    file: memory,
    find: 'because: "unknown"',
    replace: 'because: "revoked"',
    red
  },
  {
    name: "ApiKeys: a use is told and not stored",
    file: memory,
    find: "        yield* db.replace(keysTable, used)\n",
    replace: "",
    red
  },
  {
    name: "ApiKeys: the use that is noted is told with the next one only",
    file: memory,
    find: "return keyOf(used)",
    replace: "return keyOf(row)",
    red
  },
  {
    name: "ApiKeys: every use is noted",
    file: memory,
    find: "row.lastUsedAt !== null && DateTime.isGreaterThan(row.lastUsedAt, before)",
    replace: "row.lastUsedAt !== null && false",
    red
  },
  {
    name: "ApiKeys: only the first use is noted",
    file: memory,
    find: "row.lastUsedAt !== null && DateTime.isGreaterThan(row.lastUsedAt, before)",
    replace: "row.lastUsedAt !== null",
    red
  },
  {
    name: "ApiKeys: revoking again is the new time",
    file: memory,
    find: "row.revokedAt ?? now",
    replace: "now",
    red
  },
  {
    name: "ApiKeys: an end is told and not stored",
    file: memory,
    find: "        yield* db.replace(keysTable, revoked)\n",
    replace: "",
    red
  },
  {
    name: "ApiKeys: a list has everybody's keys",
    file: memory,
    find: "userId === user)",
    replace: "userId === user || true)",
    red
  },
  {
    name: "ApiKeys: a list leaves out the keys that have ended",
    file: memory,
    find: "filter(({ userId }) => userId === user)",
    replace: "filter(({ revokedAt, userId }) => userId === user && revokedAt === null)",
    red
  },
  {
    name: "ApiKeys: a list is newest first",
    file: memory,
    find: "Order.mapInput(Order.String, ({ id }: Place) => id)",
    replace: "Order.flip(Order.mapInput(Order.String, ({ id }: Place) => id))",
    red
  },
  {
    name: "ApiKeys: every page is the first",
    file: memory,
    find: "pageOfSorted(own, byId, after, limit",
    replace: "pageOfSorted(own, byId, undefined, limit",
    red
  },
  {
    name: "ApiKeys: a page where nobody says has all that a page may have",
    file: memory,
    find: "limit = defaultPageSize",
    replace: "limit = 1000",
    red
  },
  {
    name: "ApiKeys: a key does not open in a read-only transaction",
    file: memory,
    find: 'error.reason._tag === "NotPrimary"',
    replace: 'error.reason._tag === "Overloaded"',
    red
  }
]
