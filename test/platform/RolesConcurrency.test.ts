import { it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import * as assert from "node:assert/strict"
import type { StoreError } from "../../src/core/StoreError.ts"
import { type Permission, type RoleNotFound, Roles } from "../../src/platform/users/Roles.ts"
import { type UserInUse, type UserNotFound, Users } from "../../src/platform/users/Users.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { unique } from "../../src/testing/Contract.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { describeLive } from "../servers/index.ts"
import { behind, healthy, race, repositories, tally } from "./manyCallers.ts"

const aName = Effect.map(unique("role"), (name) => name.toLowerCase())

const aRole = (...permissions: ReadonlyArray<Permission>) =>
  Effect.gen(function* () {
    const roles = yield* Roles
    return yield* roles.create({ name: yield* aName, permissions })
  })

const grants = (role: string) =>
  Effect.flatMap(PostgresClient, ({ sql }) =>
    Effect.map(
      sql<{ readonly n: bigint }>`select count(*) as n from ai_core.user_roles where role_id = ${role}`,
      ([row]) => Number(row?.n)
    )
  )

describeLive("postgresql", "Roles on a server, many callers at once", () => {
  it.layer(repositories(8), { excludeTestServices: true, timeout: "1 minute" })("pool of 8", (it) => {
    it.effect("of 30 who make a role of one name one does, and no permission of the others is stored", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const name = yield* aName
        const exits = yield* race(30, (i) => roles.create({ name, permissions: [`do:${i}`] }))
        assert.deepEqual(tally(exits), { won: 1, RoleNameTaken: 29 })
        const stored = Option.getOrThrow(yield* roles.findByName(name))
        assert.equal(stored.permissions.length, 1)
        yield* healthy
      })
    )

    it.effect("of 30 updates of one version one wins, whole", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const { id } = yield* aRole("old:a", "old:b")
        const exits = yield* race(30, (i) =>
          roles.update(id, 1, { description: `by ${i}`, permissions: [`by:${i}`, `with:${i}`] })
        )
        assert.deepEqual(tally(exits), { won: 1, VersionConflict: 29 })
        const winner = exits.findIndex(Exit.isSuccess)
        const stored = Option.getOrThrow(yield* roles.findById(id))
        assert.deepEqual(
          [stored.version, stored.description, stored.permissions],
          [2, `by ${winner}`, [`by:${winner}`, `with:${winner}`]]
        )
        yield* healthy
      })
    )

    it.effect("20 who add a permission, and try again after a conflict, all get their turn, and none is lost", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const { id } = yield* aRole()
        const add = (i: number) =>
          Effect.gen(function* () {
            const { permissions, version } = Option.getOrThrow(yield* roles.findById(id))
            return yield* roles.update(id, version, { permissions: [...permissions, `do:${i}`] })
          })
        const exits = yield* race(20, (i) => Effect.retry(add(i), { while: ({ _tag }) => _tag === "VersionConflict" }))
        assert.deepEqual(tally(exits), { won: 20 })
        const stored = Option.getOrThrow(yield* roles.findById(id))
        assert.deepEqual([stored.version, stored.permissions.length], [21, 20])
        yield* healthy
      })
    )

    it.effect("an update of a version that is being reached at that moment is one version more, or refused", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        for (let round = 0; round < 40; round++) {
          const { id } = yield* aRole("first:a")
          const exits = yield* race(8, (i) =>
            i === 0
              ? roles.update(id, 1, { description: "second" })
              : roles.update(id, 2, { permissions: [`third:${i}`] })
          )
          const { VersionConflict = 0, won = 0 } = tally(exits)
          assert.equal(VersionConflict + won, 8)
          assert.equal(Option.getOrThrow(yield* roles.findById(id)).version, 1 + won)
        }
        yield* healthy
      })
    )

    it.effect("of 20 who take a role from a user one is told that it was there", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const [user, role] = [yield* someUser(), yield* aRole("do:it")]
        yield* roles.grant(user.id, role.id)
        const exits = yield* race(20, () => roles.revoke(user.id, role.id))
        assert.equal(exits.filter((exit) => Exit.isSuccess(exit) && exit.value).length, 1)
        assert.deepEqual(tally(exits), { won: 20 })
        assert.equal(yield* roles.allows(user.id, "do:it"), false)
        yield* healthy
      })
    )

    it.effect("20 who give a user a role give it once", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const [user, role] = [yield* someUser(), yield* aRole("do:it")]
        assert.deepEqual(tally(yield* race(20, () => roles.grant(user.id, role.id))), { won: 20 })
        assert.equal(yield* grants(role.id), 1)
        yield* healthy
      })
    )

    it.effect("a role is removed, or granted before: nobody has one that is not there", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        for (let round = 0; round < 5; round++) {
          const role = yield* aRole("do:it")
          const users = yield* Effect.forEach(Array.from({ length: 15 }), () => someUser())
          const exits = yield* race(16, (i) =>
            i === 7 ? roles.delete(role.id) : roles.grant(users[i % 15]!.id, role.id)
          )
          const { RoleNotFound = 0, won = 0 } = tally(exits)
          assert.equal(won + RoleNotFound, 16)
          assert.ok(Exit.isSuccess(exits[7]!))
          assert.equal(yield* grants(role.id), 0)
          for (const { id } of users) assert.deepEqual(yield* roles.permissionsOf(id), [])
        }
        yield* healthy
      })
    )

    it.effect("a grant that waits for the end of its role, or its user, finds neither", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const users = yield* Users
        const [user, role] = [yield* someUser(), yield* aRole("do:it")]
        const [, [withoutRole]] = yield* behind(roles.delete(role.id), [Effect.flip(roles.grant(user.id, role.id))])
        assert.equal(withoutRole?._tag, "RoleNotFound")
        const again = yield* aRole("do:it")
        const [, [withoutUser]] = yield* behind(users.delete(user.id), [Effect.flip(roles.grant(user.id, again.id))])
        assert.equal(withoutUser?._tag, "UserNotFound")
        yield* healthy
      })
    )

    it.effect("users and roles that are removed at once, each with grants to the others, all go", () =>
      Effect.gen(function* () {
        const roles = yield* Roles
        const users = yield* Users
        const people = yield* Effect.forEach(Array.from({ length: 6 }), () => someUser())
        const held = yield* Effect.forEach(Array.from({ length: 6 }), () => aRole("do:it"))
        yield* Effect.forEach(people, ({ id }) => Effect.forEach(held, (role) => roles.grant(id, role.id)))
        // Two that wait for each other are a conflict, after which a caller tries again.
        const removing = (i: number): Effect.Effect<void, UserInUse | UserNotFound | RoleNotFound | StoreError> =>
          i % 2 === 0 ? users.delete(people[i >> 1]!.id) : roles.delete(held[i >> 1]!.id)
        const exits = yield* race(12, (i) =>
          Effect.retry(removing(i), {
            times: 10,
            while: (error) => error._tag === "StoreError" && error.reason._tag === "Conflict"
          })
        )
        assert.deepEqual(tally(exits), { won: 12 })
        for (const { id } of held) assert.equal(yield* grants(id), 0)
        yield* healthy
      })
    )
  })
})
