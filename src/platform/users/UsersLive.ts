import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { Conflict, StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion } from "../../core/Version.ts"
import { makeBulkInsert } from "../../postgres/repository/BulkInsert.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import * as TransactionLive from "../../postgres/TransactionLive.ts"
import { makeSeesOthers } from "../SeesOthersLive.ts"
import { userColumns, userRows } from "./UserRow.ts"
import { makeTokenEnds } from "./UserTokenRows.ts"
import {
  cursorAfter,
  EmailTaken,
  erasedFields,
  newUser,
  type User,
  UserErased,
  UserId,
  UsernameTaken,
  UserNotFound,
  Users
} from "./Users.ts"
import { inUse, streamBy, UsersInput } from "./UsersInput.ts"
import { lookupById } from "../tables/lookupById.ts"

/** Times the row that stood in a write's way may be gone when we look at it, before we give up. */
const attempts = 3

const contended = (operation: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new Conflict({ detail: "others kept taking and freeing this e-mail or name" })
  })

/** Which rule of the table refused a write that passed our own look at it, because another one came between. */
const takenBy = (wanted: { readonly email?: string | undefined; readonly username?: string | undefined }) =>
  onConstraint({
    users_email_key: () => new EmailTaken({ email: wanted.email ?? "" }),
    users_username_key: () => new UsernameTaken({ username: wanted.username ?? "" })
  })

const cameBetween = { _tag: "CameBetween" } as const

const ids = (users: ReadonlyArray<User>): ReadonlyArray<string> => users.map(({ id }) => id)

