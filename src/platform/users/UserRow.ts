import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import { decodedBy } from "../../core/DirectDecoder.ts"
import { NullableTimestamp, rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import { User, type UserId } from "./Users.ts"

const StoredHash = decodedBy(Schema.RedactedFromValue(Schema.String), (hash) =>
  typeof hash === "string" ? Redacted.make(hash) : undefined
)

/** Reads rows of `ai_core.users`. */
export const userRows = rowReader(
  User.mapFields((fields) => ({
    ...fields,
    passwordHash: StoredHash,
    emailVerifiedAt: NullableTimestamp,
    erasedAt: NullableTimestamp,
    createdAt: Timestamp,
    updatedAt: Timestamp
  }))
)

/** The columns of `ai_core.users`, as {@link userRows} reads them. */
export const userColumns = (sql: SqlClient.SqlClient): Statement.Fragment => sql`id, email, username,
  password_hash as "passwordHash", email_verified_at as "emailVerifiedAt", erased_at as "erasedAt", version, created_at as "createdAt",
  updated_at as "updatedAt"`

/**
 * Says of a row of `ai_core.users` that it is this user, who is not erased, and holds it against being erased or removed until the
 * transaction ends. Who waited looks again, so that nothing is stored for a user who was erased meanwhile.
 */
export const present = (sql: SqlClient.SqlClient, id: UserId): Statement.Fragment =>
  sql`id = ${id}::uuid and erased_at is null for key share`

/**
 * The same, and nobody changes the user meanwhile or holds the row so: what one transaction gives in this way, another one that
 * ends all that was given sees, because it waited for it.
 */
export const presentInTurn = (sql: SqlClient.SqlClient, id: UserId): Statement.Fragment =>
  sql`id = ${id}::uuid and erased_at is null for no key update`
