import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import type { UserId, UserNotFound } from "./Users.ts"
import { presentUser, usersTable } from "./UsersMemory.ts"
import { type Role, roleCursor, RoleId, RoleNameTaken, RoleNotFound, Roles } from "./Roles.ts"
import { RolesInput } from "./RolesInput.ts"

/** The table of roles in memory; each row holds its permissions too. */
const rolesTable = memoryTable<Role>({
  name: "roles",
  key: ({ id }) => id,
  unique: { roles_name_key: ({ name }) => name }
})

interface Grant {
  readonly user: UserId
  readonly role: RoleId
}
const grantKey = ({ role, user }: Grant): string => `${user} ${role}`
const grantsTable = memoryTable<Grant>({
  name: "user_roles",
  key: grantKey,
  references: {
    user_roles_user_id_fkey: { to: "users", key: ({ user }) => user, onRemoval: "cascade" },
    user_roles_role_id_fkey: { to: "roles", key: ({ role }) => role, onRemoval: "cascade" }
  }
})

type Place = Pick<Role, "name">
const byName: Order.Order<Place> = Order.mapInput(Order.String, ({ name }: Place) => name)

const rolesOf = (db: MemoryReader, user: UserId): ReadonlyArray<Role> => {
  const held = new Set(db.rows(grantsTable, (grant) => grant.user === user).map(({ role }) => role))
  return db.sorted(rolesTable, byName).filter(({ id }) => held.has(id))
}

const nameTaken = (name: string) => onConstraint({ roles_name_key: () => new RoleNameTaken({ name }) })

const make = Effect.gen(function* () {
  const { read, register, write } = yield* PostgresMemory
  yield* register(usersTable, rolesTable, grantsTable)
  const nextId = makeIdsOf(RoleId)

  const create: Roles["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const fields = yield* RolesInput.create(given)
    const now = yield* DateTime.now
    const role: Role = { id: yield* nextId, ...fields, version: 1, createdAt: now, updatedAt: now }
    return yield* write("Roles.create", (db) =>
      Result.mapBoth(db.insert(rolesTable, role), { onSuccess: () => role, onFailure: nameTaken(role.name) })
    )
  })

  const findById: Roles["Service"]["findById"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* RolesInput.findById(given)
    return yield* read("Roles.findById", (db) => db.get(rolesTable, id))
  })

  const findMany: Roles["Service"]["findMany"] = Effect.fnUntraced(function* (given) {
    const { ids } = yield* RolesInput.findMany(given)
    return yield* read("Roles.findMany", (db) => ids.map((id) => db.get(rolesTable, id)))
  })

  const findByName: Roles["Service"]["findByName"] = Effect.fnUntraced(function* (given) {
    const { name } = yield* RolesInput.findByName(given)
    return yield* read("Roles.findByName", (db) => db.find(rolesTable, "roles_name_key", name))
  })

  const update: Roles["Service"]["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { changes, expectedVersion, id } = yield* RolesInput.update(givenId, givenVersion, givenChanges)
    const now = yield* DateTime.now
    return yield* write<Role, RoleNotFound | VersionConflict | RoleNameTaken | StoreError>("Roles.update", (db) =>
      Result.gen(function* () {
        const role = yield* Result.fromOption(db.get(rolesTable, id), () => new RoleNotFound({ id }))
        if (role.version !== expectedVersion) {
          return yield* Result.fail(new VersionConflict({ id, expected: expectedVersion, actual: role.version }))
        }
        const updated: Role = {
          ...role,
          ...changes,
          version: role.version + 1,
          updatedAt: DateTime.max(role.updatedAt, now)
        }
        yield* Result.mapError(db.replace(rolesTable, updated), nameTaken(updated.name))
        return updated
      })
    )
  })

  const remove: Roles["Service"]["delete"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* RolesInput.delete(given)
    yield* write<void, RoleNotFound | StoreError>("Roles.delete", (db) =>
      Option.isNone(db.get(rolesTable, id)) ? Result.fail(new RoleNotFound({ id })) : db.remove(rolesTable, id)
    )
  })

  const list: Roles["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize } = yield* RolesInput.list(given)
    const sorted = yield* read("Roles.list", (db) => db.sorted(rolesTable, byName))
    return pageOfSorted(sorted, byName, after, limit, roleCursor.after)
  })

  const grant: Roles["Service"]["grant"] = Effect.fnUntraced(function* (givenUser, givenRole) {
    const granted = yield* RolesInput.grant(givenUser, givenRole)
    yield* write<void, UserNotFound | RoleNotFound | StoreError>("Roles.grant", (db) =>
      Result.andThen(presentUser(db, granted.user), () =>
        Result.mapError(
          db.replace(grantsTable, granted),
          onConstraint({ user_roles_role_id_fkey: () => new RoleNotFound({ id: granted.role }) })
        )
      )
    )
  })

  const revoke: Roles["Service"]["revoke"] = Effect.fnUntraced(function* (givenUser, givenRole) {
    const key = grantKey(yield* RolesInput.revoke(givenUser, givenRole))
    return yield* write("Roles.revoke", (db) => {
      const had = Option.isSome(db.get(grantsTable, key))
      return Result.map(db.remove(grantsTable, key), () => had)
    })
  })

  const ofUser: Roles["Service"]["ofUser"] = Effect.fnUntraced(function* (given) {
    const { user } = yield* RolesInput.ofUser(given)
    return yield* read("Roles.ofUser", (db) => rolesOf(db, user))
  })

  const permissionsIn = (operation: string, user: UserId) =>
    read(operation, (db) => new Set(rolesOf(db, user).flatMap(({ permissions }) => permissions)))

  const permissionsOf: Roles["Service"]["permissionsOf"] = Effect.fnUntraced(function* (given) {
    const { user } = yield* RolesInput.permissionsOf(given)
    return [...(yield* permissionsIn("Roles.permissionsOf", user))].sort()
  })

  const allows: Roles["Service"]["allows"] = Effect.fnUntraced(function* (givenUser, givenPermission) {
    const { permission, user } = yield* RolesInput.allows(givenUser, givenPermission)
    return (yield* permissionsIn("Roles.allows", user)).has(permission)
  })

  return Roles.of({
    create,
    findById,
    findMany,
    findByName,
    update,
    delete: remove,
    list,
    grant,
    revoke,
    ofUser,
    permissionsOf,
    allows
  })
})

/** `Roles` in memory, under the transactions of all memory repositories. */
export const layer: Layer.Layer<Roles, never, PostgresMemory> = Layer.effect(Roles, make)
