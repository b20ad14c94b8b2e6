import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { decodedBy } from "../../core/DirectDecoder.ts"
import { cursor, type Page, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { storable, textOf, withoutOuterSpace } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, VersionConflict } from "../../core/Version.ts"
import { sameOrder } from "../Lists.ts"
import type { TimeRange } from "../TimeRange.ts"

export { VersionConflict }

/** A user's id: a UUIDv7 in lower case, made by the client, so that ids sort by the time of their making. */
export const UserId = TimeOrderedId.pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type

/** One `@`, no spaces or control characters, a dot in the domain; at most 64 characters before the `@` and 254 in all. */
const emailPattern = /^[^\s@\p{Cc}]{1,64}@[^\s@.\p{Cc}]+(?:\.[^\s@.\p{Cc}]+)+$/u

const AnyEmail = Schema.String.check(
  Schema.isPattern(emailPattern, { expected: "an e-mail address" }),
  Schema.isBetweenCodePoints(0, 254, { expected: "at most 254 characters long" }),
  storable
)

/** The same for an e-mail of ASCII: nearly every one, and half of what a lookup adds to its statement is to check it. */
const asciiPattern = /^[!-?A-~]{1,64}@[!-\-/-?A-~]+(?:\.[!-\-/-?A-~]+)+$/

export const Email = decodedBy(AnyEmail, (text) =>
  typeof text === "string" && text.length <= 254 && asciiPattern.test(text) ? text : undefined
)

export const Username = textOf(1, 100).check(withoutOuterSpace)

const hashText = textOf(1, 255)

export const PasswordHash = Schema.Redacted(Schema.String).check(
  Schema.makeFilter((hash: Redacted.Redacted<string>) => Schema.is(hashText)(Redacted.value(hash)), {
    expected: "a password hash of 1 to 255 characters"
  })
)

