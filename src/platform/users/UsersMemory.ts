import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import {
  cursorAfter,
  EmailTaken,
  erasedFields,
  newUser,
  type User,
  UserErased,
  UserId,
  type UserInUse,
  UsernameTaken,
  UserNotFound,
  Users,
  VersionConflict
} from "./Users.ts"
import { makeSeesOthers } from "../SeesOthersMemory.ts"
import { inUse, streamBy, UsersInput } from "./UsersInput.ts"
import { endSent, endSignIns, oneTimeTokens, refreshTokens } from "./UserTokenTables.ts"

/** As PostgreSQL's collation "C" does it. */
const lowerAscii = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** The table of users in memory. */
export const usersTable = memoryTable<User>({
  name: "users",
  key: (user) => user.id,
  unique: {
    users_email_key: (user) => (user.erasedAt === null ? lowerAscii(user.email) : undefined),
    users_username_key: (user) => (user.erasedAt === null ? lowerAscii(user.username) : undefined)
  }
})

/** A user who is there, and is not erased. */
export const presentUser = (db: MemoryReader, id: UserId): Result.Result<User, UserNotFound> =>
  Result.fromOption(
    Option.filter(db.get(usersTable, id), ({ erasedAt }) => erasedAt === null),
    () => new UserNotFound({ id })
  )

type Place = Pick<User, "createdAt" | "id">

const byAge: Order.Order<Place> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
  Order.mapInput(Order.String, ({ id }: Place) => id)
)
const newestFirst: Order.Order<Place> = Order.flip(byAge)

const taken = ({ email, username }: { readonly email: string; readonly username: string }) =>
  onConstraint({
    users_email_key: () => new EmailTaken({ email }),
    users_username_key: () => new UsernameTaken({ username })
  })

const make = Effect.gen(function* () {
  const memory = yield* PostgresMemory
  const { read, register, write } = memory
  const seesOthers = makeSeesOthers(memory)
  yield* register(usersTable, refreshTokens, oneTimeTokens)
  const nextId = makeIdsOf(UserId)

  const create: Users["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const fields = yield* UsersInput.create(given)
    const now = yield* DateTime.now
    const user = newUser(yield* nextId, fields, now)
    return yield* write("Users.create", (db) =>
      Result.mapBoth(db.insert(usersTable, user), { onSuccess: () => user, onFailure: taken(user) })
    )
  })

  const createMany: Users["Service"]["createMany"] = Effect.fnUntraced(function* (given) {
    const { users } = yield* UsersInput.createMany(given)
    const now = yield* DateTime.now
    const made = yield* Effect.forEach(users, (fields) => Effect.map(nextId, (id) => newUser(id, fields, now)))
    return yield* write<ReadonlyArray<User>, EmailTaken | UsernameTaken | StoreError>("Users.createMany", (db) =>
      Result.gen(function* () {
        // One by one, so that the first that is refused is the one that is told.
        for (const user of made) yield* Result.mapError(db.insert(usersTable, user), taken(user))
        return made
      })
    )
  })

  const findById: Users["Service"]["findById"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.findById(given)
    return yield* read("Users.findById", (db) => db.get(usersTable, id))
  })

  const findMany: Users["Service"]["findMany"] = Effect.fnUntraced(function* (given) {
    const { ids } = yield* UsersInput.findMany(given)
    return yield* read("Users.findMany", (db) => ids.map((id) => db.get(usersTable, id)))
  })

  const findByEmail: Users["Service"]["findByEmail"] = Effect.fnUntraced(function* (given) {
    const { email } = yield* UsersInput.findByEmail(given)
    return yield* read("Users.findByEmail", (db) => db.find(usersTable, "users_email_key", lowerAscii(email)))
  })

  const findByUsername: Users["Service"]["findByUsername"] = Effect.fnUntraced(function* (given) {
    const { username } = yield* UsersInput.findByUsername(given)
    return yield* read("Users.findByUsername", (db) => db.find(usersTable, "users_username_key", lowerAscii(username)))
  })

  const update: Users["Service"]["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { changes, expectedVersion, id } = yield* UsersInput.update(givenId, givenVersion, givenChanges)
    if (changes.email !== undefined || changes.passwordHash !== undefined) yield* seesOthers("Users.update")
    const now = yield* DateTime.now
    return yield* write<User, UserNotFound | UserErased | VersionConflict | EmailTaken | UsernameTaken | StoreError>(
      "Users.update",
      (db) => {
        const found = db.get(usersTable, id)
        if (Option.isNone(found)) return Result.fail(new UserNotFound({ id }))
        const user = found.value
        if (user.erasedAt !== null) return Result.fail(new UserErased({ id }))
        if (user.version !== expectedVersion) {
          return Result.fail(new VersionConflict({ id, expected: expectedVersion, actual: user.version }))
        }
        const updated: User = {
          ...user,
          ...changes,
          emailVerifiedAt: changes.email === undefined || changes.email === user.email ? user.emailVerifiedAt : null,
          version: user.version + 1,
          updatedAt: DateTime.max(user.updatedAt, now)
        }
        return Result.gen(function* () {
          yield* Result.mapError(db.replace(usersTable, updated), taken(updated))
          yield* endSent(db, updated, changes.passwordHash !== undefined, now)
          if (changes.passwordHash !== undefined) yield* endSignIns(db, ({ userId }) => userId === id, now)
          return updated
        })
      }
    )
  })

  const remove: Users["Service"]["delete"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.delete(given)
    yield* write<void, UserNotFound | UserInUse | StoreError>("Users.delete", (db) =>
      Option.isNone(db.get(usersTable, id))
        ? Result.fail(new UserNotFound({ id }))
        : Result.mapError(db.remove(usersTable, id), inUse(id))
    )
  })

  const erase: Users["Service"]["erase"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.erase(given)
    yield* seesOthers("Users.erase")
    const now = yield* DateTime.now
    return yield* write<User, UserNotFound | StoreError>("Users.erase", (db) =>
      Result.gen(function* () {
        const user = yield* Result.fromOption(db.get(usersTable, id), () => new UserNotFound({ id }))
        if (user.erasedAt !== null) return user
        const erasedAt = DateTime.max(user.updatedAt, now)
        const erased: User = {
          ...user,
          ...erasedFields(id),
          erasedAt,
          version: user.version + 1,
          updatedAt: erasedAt
        }
        yield* db.letGo(usersTable, id)
        yield* db.replace(usersTable, erased)
        return erased
      })
    )
  })

  const list: Users["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const asked = yield* UsersInput.list(given)
    const { after, emailPrefix = "", erased = false, limit = defaultPageSize, order = "oldest-first", range } = asked
    const sorting = order === "oldest-first" ? byAge : newestFirst
    const sorted = yield* read("Users.list", (db) => db.sorted(usersTable, sorting))
    const prefix = lowerAscii(emailPrefix)
    const listed = sorted.filter(
      ({ createdAt, email, erasedAt }) =>
        (erasedAt !== null) === erased &&
        lowerAscii(email).startsWith(prefix) &&
        (range === undefined ||
          (createdAt.epochMilliseconds >= range.fromMillis && createdAt.epochMilliseconds < range.toMillis))
    )
    return pageOfSorted(listed, sorting, after, limit, (last) => cursorAfter(order, last))
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

/** `Users` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Users, never, PostgresMemory> = Layer.effect(Users, make)
