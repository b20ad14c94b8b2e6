import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { type NewRole, type Role, type RoleCursor, RoleId, Roles } from "../../platform/users/Roles.ts"
import { Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { failsWith, pages, refuses, untyped } from "../Expectations.ts"
import { hostile, nobody, someUser } from "./users.ts"
import { findsById } from "./findsById.ts"

type Run = Effect.Effect<void, unknown, Roles | Users | Transaction>

const noRole = RoleId.make("01900000-0000-7000-8000-000000000000")

/** A role that no other case has made. */
const someRole = (given: Partial<NewRole> = {}): Effect.Effect<Role, unknown, Roles> =>
  Effect.gen(function* () {
    const roles = yield* Roles
    return yield* roles.create({ name: yield* unique("role"), ...given })
  })

const names = (roles: ReadonlyArray<Role>): ReadonlyArray<string> => roles.map(({ name }) => name)

const roles: Record<string, Run> = {
  "roles are found by id, one by one and many together": Effect.gen(function* () {
    const { findById: find, findMany } = yield* Roles
    yield* findsById("Roles.findMany", someRole({ permissions: ["b", "a"] }), { find, findMany })
  }),
  "a role is found as it was made": Effect.gen(function* () {
    const roles = yield* Roles
    const role = yield* someRole({ description: "May write", permissions: ["b:write", "a:read", "b:write"] })
    assert.equal(role.version, 1)
    assert.equal(role.description, "May write")
    assert.deepEqual(role.permissions, ["a:read", "b:write"])
    assert.deepEqual(role.updatedAt, role.createdAt)
    assert.deepEqual(yield* roles.findById(role.id), Option.some(role))
    assert.deepEqual(yield* roles.findByName(role.name), Option.some(role))
  }),
  "an erased user has no role, and is given none": Effect.gen(function* () {
    const roles = yield* Roles
    const users = yield* Users
    const { run } = yield* Transaction
    const [user, neighbour] = [yield* someUser(), yield* someUser()]
    const role = yield* someRole({ permissions: ["do:it"] })
    yield* roles.grant(user.id, role.id)
    yield* roles.grant(neighbour.id, role.id)
    yield* users.erase(user.id)
    assert.deepEqual(yield* roles.ofUser(user.id), [])
    assert.equal(yield* roles.allows(user.id, "do:it"), false)
    yield* run(
      Effect.gen(function* () {
        yield* failsWith(roles.grant(user.id, role.id), "UserNotFound")
        assert.equal(yield* roles.allows(neighbour.id, "do:it"), true)
      })
    )
    assert.equal(yield* roles.revoke(user.id, role.id), false)
  }),
  "a role that is not there is not found": Effect.gen(function* () {
    const roles = yield* Roles
    assert.deepEqual(yield* roles.findById(noRole), Option.none())
    assert.deepEqual(yield* roles.findByName(hostile), Option.none())
  }),
  "a name is taken once, and the transaction around a refusal goes on": Effect.gen(function* () {
    const roles = yield* Roles
    const { run } = yield* Transaction
    const { name } = yield* someRole()
    const other = yield* run(Effect.andThen(failsWith(roles.create({ name }), "RoleNameTaken"), someRole()))
    assert.ok(Option.isSome(yield* roles.findById(other.id)))
    const refused = yield* failsWith(roles.update(other.id, 1, { name }), "RoleNameTaken")
    assert.equal(refused.name, name)
    const renamed = yield* run(
      Effect.andThen(
        failsWith(roles.update(other.id, 1, { name }), "RoleNameTaken"),
        roles.update(other.id, 1, { description: "kept" })
      )
    )
    assert.equal(renamed.description, "kept")
    assert.equal(renamed.name, other.name)
  }),
  "permissions sort by character, and names of any of their signs are kept": Effect.gen(function* () {
    const role = yield* someRole({ permissions: ["b", "a_x", "a.x", "a:x", "a-x", "ax"] })
    assert.deepEqual(role.permissions, ["a-x", "a.x", "a:x", "a_x", "ax", "b"])
    const roles = yield* Roles
    assert.deepEqual(Option.getOrThrow(yield* roles.findById(role.id)).permissions, role.permissions)
  }),
  "an update changes what it names and counts the version": Effect.gen(function* () {
    const roles = yield* Roles
    const role = yield* someRole({ description: "old", permissions: ["a", "b"] })
    const name = yield* unique("renamed")
    yield* passTime("2 millis")
    const renamed = yield* roles.update(role.id, 1, { name })
    assert.deepEqual(renamed, { ...role, name, version: 2, updatedAt: renamed.updatedAt })
    assert.ok(DateTime.isGreaterThan(renamed.updatedAt, role.updatedAt))
    const permitted = yield* roles.update(role.id, 2, { permissions: ["c", "b"] })
    assert.deepEqual(permitted.permissions, ["b", "c"])
    assert.equal(permitted.description, "old")
    assert.deepEqual(yield* roles.findById(role.id), Option.some(permitted))
    assert.deepEqual((yield* roles.update(role.id, 3, { permissions: [] })).permissions, [])
  }),
  "of two who update the same version one wins": Effect.gen(function* () {
    const roles = yield* Roles
    const role = yield* someRole({ permissions: ["a"] })
    yield* roles.update(role.id, 1, { description: "first" })
    const late = yield* Effect.flip(roles.update(role.id, 1, { permissions: [] }))
    assert.ok(late._tag === "VersionConflict" && late.actual === 2 && late.expected === 1)
    assert.deepEqual(Option.getOrThrow(yield* roles.findById(role.id)).permissions, ["a"])
    yield* failsWith(roles.update(noRole, 1, { description: "" }), "RoleNotFound")
  }),
  "a removed role is taken from those who had it, and its name is free": Effect.gen(function* () {
    const roles = yield* Roles
    const user = yield* someUser()
    const role = yield* someRole({ permissions: ["x"] })
    yield* roles.grant(user.id, role.id)
    yield* roles.delete(role.id)
    assert.deepEqual(yield* roles.ofUser(user.id), [])
    assert.equal(yield* roles.allows(user.id, "x"), false)
    yield* failsWith(roles.delete(role.id), "RoleNotFound")
    assert.equal((yield* someRole({ name: role.name })).version, 1)
  }),
  "pages list every role once, by name": Effect.gen(function* () {
    const roles = yield* Roles
    const prefix = yield* unique("page")
    const mine = ["_b", "-a", "c", "a", "_a"].map((end) => `${prefix}${end}`)
    yield* Effect.forEach(mine, (name) => someRole({ name }), { discard: true })
    const read = yield* pages((after: RoleCursor | undefined) => roles.list({ limit: 2, after }))
    assert.ok(read.every((page) => page.length <= 2))
    const seen = names(read.flat())
    assert.equal(new Set(seen).size, seen.length)
    assert.deepEqual(
      seen.filter((name) => name.startsWith(prefix)),
      mine.toSorted()
    )
  }),
  "a page has 50 roles where nobody says": Effect.gen(function* () {
    const roles = yield* Roles
    yield* Effect.forEach(Array.from({ length: 51 }), () => someRole(), { discard: true })
    const page = yield* roles.list()
    assert.equal(page.items.length, 50)
    assert.ok(Option.isSome(page.next))
  })
}

const grants: Record<string, Run> = {
  "a user has the roles it was granted, by name, and may do what any of them permits": Effect.gen(function* () {
    const roles = yield* Roles
    const user = yield* someUser()
    const other = yield* someUser()
    const b = yield* someRole({ name: yield* unique("b"), permissions: ["read", "delete"] })
    const a = yield* someRole({ name: yield* unique("a"), permissions: ["read", "write"] })
    yield* roles.grant(user.id, b.id)
    yield* roles.grant(user.id, a.id)
    yield* roles.grant(other.id, b.id)
    assert.deepEqual(yield* roles.ofUser(user.id), [a, b])
    assert.deepEqual(yield* roles.permissionsOf(user.id), ["delete", "read", "write"])
    assert.equal(yield* roles.allows(user.id, "delete"), true)
    assert.equal(yield* roles.allows(other.id, "write"), false)
    assert.equal(yield* roles.allows(user.id, "deletes"), false)
  }),
  "granting again changes nothing; revoking says whether there was anything to revoke": Effect.gen(function* () {
    const roles = yield* Roles
    const user = yield* someUser()
    const role = yield* someRole()
    yield* roles.grant(user.id, role.id)
    yield* roles.grant(user.id, role.id)
    assert.equal((yield* roles.ofUser(user.id)).length, 1)
    assert.equal(yield* roles.revoke(user.id, role.id), true)
    assert.equal(yield* roles.revoke(user.id, role.id), false)
    assert.deepEqual(yield* roles.ofUser(user.id), [])
  }),
  "nobody is granted anything, nor is no role granted, and the transaction goes on": Effect.gen(function* () {
    const roles = yield* Roles
    const { run } = yield* Transaction
    const user = yield* someUser()
    const role = yield* someRole()
    yield* run(
      Effect.gen(function* () {
        yield* failsWith(roles.grant(nobody, role.id), "UserNotFound")
        yield* failsWith(roles.grant(user.id, noRole), "RoleNotFound")
        yield* roles.grant(user.id, role.id)
      })
    )
    assert.equal((yield* roles.ofUser(user.id)).length, 1)
    assert.deepEqual(yield* roles.permissionsOf(nobody), [])
  }),
  "a removed user's grants go too, and the role stays": Effect.gen(function* () {
    const roles = yield* Roles
    const users = yield* Users
    const user = yield* someUser()
    const role = yield* someRole()
    yield* roles.grant(user.id, role.id)
    yield* users.delete(user.id)
    assert.deepEqual(yield* roles.ofUser(user.id), [])
    assert.deepEqual(yield* roles.findById(role.id), Option.some(role))
  }),
  "a transaction that fails keeps neither role nor grant": Effect.gen(function* () {
    const roles = yield* Roles
    const { run } = yield* Transaction
    const user = yield* someUser()
    const name = yield* unique("role")
    yield* Effect.flip(
      run(
        Effect.gen(function* () {
          const role = yield* roles.create({ name, permissions: ["a"] })
          yield* roles.grant(user.id, role.id)
          assert.equal(yield* roles.allows(user.id, "a"), true)
          return yield* Effect.fail("no" as const)
        })
      )
    )
    assert.deepEqual(yield* roles.findByName(name), Option.none())
    assert.deepEqual(yield* roles.permissionsOf(user.id), [])
  })
}

const input: Record<string, Run> = {
  "wrong input is refused before anything is sent, each field by name": Effect.gen(function* () {
    const roles = yield* Roles
    yield* refuses(roles.create({ name: "No Capitals" }), "Roles.create", ["name"])
    yield* refuses(roles.create({ name: hostile, description: "\0" }), "Roles.create", ["name", "description"])
    yield* refuses(roles.create({ name: "a", permissions: ["ok", ""] }), "Roles.create", ["permissions[1]"])
    yield* refuses(roles.create(untyped({ name: "a", admin: true })), "Roles.create", ["admin"])
    yield* refuses(roles.findById(untyped(hostile)), "Roles.findById", ["id"])
    yield* refuses(roles.update(noRole, 0, {}), "Roles.update", ["expectedVersion", "changes"])
    yield* refuses(roles.list({ limit: 1001 }), "Roles.list", ["limit"])
    yield* refuses(roles.list({ after: untyped("zzz") }), "Roles.list", ["after"])
    const tampered = Buffer.from(JSON.stringify({ name: "\0" })).toString("base64url")
    yield* refuses(roles.list({ after: untyped(tampered) }), "Roles.list", ["after"])
    yield* refuses(roles.findByName("\0"), "Roles.findByName", ["name"])
    yield* refuses(roles.grant(untyped("x"), untyped("y")), "Roles.grant", ["user", "role"])
    yield* refuses(roles.allows(nobody, hostile), "Roles.allows", ["permission"])
  }),
  "text that looks like SQL is text": Effect.gen(function* () {
    const roles = yield* Roles
    const role = yield* someRole({ description: hostile })
    assert.equal(Option.getOrThrow(yield* roles.findById(role.id)).description, hostile)
  })
}

export const RolesContract: Contract<Roles | Users | Transaction> = make("Roles", { ...roles, ...grants, ...input })
