import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import type { User } from "./Users.ts"

/**
 * Makes what ends the tokens of a user on PostgreSQL.
 *
 * Whoever calls it holds the user's row, and holds it since an earlier statement: a statement does not see what was committed
 * while it waited, so that a token that was being given at that moment would stay good.
 */
export const makeTokenEnds = ({ keyed, query, sql }: PostgresClient["Service"]) => ({
  /** Ends sign-ins; says how many tokens were still good. */
  signIns: (operation: string, where: "family_id" | "user_id", id: string, at: DateTime.Utc) =>
    Effect.map(
      query(
        { operation, kind: "write", idempotent: true },
        keyed<{ readonly good: boolean }>`update ai_core.refresh_tokens set revoked_at = ${DateTime.toDateUtc(at)}
          where ${sql(where)} = ${id}::uuid and revoked_at is null
          returning used_at is null and expires_at > ${DateTime.toDateUtc(at)} as good`
      ),
      (rows) => rows.filter(({ good }) => good).length
    ),
  /** Ends what was sent to another e-mail than the user's, and where the password is a new one what would reset it. */
  sent: (operation: string, { email, id }: User, newPassword: boolean, at: DateTime.Utc) =>
    query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.one_time_tokens set revoked_at = ${DateTime.toDateUtc(at)}
        where user_id = ${id}::uuid and used_at is null and revoked_at is null
          and (email <> ${email} or (${newPassword}::boolean and purpose = 'password-reset'))`
    )
})
