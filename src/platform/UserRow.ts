import { DateTime, Effect, Option, Redacted, Schema } from "effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import { decodeStored } from "../core/Decode.ts"
import type { StoreError } from "../core/StoreError.ts"
import { User } from "./Users.ts"

/** Not `infinity`, which the driver makes an invalid Date. */
const validDate = Schema.Date.check(
  Schema.makeFilter((date: Date) => !Number.isNaN(date.getTime()), { expected: "a finite time" })
)

/** A row as the statements below select it: plain values, because decoding them costs a quarter of decoding to a `User`. */
const UserRow = User.mapFields((fields) => ({
  ...fields,
  passwordHash: Schema.String,
  emailVerifiedAt: Schema.NullOr(validDate),
  createdAt: validDate,
  updatedAt: validDate
}))

const userOf = (row: typeof UserRow.Type): User => ({
  ...row,
  passwordHash: Redacted.make(row.passwordHash),
  emailVerifiedAt: row.emailVerifiedAt === null ? null : DateTime.fromDateUnsafe(row.emailVerifiedAt),
  createdAt: DateTime.fromDateUnsafe(row.createdAt),
  updatedAt: DateTime.fromDateUnsafe(row.updatedAt)
})

const decodeRows = decodeStored(Schema.Array(UserRow))

/** The columns of `ai_core.users`, as {@link decodeUsers} reads them. */
export const userColumns = (sql: SqlClient.SqlClient): Statement.Fragment => sql`id, email, username,
  password_hash as "passwordHash", email_verified_at as "emailVerifiedAt", version, created_at as "createdAt",
  updated_at as "updatedAt"`

export const decodeUsers = (
  operation: string,
  rows: ReadonlyArray<object>
): Effect.Effect<ReadonlyArray<User>, StoreError> =>
  rows.length === 0
    ? Effect.succeed([])
    : Effect.map(decodeRows({ store: "postgresql", operation, subject: "row" }, rows), (plain) => plain.map(userOf))

export const firstUser = (
  operation: string,
  rows: ReadonlyArray<object>
): Effect.Effect<Option.Option<User>, StoreError> =>
  Effect.map(decodeUsers(operation, rows), (users) => Option.fromUndefinedOr(users[0]))
