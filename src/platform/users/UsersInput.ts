import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { decodeInput } from "../../core/Decode.ts"
import { PageSize, streamPages } from "../../core/KeysetPage.ts"
import { ConstraintViolated, type StoreError } from "../../core/StoreError.ts"
import { Version } from "../../core/Version.ts"
import { Email, NewUser, UserChanges, UserId, UserInUse, UserList, Username, UserOrder, type Users } from "./Users.ts"

const subject = (method: string) => ({ store: "postgresql", operation: `Users.${method}`, subject: "input" }) as const

const newUser = decodeInput(NewUser)
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
    erased: Schema.optional(Schema.Boolean)
  })
)

/** The checks of what callers give to `Users`: one for every implementation, so that all refuse the same. */
export const UsersInput = {
  create: (user: unknown) => newUser(subject("create"), user),
  findById: (id: unknown) => idOnly(subject("findById"), { id }),
  findMany: (ids: unknown) => idsOnly(subject("findMany"), { ids }),
  findByEmail: (email: unknown) => emailOnly(subject("findByEmail"), { email }),
  findByUsername: (username: unknown) => usernameOnly(subject("findByUsername"), { username }),
  update: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    update(subject("update"), { id, expectedVersion, changes }),
  delete: (id: unknown) => idOnly(subject("delete"), { id }),
  erase: (id: unknown) => idOnly(subject("erase"), { id }),
  list: (options: unknown) => list(subject("list"), options ?? {}),
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
      Effect.map(UsersInput.stream(given), ({ erased, order, pageSize: limit = streamPageSize }) =>
        streamPages(list({ erased, order, limit }), (after) => list({ erased, order, limit, after }))
      )
    )
