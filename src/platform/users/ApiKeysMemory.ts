import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Order from "effect/Order"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { hashSecret, makeSecret } from "./Secret.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import type { UserNotFound } from "./Users.ts"
import { presentUser, usersTable } from "./UsersMemory.ts"
import {
  type ApiKey,
  apiKeyCursorAfter,
  ApiKeyId,
  ApiKeyNotFound,
  ApiKeyRefused,
  ApiKeys,
  lastUsedEvery,
  prefixLength,
  refusalOf
} from "./ApiKeys.ts"
import { ApiKeysInput } from "./ApiKeysInput.ts"

interface Row extends ApiKey {
  readonly hash: string
}
const keysTable = memoryTable<Row>({
  name: "api_keys",
  key: ({ id }) => id,
  unique: { api_keys_hash_key: ({ hash }) => hash },
  references: { api_keys_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "cascade" } }
})

const keyOf = (row: Row): ApiKey => Struct.omit(row, ["hash"])

type Place = Pick<ApiKey, "id">
const byId: Order.Order<Place> = Order.mapInput(Order.String, ({ id }: Place) => id)

const make = Effect.gen(function* () {
  const { read, register, write } = yield* PostgresMemory
  yield* register(usersTable, keysTable)
  const nextId = makeIdsOf(ApiKeyId)

  const issue: ApiKeys["Service"]["issue"] = Effect.fnUntraced(function* (given) {
    const { name, scopes = [], timeToLive, userId } = yield* ApiKeysInput.issue(given)
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const row: Row = {
      id: yield* nextId,
      userId,
      name,
      prefix: Redacted.value(secret).slice(0, prefixLength),
      hash: hashSecret(secret),
      scopes: [...scopes],
      createdAt: now,
      expiresAt: timeToLive === undefined ? null : DateTime.addDuration(now, timeToLive),
      lastUsedAt: null,
      revokedAt: null
    }
    yield* write<void, UserNotFound | StoreError>("ApiKeys.issue", (db) =>
      Result.andThen(presentUser(db, userId), () => db.insert(keysTable, row))
    )
    return { key: keyOf(row), secret }
  })

  const authenticate: ApiKeys["Service"]["authenticate"] = Effect.fnUntraced(function* (given) {
    const { secret } = yield* ApiKeysInput.authenticate(given)
    const now = yield* DateTime.now
    const before = DateTime.subtractDuration(now, Duration.fromInputUnsafe(lastUsedEvery))
    const operation = "ApiKeys.authenticate"
    const good = (db: MemoryReader) =>
      Result.gen(function* () {
        const row = yield* Result.fromOption(
          db.find(keysTable, "api_keys_hash_key", hashSecret(secret)),
          () => new ApiKeyRefused({ because: "unknown" })
        )
        const because = refusalOf(row, now)
        return because === undefined ? row : yield* Result.fail(new ApiKeyRefused({ because }))
      })
    const noted = write<ApiKey, ApiKeyRefused | StoreError>(operation, (db) =>
      Result.gen(function* () {
        const row = yield* good(db)
        if (row.lastUsedAt !== null && DateTime.isGreaterThan(row.lastUsedAt, before)) return keyOf(row)
        const used: Row = { ...row, lastUsedAt: now }
        yield* db.replace(keysTable, used)
        return keyOf(used)
      })
    )
    return yield* Effect.catchIf(
      noted,
      (error) => error._tag === "StoreError" && error.reason._tag === "NotPrimary",
      () => Effect.map(Effect.flatMap(read(operation, good), Effect.fromResult), keyOf)
    )
  })

  const revoke: ApiKeys["Service"]["revoke"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* ApiKeysInput.revoke(given)
    const now = yield* DateTime.now
    return yield* write<ApiKey, ApiKeyNotFound | StoreError>("ApiKeys.revoke", (db) =>
      Result.gen(function* () {
        const row = yield* Result.fromOption(db.get(keysTable, id), () => new ApiKeyNotFound({ id }))
        const revoked: Row = { ...row, revokedAt: row.revokedAt ?? now }
        yield* db.replace(keysTable, revoked)
        return keyOf(revoked)
      })
    )
  })

  const list: ApiKeys["Service"]["list"] = Effect.fnUntraced(function* (givenUser, givenOptions) {
    const { options, user } = yield* ApiKeysInput.list(givenUser, givenOptions)
    const { after, limit = defaultPageSize } = options
    const rows = yield* read("ApiKeys.list", (db) => db.sorted(keysTable, byId))
    const own = rows.filter(({ userId }) => userId === user).map(keyOf)
    return pageOfSorted(own, byId, after, limit, apiKeyCursorAfter)
  })

  return ApiKeys.of({ issue, authenticate, revoke, list })
})

/** `ApiKeys` in memory, under the transactions of all memory repositories. */
export const layer: Layer.Layer<ApiKeys, never, PostgresMemory> = Layer.effect(ApiKeys, make)
