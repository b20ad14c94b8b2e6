import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { hashSecret, makeSecret } from "./Secret.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import { present } from "./UserRow.ts"
import { UserNotFound } from "./Users.ts"
import {
  ApiKey,
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

const row = ApiKey.mapFields((fields) => ({
  ...fields,
  createdAt: Timestamp,
  expiresAt: NullableTimestamp,
  lastUsedAt: NullableTimestamp,
  revokedAt: NullableTimestamp
}))
const keys = rowReader(row)
const lookedUp = rowReader(row.mapFields((fields) => ({ ...fields, readOnly: Schema.Boolean })))

const make = Effect.gen(function* () {
  const { keyed, query, sql } = yield* PostgresClient
  const nextId = makeIdsOf(ApiKeyId)
  const columns = sql`id, user_id as "userId", name, prefix, scopes, created_at as "createdAt",
    expires_at as "expiresAt", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`

  const issue: ApiKeys["Service"]["issue"] = Effect.fnUntraced(function* (given) {
    const operation = "ApiKeys.issue"
    const { name, scopes = [], timeToLive, userId } = yield* ApiKeysInput.issue(given)
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const expiresAt = timeToLive === undefined ? null : DateTime.toDateUtc(DateTime.addDuration(now, timeToLive))
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.api_keys (id, user_id, name, prefix, hash, scopes, created_at, expires_at)
        select ${yield* nextId}::uuid, id, ${name}, ${Redacted.value(secret).slice(0, prefixLength)}, ${hashSecret(secret)},
          ${[...scopes]}::text[], ${DateTime.toDateUtc(now)}::timestamptz, ${expiresAt}::timestamptz
        from ai_core.users where ${present(sql, userId)} returning ${columns}`
    )
    const key = Option.getOrUndefined(yield* keys.option(operation, rows))
    return key === undefined ? yield* new UserNotFound({ id: userId }) : { key, secret }
  })

  /** The key of a hash, unless it is good no longer. */
  const good = Effect.fnUntraced(function* (operation: string, hash: string, now: DateTime.Utc) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${columns}, current_setting('transaction_read_only') = 'on' as "readOnly"
        from ai_core.api_keys where hash = ${hash}`
    )
    const found = Option.getOrUndefined(yield* lookedUp.option(operation, rows))
    if (found === undefined) return yield* new ApiKeyRefused({ because: "unknown" })
    const because = refusalOf(found, now)
    return because === undefined ? found : yield* new ApiKeyRefused({ because })
  })

  const authenticate: ApiKeys["Service"]["authenticate"] = Effect.fnUntraced(function* (given) {
    const operation = "ApiKeys.authenticate"
    const { secret } = yield* ApiKeysInput.authenticate(given)
    const hash = hashSecret(secret)
    const now = yield* DateTime.now
    const { readOnly, ...key } = yield* good(operation, hash, now)
    const before = DateTime.subtractDuration(now, Duration.fromInputUnsafe(lastUsedEvery))
    // A write would be refused, and would end the transaction around.
    if (readOnly || (key.lastUsedAt !== null && DateTime.isGreaterThan(key.lastUsedAt, before))) return key
    const noted = yield* Effect.catchIf(
      query(
        { operation, kind: "write", idempotent: true },
        keyed<object>`update ai_core.api_keys set last_used_at = ${DateTime.toDateUtc(now)}
          where id = ${key.id}::uuid and revoked_at is null
            and (last_used_at is null or last_used_at <= ${DateTime.toDateUtc(before)}::timestamptz)
          returning ${columns}`
      ),
      // Since the look the server has stopped taking writes.
      ({ reason }) => reason._tag === "NotPrimary",
      () => Effect.succeed(undefined)
    )
    if (noted === undefined) return key
    const used = yield* keys.option(operation, noted)
    if (Option.isSome(used)) return used.value
    // Revoked meanwhile it is refused here; another caller may have noted its use.
    const { readOnly: _, ...again } = yield* good(operation, hash, now)
    return again
  })

  const revoke: ApiKeys["Service"]["revoke"] = Effect.fnUntraced(function* (given) {
    const operation = "ApiKeys.revoke"
    const { id } = yield* ApiKeysInput.revoke(given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.api_keys set revoked_at = coalesce(revoked_at, ${now})
        where id = ${id}::uuid returning ${columns}`
    )
    return yield* Effect.flatMap(
      keys.option(operation, rows),
      Option.match({ onNone: () => Effect.fail(new ApiKeyNotFound({ id })), onSome: Effect.succeed })
    )
  })

  const list: ApiKeys["Service"]["list"] = Effect.fnUntraced(function* (givenUser, givenOptions) {
    const call = { operation: "ApiKeys.list", kind: "read" } as const
    const { options, user } = yield* ApiKeysInput.list(givenUser, givenOptions)
    const { after, limit = defaultPageSize } = options
    const page = keyset(sql, ["id"], "ascending", after && [sql`${after.id}::uuid`])
    const rows = yield* query(
      call,
      keyed<object>`select ${columns} from ai_core.api_keys
        where user_id = ${user}::uuid and ${page.behind} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* keys.all(call, rows), limit, apiKeyCursorAfter)
  })

  return ApiKeys.of({ issue, authenticate, revoke, list })
})

/** `ApiKeys` on PostgreSQL: a server, or the embedded engine. Their table comes from the platform's migrations. */
export const layer: Layer.Layer<ApiKeys, never, PostgresClient> = Layer.effect(ApiKeys, make)