/** Somebody, or a program, that may sign in. */
export const User = Schema.Struct({
  id: UserId,
  /** As it was given; unique without regard to the case of A to Z. */
  email: Schema.String,
  /** As it was given; unique without regard to the case of A to Z. */
  username: Schema.String,
  /** A hash in PHC format, such as argon2id's; never a password. */
  passwordHash: Schema.Redacted(Schema.String),
  /** When the user proved to own the e-mail; null before, and again once the e-mail changes. */
  emailVerifiedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** Since when nothing here says who it was (see `erase`); null of everybody else. */
  erasedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** 1 when made, one more with every update. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type User = typeof User.Type

/** What stands in the place of what an erased user was: made of the id, and the hash of no password. */
export const erasedFields = (id: UserId) => ({
  email: `${id}@erased.invalid`,
  username: `erased-${id}`,
  passwordHash: Redacted.make("*"),
  emailVerifiedAt: null
})

/** What a new user is made of. */
export const NewUser = Schema.Struct({ email: Email, username: Username, passwordHash: PasswordHash })
export type NewUser = typeof NewUser.Type

/** A user as it is stored first. */
export const newUser = (id: UserId, { email, passwordHash, username }: NewUser, now: DateTime.Utc): User => ({
  id,
  email,
  username,
  passwordHash,
  emailVerifiedAt: null,
  erasedAt: null,
  version: 1,
  createdAt: now,
  updatedAt: now
})

/** What an update changes: at least one field; what is left out stays as it is. */
export const UserChanges = Schema.Struct({
  email: Schema.optionalKey(Email),
  username: Schema.optionalKey(Username),
  passwordHash: Schema.optionalKey(PasswordHash)
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type UserChanges = typeof UserChanges.Type

/** By the time they were made; those of one millisecond by id. */
export const UserOrder = Schema.Literals(["oldest-first", "newest-first"])
export type UserOrder = typeof UserOrder.Type

/** Continues a list of users in the order it began with. */
export const UserCursor = Schema.String.pipe(Schema.brand("UserCursor"))
export type UserCursor = typeof UserCursor.Type

const userCursor = cursor(
  "users",
  UserCursor,
  Schema.Struct({ order: UserOrder, createdAt: MomentFromMillis, id: UserId })
)
/** The cursor that continues after this user. */
export const cursorAfter = (order: UserOrder, { createdAt, id }: User): UserCursor =>
  userCursor.after({ order, createdAt, id })

export const userFilter = {
  erased: Schema.optional(Schema.Boolean),
  emailPrefix: Schema.optional(textOf(1, 254)),
  during: Schema.optional(Schema.Unknown)
}
/** Which users are meant: those that meet every condition that is given. */
export interface UserFilter {
  /** Only erased users; only others where nothing is said. */
  readonly erased?: boolean | undefined
  /** What the e-mail begins with, without regard to the case of A to Z. */
  readonly emailPrefix?: string | undefined
  /** When they were made. */
  readonly during?: TimeRange | undefined
}

/** Which users a page lists. */
export const UserList = Schema.Struct({
  /** Users of a page: 1 to 1000, 50 where nothing is said. */
  limit: Schema.optional(PageSize),
  /** `oldest-first` where nothing is said. */
  order: Schema.optional(UserOrder),
  /** The `next` of the page before. */
  after: Schema.optional(userCursor.key),
  ...userFilter
}).check(sameOrder)
export interface UserListOptions extends UserFilter {
  readonly limit?: number | undefined
  readonly order?: UserOrder | undefined
  readonly after?: UserCursor | undefined
}

/** How a stream of users is read. */
export interface UserStreamOptions extends UserFilter {
  readonly order?: UserOrder | undefined
  /** Users read at once, and held in memory: 1 to 1000, 500 where nothing is said. */
  readonly pageSize?: number | undefined
}

/** Another user has this e-mail. */
export class EmailTaken extends Schema.TaggedError<EmailTaken>("@ai-core/database/EmailTaken")("EmailTaken", {
  email: Schema.String
}) {
  override get message(): string {
    return "another user has this e-mail"
  }
}

/** Another user has this name. */
export class UsernameTaken extends Schema.TaggedError<UsernameTaken>("@ai-core/database/UsernameTaken")(
  "UsernameTaken",
  { username: Schema.String }
) {
  override get message(): string {
    return "another user has this name"
  }
}

/** There is no user with this id. */
export class UserNotFound extends Schema.TaggedError<UserNotFound>("@ai-core/database/UserNotFound")("UserNotFound", {
  id: UserId
}) {
  override get message(): string {
    return `there is no user ${this.id}`
  }
}

/** The user is erased: there is nobody whose e-mail, name or password it could be. */
export class UserErased extends Schema.TaggedError<UserErased>("@ai-core/database/UserErased")("UserErased", {
  id: UserId
}) {
  override get message(): string {
    return `the user ${this.id} is erased`
  }
}

/** Records refer to the user that outlive it, such as invoices, so it stays. */
export class UserInUse extends Schema.TaggedError<UserInUse>("@ai-core/database/UserInUse")("UserInUse", {
  id: UserId,
  /** The table of the records: `invoices`. */
  by: Schema.String
}) {
  override get message(): string {
    return `the user ${this.id} is in use by ${this.by}`
  }
}

/**
 * The users of the platform.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent. All of
 * them take part in the `Transaction` around them. A failure that another user's e-mail or name causes leaves the transaction
 * usable, unless that user is being written by somebody else at the same moment.
 *
 * @example
 * ```ts
 * const users = yield* Users
 * const alice = yield* users.create({ email: "alice@example.com", username: "alice", passwordHash })
 * const renamed = yield* users.update(alice.id, alice.version, { username: "alicia" })
 * ```
 */
export class Users extends Context.Service<
  Users,
  {
    /** Stores a new user, at version 1. Not idempotent: after an unknown outcome, look for the e-mail. */
    readonly create: (user: NewUser) => Effect.Effect<User, EmailTaken | UsernameTaken | StoreError>
    /**
     * Stores up to 10,000 new users at once: all of them, or none where it fails; gives them in their order.
     *
     * Where an e-mail or name is taken, by a user who is there or by one before in the list, the first such is told. Not
     * idempotent: after an unknown outcome, look for the e-mails.
     */
    readonly createMany: (
      users: ReadonlyArray<NewUser>
    ) => Effect.Effect<ReadonlyArray<User>, EmailTaken | UsernameTaken | StoreError>
    /** Finds a user by id. Concurrent calls go together, so that looking for many of them costs little more than for one. */
    readonly findById: (id: UserId) => Effect.Effect<Option.Option<User>, StoreError>
    /** Finds users by id, each in the place of its id; none where there is no such user. */
    readonly findMany: (ids: ReadonlyArray<UserId>) => Effect.Effect<ReadonlyArray<Option.Option<User>>, StoreError>
    /** Finds without regard to the case of A to Z; no erased user. */
    readonly findByEmail: (email: string) => Effect.Effect<Option.Option<User>, StoreError>
    /** Finds without regard to the case of A to Z; no erased user. */
    readonly findByUsername: (username: string) => Effect.Effect<Option.Option<User>, StoreError>
    /**
     * Changes a user who still is at the version that the caller read; of two such updates one wins.
     *
     * What depends on the old values ends with them, all at once: a new e-mail is not verified, and what `UserTokens.send` gave for
     * the old one is refused; a password hash, were it of the same password, ends all sign-ins and what would reset the password.
     * So a change of either is refused (`InvalidData` naming `isolation`) inside a transaction stricter than `read committed`,
     * whose snapshot would hide what is given meanwhile.
     *
     * Where several failures hold, the first of these is told: `UserNotFound`, `UserErased`, `VersionConflict`, `EmailTaken`,
     * `UsernameTaken`.
     */
    readonly update: (
      id: UserId,
      expectedVersion: number,
      changes: UserChanges
    ) => Effect.Effect<User, UserNotFound | UserErased | VersionConflict | EmailTaken | UsernameTaken | StoreError>
    /** Removes a user whom no record needs, else `UserInUse`; e-mail and name are free again. */
    readonly delete: (id: UserId) => Effect.Effect<void, UserNotFound | UserInUse | StoreError>
    /**
     * Forgets who a user was, where records must stay, such as invoices: e-mail, name and password hash give way to what is made
     * of the id, `erasedAt` is set, and e-mail and name are free again.
     *
     * All at once, whatever goes with a user who is deleted goes: tokens, API keys, roles, notifications with preferences and
     * addresses; whatever would keep the user from being deleted stays. Nobody finds an erased user by e-mail or name, changes
     * it, gives it tokens, keys or roles, tells it anything, or subscribes it to a plan (`UserNotFound`); `findById` finds it, for
     * the records that refer to it. Idempotent: an erased user is given back as it is. Subscriptions go on, and fall due, until
     * the caller cancels them (`Billing.subscriptions.cancel`), before or in the same transaction. Entries of the audit log stay, and the erasure is told there as any other act is:
     * by `AuditLog.append` in the same transaction. That one is `read committed`: a stricter one, whose snapshot would hide what
     * is stored meanwhile, is refused (`InvalidData` naming `isolation`).
     */
    readonly erase: (id: UserId) => Effect.Effect<User, UserNotFound | StoreError>
    /**
     * Lists users page by page, by the time they were made; all of them, or those of a time, or whose e-mail begins so.
     *
     * Erased users are left out, unless they are asked for. A user who exists throughout is listed exactly once, whatever is
     * added or removed between the pages.
     */
    readonly list: (options?: UserListOptions) => Effect.Effect<Page<User, UserCursor>, StoreError>
    /**
     * Streams the users of `list`, in its order, with the memory of one page.
     *
     * It holds no connection while the consumer works, so the consumer may query too. It is no snapshot: users made meanwhile
     * may appear.
     */
    readonly stream: (options?: UserStreamOptions) => Stream.Stream<User, StoreError>
  }
>()("@ai-core/database/platform/Users") {}
