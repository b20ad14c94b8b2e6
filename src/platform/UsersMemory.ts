import { DateTime, Effect, Layer, Option, Order, Result } from "effect"
import { decodeStored } from "../core/Decode.ts"
import { defaultPageSize, pageOf } from "../core/KeysetPage.ts"
import { makeIds } from "../core/TimeOrderedId.ts"
import {
  emptyTable,
  findRow,
  getRow,
  makeSorted,
  type MemoryTable,
  putRow,
  removeRow,
  type UniqueViolation
} from "../postgres/MemoryTable.ts"
import { PostgresMemory } from "../postgres/PostgresMemory.ts"
import {
  cursorAfter,
  EmailTaken,
  type User,
  UserId,
  UsernameTaken,
  UserNotFound,
  Users,
  VersionConflict
} from "./Users.ts"
import { streamBy, UsersInput } from "./UsersInput.ts"

const decodeId = decodeStored(UserId)

/** As PostgreSQL's collation "C" does it. */
const lowerAscii = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

const noUsers = emptyTable<User>({
  key: (user) => user.id,
  unique: {
    users_email_key: (user) => lowerAscii(user.email),
    users_username_key: (user) => lowerAscii(user.username)
  }
})

type Place = Pick<User, "createdAt" | "id">

const byAge: Order.Order<Place> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
  Order.mapInput(Order.String, ({ id }: Place) => id)
)
const oldestFirst = makeSorted<User>(byAge)
const newestFirst = makeSorted<User>(Order.flip(byAge))

const taken =
  ({ email, username }: { readonly email: string; readonly username: string }) =>
  ({ index }: UniqueViolation): EmailTaken | UsernameTaken =>
    index === "users_email_key" ? new EmailTaken({ email }) : new UsernameTaken({ username })

const make = Effect.gen(function* () {
  const memory = yield* PostgresMemory
  const table = memory.cell<MemoryTable<User>>(noUsers)
  const nextId = makeIds()

  const create: Users["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const operation = "Users.create"
    const fields = yield* UsersInput.create(given)
    const id = yield* decodeId({ store: "postgresql", operation, subject: "id" }, yield* nextId)
    const now = yield* DateTime.now
    const user: User = { id, ...fields, version: 1, createdAt: now, updatedAt: now }
    return yield* table.modify(operation, (users) =>
      Result.mapBoth(putRow(users, user), { onSuccess: (next) => [user, next] as const, onFailure: taken(user) })
    )
  })

  const findById: Users["Service"]["findById"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.findById(given)
    return getRow(yield* table.read("Users.findById"), id)
  })

  const findByEmail: Users["Service"]["findByEmail"] = Effect.fnUntraced(function* (given) {
    const { email } = yield* UsersInput.findByEmail(given)
    return findRow(yield* table.read("Users.findByEmail"), "users_email_key", lowerAscii(email))
  })

  const update: Users["Service"]["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const operation = "Users.update"
    const { changes, expectedVersion, id } = yield* UsersInput.update(givenId, givenVersion, givenChanges)
    const now = yield* DateTime.now
    return yield* table.modify<User, UserNotFound | VersionConflict | EmailTaken | UsernameTaken>(
      operation,
      (users) => {
        const found = getRow(users, id)
        if (Option.isNone(found)) return Result.fail(new UserNotFound({ id }))
        const user = found.value
        if (user.version !== expectedVersion) {
          return Result.fail(new VersionConflict({ id, expected: expectedVersion, actual: user.version }))
        }
        const updated: User = {
          ...user,
          ...changes,
          version: user.version + 1,
          updatedAt: DateTime.max(user.updatedAt, now)
        }
        return Result.mapBoth(putRow(users, updated), {
          onSuccess: (next) => [updated, next] as const,
          onFailure: taken(updated)
        })
      }
    )
  })

  const remove: Users["Service"]["delete"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* UsersInput.delete(given)
    yield* table.modify("Users.delete", (users) =>
      Option.isNone(getRow(users, id))
        ? Result.fail(new UserNotFound({ id }))
        : Result.succeed([undefined, removeRow(users, id)] as const)
    )
  })

  const list: Users["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, order = "oldest-first" } = yield* UsersInput.list(given)
    const users = yield* table.read("Users.list")
    const sorted = order === "oldest-first" ? oldestFirst(users) : newestFirst(users)
    const side = order === "oldest-first" ? 1 : -1
    const from = after === undefined ? 0 : sorted.findIndex((user) => byAge(user, after) === side)
    const rows = from === -1 ? [] : sorted.slice(from, from + limit + 1)
    return pageOf(rows, limit, (last) => cursorAfter(order, last))
  })

  return Users.of({ create, findById, findByEmail, update, delete: remove, list, stream: streamBy(list) })
})

/** `Users` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Users, never, PostgresMemory> = Layer.effect(Users, make)
