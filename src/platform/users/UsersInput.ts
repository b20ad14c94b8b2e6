import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { decodeInput } from "../../core/Decode.ts"
import { PageSize, streamPages } from "../../core/KeysetPage.ts"
import { ConstraintViolated, type StoreError } from "../../core/StoreError.ts"
import { Version } from "../../core/Version.ts"
import * as TimeRange from "../TimeRange.ts"
import {
  Email,
  NewUser,
  UserChanges,
  UserId,
  UserInUse,
  UserList,
  userFilter,
  Username,
  UserOrder,
  type Users
} from "./Users.ts"

const subject = (method: string) => ({ store: "postgresql", operation: `Users.${method}`, subject: "input" }) as const

const newUser = decodeInput(NewUser)
const newUsers = decodeInput(
  Schema.Struct({
    users: Schema.Array(NewUser).check(Schema.isMaxLength(10_000, { expected: "at most 10,000 users" }))
  })
)
const idOnly = decodeInput(Schema.Struct({ id: UserId }))
const idsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(UserId) }))
const emailOnly = decodeInput(Schema.Struct({ email: Email }))
const usernameOnly = decodeInput(Schema.Struct({ username: Username }))
const update = decodeInput(Schema.Struct({ id: UserId, expectedVersion: Version, changes: UserChanges }))
const list = decodeInput(UserList)
const stream = decodeInput(
  Schema.Struct({
    order: Schema.optional(UserOrder),
    pageSize: Schema.optional(PageSize),
    ...userFilter
  })
)

/** The checks of what callers give to `Users`: one for every implementation, so that all refuse the same. */
export const UsersInput = {
  create: (user: unknown) => newUser(subject("create"), user),
  createMany: (users: unknown) => newUsers(subject("createMany"), { users }),
  findById: (id: unknown) => idOnly(subject("findById"), { id }),
  findMany: (ids: unknown) => idsOnly(subject("findMany"), { ids }),
  findByEmail: (email: unknown) => emailOnly(subject("findByEmail"), { email }),
  findByUsername: (username: unknown) => usernameOnly(subject("findByUsername"), { username }),
  update: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    update(subject("update"), { id, expectedVersion, changes }),
  delete: (id: unknown) => idOnly(subject("delete"), { id }),
  erase: (id: unknown) => idOnly(subject("erase"), { id }),
  list: (options: unknown) =>
    Effect.gen(function* () {
      const { during, ...given } = yield* list(subject("list"), options ?? {})
      const range = during === undefined ? undefined : yield* TimeRange.resolve(subject("list"), during, "during")
      return { ...given, range }
    }),
  stream: (options: unknown) => stream(subject("stream"), options ?? {})
}

/** Tells the foreign key that refused to let a user go. */
export const inUse =
  (id: UserId) =>
  <E>(error: E | StoreError): E | StoreError | UserInUse => {
    const { reason } = error as Partial<StoreError>
    return reason instanceof ConstraintViolated && reason.kind === "foreign-key"
      ? new UserInUse({ id, by: reason.table ?? "" })
      : error
  }

/** Users of one page of a stream, where nothing is said. */
const streamPageSize = 500

/** Makes `Users.stream` of an implementation's own `list`. */
export const streamBy =
  (list: Users["Service"]["list"]): Users["Service"]["stream"] =>
  (given) =>
    Stream.unwrap(
      Effect.map(UsersInput.stream(given), ({ emailPrefix, erased, order, pageSize: limit = streamPageSize }) => {
        // Read again with each page, by `list`, which checks it.
        const options = { emailPrefix, erased, during: given?.during, order, limit }
        return streamPages(list(options), (after) => list({ ...options, after }))
      })
    )
