import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { AuditLog } from "../../src/platform/audit/AuditLog.ts"
import { ApiKeys } from "../../src/platform/users/ApiKeys.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { aSubscription } from "../../src/testing/contracts/billing/support.ts"
import { later, someUser } from "../../src/testing/contracts/users.ts"
import { describeLive } from "../servers/index.ts"
import { repositories } from "./manyCallers.ts"

const guide = readFileSync(new URL("../../docs/guides/retention.md", import.meta.url), "utf8")

/** The guide's statements about a table, in one transaction. */
const removed = (table: string) =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient
    const blocks = [...guide.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, text]) => text!)
    const about = blocks.filter((text) => text.includes(`delete from ai_core.${table} `))
    assert.equal(about.length, 1)
    const statements = about[0]!.split(/;\n/).filter((text) => !/^(begin|commit|)$/.test(text.trim()))
    yield* sql.withTransaction(Effect.forEach(statements, (text) => sql.unsafe(text)))
  })

describeLive("postgresql", "The guide to what is kept", () => {
  it.layer(repositories(2), { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect("old entries of the audit log go, the others stay, and it is append-only again", () =>
      Effect.gen(function* () {
        const log = yield* AuditLog
        const { sql } = yield* PostgresClient
        const entry = { action: "a", subjectKind: "thing", subjectId: "1" }
        yield* log.append(entry).pipe(later("-3650 days"))
        const kept = yield* log.append(entry)
        yield* removed("audit_log")
        assert.deepEqual((yield* log.list()).items, [kept])
        yield* Effect.flip(sql`delete from ai_core.audit_log`)
      })
    )

    it.effect("usage that is not invoiced stays, however old; the rest goes", () =>
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient
        const { id, userId } = yield* aSubscription()
        const record = (key: string, at: string) =>
          sql`insert into ai_core.usage_records (id, subscription_id, metric, quantity, used_at, idempotency_key)
            values (gen_random_uuid(), ${id}, 'tokens', 1, ${at}::timestamptz, ${key})`
        yield* sql`insert into ai_core.invoices (id, user_id, subscription_id, period_start, period_end, currency, state,
            number, subtotal, discount, tax, total, finalized_at, paid_at)
          values (gen_random_uuid(), ${userId}, ${id}, '2020-01-01', '2020-02-01', 'EUR', 'paid', 'OLD-1', 0, 0, 0, 0, now(), now())`
        yield* record("invoiced", "2020-01-15T00:00:00Z")
        yield* record("not invoiced", "2020-02-15T00:00:00Z")
        yield* removed("usage_records")
        assert.deepEqual(yield* sql`select idempotency_key as key from ai_core.usage_records`, [
          { key: "not invoiced" }
        ])
      })
    )

    it.effect("keys that ended long ago go, and no other", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const { id: userId } = yield* someUser()
        yield* keys.issue({ userId, name: "expired", timeToLive: "1 day" }).pipe(later("-1000 days"))
        const old = yield* keys.issue({ userId, name: "revoked" }).pipe(later("-1000 days"))
        yield* keys.revoke(old.key.id).pipe(later("-900 days"))
        const lately = yield* keys.issue({ userId, name: "revoked lately" })
        yield* keys.revoke(lately.key.id)
        yield* keys.issue({ userId, name: "good" }).pipe(later("-1000 days"))
        yield* removed("api_keys")
        const { items } = yield* keys.list(userId)
        assert.deepEqual(items.map(({ name }) => name).toSorted(), ["good", "revoked lately"])
      })
    )
  })
})
