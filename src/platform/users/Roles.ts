import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { cursor, type Page, PageSize } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Slug, StorableText, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import type { UserId, UserNotFound } from "./Users.ts"

export const RoleId = TimeOrderedId.pipe(Schema.brand("RoleId"))
export type RoleId = typeof RoleId.Type

/** What may be done, as the program names it: `workflow:publish`. */
export const Permission = Slug
export type Permission = typeof Permission.Type

/** A set of permissions that users are given together. */
export const Role = Schema.Struct({
  id: RoleId,
  /** Unique: `editor`. */
  name: Schema.String,
  description: Schema.String,
  /** In alphabetical order. */
  permissions: Schema.Array(Schema.String),
  /** 1 when made, one more with every update. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Role = typeof Role.Type

const Permissions = Schema.Array(Permission).check(Schema.isMaxLength(1000))

/** What a new role is made of. */
export const NewRole = Schema.Struct({
  name: Slug,
  description: Schema.optional(textOf(0, 1000)),
  permissions: Schema.optional(Permissions)
})
export type NewRole = typeof NewRole.Type

/** What an update changes; `permissions` takes the place of all that the role had. */
export const RoleChanges = Schema.Struct({
  name: Schema.optionalKey(Slug),
  description: Schema.optionalKey(textOf(0, 1000)),
  permissions: Schema.optionalKey(Permissions)
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type RoleChanges = typeof RoleChanges.Type

/** Continues a list of roles. */
export const RoleCursor = Schema.String.pipe(Schema.brand("RoleCursor"))
export type RoleCursor = typeof RoleCursor.Type

export const roleCursor = cursor("roles", RoleCursor, Schema.Struct({ name: StorableText }))

/** Which roles a page lists. */
export const RoleList = Schema.Struct({
  limit: Schema.optional(PageSize),
  after: Schema.optional(roleCursor.key)
})
export interface RoleListOptions {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  readonly after?: RoleCursor | undefined
}

/** Another role has this name. */
export class RoleNameTaken extends Schema.TaggedError<RoleNameTaken>("@ai-core/database/RoleNameTaken")(
  "RoleNameTaken",
  { name: Schema.String }
) {
  override get message(): string {
    return `there is a role ${this.name} already`
  }
}

/** There is no role with this id. */
export class RoleNotFound extends Schema.TaggedError<RoleNotFound>("@ai-core/database/RoleNotFound")("RoleNotFound", {
  id: RoleId
}) {
  override get message(): string {
    return `there is no role ${this.id}`
  }
}

/**
 * Roles, the permissions they hold, and the users who have them.
 *
 * A user may do what any of its roles permits. Every method may fail with `StoreError`, takes part in the `Transaction` around
 * it, and leaves it usable where it fails with a domain error.
 *
 * @example
 * ```ts
 * const editor = yield* roles.create({ name: "editor", permissions: ["campaign:write", "campaign:read"] })
 * yield* roles.grant(alice.id, editor.id)
 * if (yield* roles.allows(alice.id, "campaign:write")) …
 * ```
 */
export class Roles extends Context.Service<
  Roles,
  {
    /** Stores a new role, at version 1. */
    readonly create: (role: NewRole) => Effect.Effect<Role, RoleNameTaken | StoreError>
    /** Finds a role by id; concurrent calls go together. */
    readonly findById: (id: RoleId) => Effect.Effect<Option.Option<Role>, StoreError>
    /** Finds roles by id, each in the place of its id; none where there is no such role. */
    readonly findMany: (ids: ReadonlyArray<RoleId>) => Effect.Effect<ReadonlyArray<Option.Option<Role>>, StoreError>
    readonly findByName: (name: string) => Effect.Effect<Option.Option<Role>, StoreError>
    /** Changes a role that still is at the version its editor read; of two such updates one wins. */
    readonly update: (
      id: RoleId,
      expectedVersion: number,
      changes: RoleChanges
    ) => Effect.Effect<Role, RoleNotFound | VersionConflict | RoleNameTaken | StoreError>
    /** Removes a role and takes it from everybody who had it. */
    readonly delete: (id: RoleId) => Effect.Effect<void, RoleNotFound | StoreError>
    /** Lists roles page by page, by name. */
    readonly list: (options?: RoleListOptions) => Effect.Effect<Page<Role, RoleCursor>, StoreError>
    /** Gives a user a role; giving it again changes nothing. */
    readonly grant: (user: UserId, role: RoleId) => Effect.Effect<void, UserNotFound | RoleNotFound | StoreError>
    /** Takes a role from a user; says whether the user had it. */
    readonly revoke: (user: UserId, role: RoleId) => Effect.Effect<boolean, StoreError>
    /** The roles of a user, by name; none for a user who is not there. */
    readonly ofUser: (user: UserId) => Effect.Effect<ReadonlyArray<Role>, StoreError>
    /** All that a user may do, in alphabetical order. */
    readonly permissionsOf: (user: UserId) => Effect.Effect<ReadonlyArray<Permission>, StoreError>
    /** Whether a user may do this. */
    readonly allows: (user: UserId, permission: Permission) => Effect.Effect<boolean, StoreError>
  }
>()("@ai-core/database/platform/Roles") {}