interface Found {
  readonly version: number | null
  readonly erased: boolean | null
  readonly emailTaken: boolean
  readonly usernameTaken: boolean
}

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const { keyed, query, sql } = client
  const { run } = yield* Transaction
  const contained = makeContained(client, { run })
  const seesOthers = makeSeesOthers(client, { run })
  const ends = makeTokenEnds(client)
  const nextId = makeIdsOf(UserId)

  const columns = userColumns(sql)

  /** Says why a write found no row to change, by one look at all that may stand in its way. */
  const look = (operation: string, id: string, email: string | undefined, username: string | undefined) =>
    Effect.map(
      query(
        { operation, kind: "read" },
        keyed<Found>`select
          (select version from ai_core.users where id = ${id}::uuid) as "version",
          (select erased_at is not null from ai_core.users where id = ${id}::uuid) as "erased",
          exists (select from ai_core.users where id <> ${id}::uuid and erased_at is null
            and lower(email collate "C") = lower(${email ?? null}::text collate "C")) as "emailTaken",
          exists (select from ai_core.users where id <> ${id}::uuid and erased_at is null
            and lower(username collate "C") = lower(${username ?? null}::text collate "C")) as "usernameTaken"`
      ),
      ([found]) => found ?? { version: null, erased: null, emailTaken: false, usernameTaken: false }
    )

  const create: Users["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const operation = "Users.create"
    const { email, passwordHash, username } = yield* UsersInput.create(given)
    const id = yield* nextId
    const now = DateTime.toDateUtc(yield* DateTime.now)
    for (let attempt = 0; attempt < attempts; attempt++) {
      // Without a violation the transaction around this stays usable, whoever has the e-mail.
      const rows = yield* query(
        { operation, kind: "write" },
        keyed<object>`insert into ai_core.users (id, email, username, password_hash, version, created_at, updated_at)
          values (${id}, ${email}, ${username}, ${Redacted.value(passwordHash)}, 1, ${now}, ${now})
          on conflict do nothing returning ${columns}`
      )
      const created = yield* userRows.option(operation, rows)
      if (Option.isSome(created)) return created.value
      const found = yield* look(operation, id, email, username)
      if (found.emailTaken) return yield* new EmailTaken({ email })
      if (found.usernameTaken) return yield* new UsernameTaken({ username })
    }
    return yield* contended(operation)
  })

  const bulk = makeBulkInsert<User>(client, {
    operation: "Users.createMany",
    table: "ai_core.users",
    columns: {
      id: ["uuid", ({ id }) => id],
      email: ["text", ({ email }) => email],
      username: ["text", ({ username }) => username],
      password_hash: ["text", ({ passwordHash }) => Redacted.value(passwordHash)],
      version: ["int4", ({ version }) => version],
      created_at: ["timestamptz", ({ createdAt }) => createdAt],
      updated_at: ["timestamptz", ({ updatedAt }) => updatedAt]
    },
    // A violation would end the transaction around, and not say whose e-mail it is.
    onConflict: "skip"
  })

  /** The first of the users who were skipped, and what is in its way. */
  const firstSkipped = (operation: string, users: ReadonlyArray<User>) =>
    Effect.map(
      query(
        { operation, kind: "read" },
        keyed<Pick<Found, "emailTaken" | "usernameTaken"> & { readonly id: string }>`select g.id,
          exists (select from ai_core.users as o where o.erased_at is null
            and lower(o.email collate "C") = lower(g.email collate "C")) as "emailTaken",
          exists (select from ai_core.users as o where o.erased_at is null
            and lower(o.username collate "C") = lower(g.username collate "C")) as "usernameTaken"
        from unnest(${ids(users)}::uuid[], ${users.map(({ email }) => email)}::text[],
          ${users.map(({ username }) => username)}::text[]) with ordinality as g (id, email, username, place)
        where not exists (select from ai_core.users as u where u.id = g.id) order by g.place limit 1`
      ),
      ([found]) => found
    )

  const createMany: Users["Service"]["createMany"] = Effect.fnUntraced(function* (given) {
    const operation = "Users.createMany"
    const { users } = yield* UsersInput.createMany(given)
    const now = yield* DateTime.now
    const made = yield* Effect.forEach(users, (fields) => Effect.map(nextId, (id) => newUser(id, fields, now)))
    if (made.length === 0) return made
    const attempt = Effect.gen(function* () {
      if ((yield* bulk.all(made)) === made.length) return Option.some(made)
      const skipped = yield* firstSkipped(operation, made)
      const user = made.find(({ id }) => id === skipped?.id)
      if (user !== undefined && skipped?.emailTaken === true) return yield* new EmailTaken({ email: user.email })
      if (user !== undefined && skipped?.usernameTaken === true) {
        return yield* new UsernameTaken({ username: user.username })
      }
      // Whoever was in the way has gone: all are undone, and tried again.
      return yield* Effect.fail(cameBetween)
    })
    for (let i = 0; i < attempts; i++) {
      const stored = yield* Effect.catchTag(run(attempt), "CameBetween", () => Effect.succeedNone)
      if (Option.isSome(stored)) return stored.value
    }
    return yield* contended(operation)
  })

  const byId = lookupById(client, {
    operation: "Users.findById",
    id: sql`id`,
    select: (condition) => keyed<{ readonly id: UserId }>`select ${columns} from ai_core.users where ${condition}`,
    rows: userRows
  })

  const findById: Users["Service"]["findById"] = (given) =>
    Effect.flatMap(UsersInput.findById(given), ({ id }) => byId.find(id))

  const findMany: Users["Service"]["findMany"] = (given) =>
    Effect.flatMap(UsersInput.findMany(given), ({ ids }) =>
      Effect.mapError(byId.findMany(ids), (error) => error.during("Users.findMany"))
    )

  const findByEmail: Users["Service"]["findByEmail"] = (given) =>
    Effect.flatMap(UsersInput.findByEmail(given), ({ email }) => {
      const call = { operation: "Users.findByEmail", kind: "read" } as const
      const statement = keyed<object>`select ${columns} from ai_core.users
        where lower(email collate "C") = lower(${email}::text collate "C") and erased_at is null`
      return Effect.flatMap(query(call, statement), (rows) => userRows.option(call, rows))
    })

  const findByUsername: Users["Service"]["findByUsername"] = (given) =>
    Effect.flatMap(UsersInput.findByUsername(given), ({ username }) => {
      const call = { operation: "Users.findByUsername", kind: "read" } as const
      const statement = keyed<object>`select ${columns} from ai_core.users
        where lower(username collate "C") = lower(${username}::text collate "C") and erased_at is null`
      return Effect.flatMap(query(call, statement), (rows) => userRows.option(call, rows))
    })

  const update: Users["Service"]["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const operation = "Users.update"
    const { changes, expectedVersion, id } = yield* UsersInput.update(givenId, givenVersion, givenChanges)
    const { email, passwordHash, username } = changes
    const now = yield* DateTime.now
    const write = Effect.flatMap(
      query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.users as u set
          email = coalesce(${email ?? null}::text, u.email),
          email_verified_at = case when u.email = coalesce(${email ?? null}::text, u.email) then u.email_verified_at end,
          username = coalesce(${username ?? null}::text, u.username),
          password_hash = coalesce(${passwordHash === undefined ? null : Redacted.value(passwordHash)}::text, u.password_hash),
          version = u.version + 1,
          updated_at = greatest(u.updated_at, ${DateTime.toDateUtc(now)})
        where u.id = ${id}::uuid and u.version = ${expectedVersion}::int and u.erased_at is null
          and not exists (select from ai_core.users as o where o.id <> ${id}::uuid and o.erased_at is null and (
            lower(o.email collate "C") = lower(${email ?? null}::text collate "C")
            or lower(o.username collate "C") = lower(${username ?? null}::text collate "C")))
        returning ${columns}`
      ),
      (rows) => userRows.option(operation, rows)
    )
    /** The row that was written is held until the tokens that end with it have ended. */
    const endTokens = (user: User) =>
      Effect.andThen(
        ends.sent(operation, user, passwordHash !== undefined, now),
        passwordHash === undefined ? Effect.void : ends.signIns(operation, "user_id", id, now)
      )
    const whole =
      email === undefined && passwordHash === undefined
        ? write
        : seesOthers(operation, Effect.tap(write, Option.match({ onNone: () => Effect.void, onSome: endTokens })))
    for (let attempt = 0; attempt < attempts; attempt++) {
      const updated = yield* Effect.mapError(whole, takenBy(changes))
      if (Option.isSome(updated)) return updated.value
      const found = yield* look(operation, id, email, username)
      if (found.erased === true) return yield* new UserErased({ id })
      const stored = Option.map(Option.fromNullOr(found.version), (version) => ({ version }))
      yield* Effect.fromResult(expectVersion(id, expectedVersion, stored, () => new UserNotFound({ id })))
      if (found.emailTaken && email !== undefined) return yield* new EmailTaken({ email })
      if (found.usernameTaken && username !== undefined) return yield* new UsernameTaken({ username })
    }
    return yield* contended(operation)
  })

  const remove: Users["Service"]["delete"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.delete(given)
    const rows = yield* contained(
      query(
        { operation: "Users.delete", kind: "write" },
        keyed<object>`delete from ai_core.users where id = ${id} returning id`
      )
    ).pipe(Effect.mapError(inUse(id)))
    if (rows.length === 0) return yield* new UserNotFound({ id })
  })

  const erase: Users["Service"]["erase"] = Effect.fnUntraced(function* (given) {
    const operation = "Users.erase"
    const { id } = yield* UsersInput.erase(given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const { email, passwordHash, username } = erasedFields(id)
    return yield* seesOthers(
      operation,
      Effect.gen(function* () {
        // Against those, too, who are storing a row that refers to it: what they store goes as well.
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`select ${columns} from ai_core.users where id = ${id}::uuid for update`
        )
        const found = Option.getOrUndefined(yield* userRows.option(operation, rows))
        if (found === undefined) return yield* new UserNotFound({ id })
        if (found.erasedAt !== null) return found
        yield* query({ operation, kind: "write" }, keyed<object>`select ai_core.let_go_of_user(${id}::uuid)`)
        const erased = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.users set email = ${email}, username = ${username},
              password_hash = ${Redacted.value(passwordHash)}, email_verified_at = null,
              erased_at = greatest(updated_at, ${now}), updated_at = greatest(updated_at, ${now}), version = version + 1
            where id = ${id}::uuid returning ${columns}`
        )
        return yield* userRows.one(operation, erased)
      })
    )
  })

  const list: Users["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Users.list", kind: "read" } as const
    const asked = yield* UsersInput.list(given)
    const { after, emailPrefix, erased = false, limit = defaultPageSize, order = "oldest-first", range } = asked
    const page = keyset(
      sql,
      ["created_at", "id"],
      order === "oldest-first" ? "ascending" : "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}`, sql`${after.id}::uuid`]
    )
    const where = sql.and([
      erased ? sql`erased_at is not null` : sql`erased_at is null`,
      page.behind,
      // An index of collation "C" is asked for a prefix by this operator.
      ...(emailPrefix === undefined ? [] : [sql`lower(email collate "C") ^@ lower(${emailPrefix}::text collate "C")`]),
      ...(range === undefined
        ? []
        : [sql`created_at >= ${new Date(range.fromMillis)} and created_at < ${new Date(range.toMillis)}`])
    ])
    const rows = yield* query(
      call,
      sql<object>`select ${columns} from ai_core.users where ${where}
        order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* userRows.all(call, rows), limit, (last) => cursorAfter(order, last))
  })

  return Users.of({
    create,
    createMany,
    findById,
    findMany,
    findByEmail,
    findByUsername,
    update,
    delete: remove,
    erase,
    list,
    stream: streamBy(list)
  })
})

/** `Users` on PostgreSQL: a server, or the embedded engine. Its table comes from the platform's migrations. */
export const layer: Layer.Layer<Users, never, PostgresClient> = Layer.effect(Users, make).pipe(
  Layer.provide(TransactionLive.layer)
)
