import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Statement from "effect/sql/Statement"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion } from "../../core/Version.ts"
import { writeOrExplain } from "../../postgres/repository/Attempts.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { present } from "./UserRow.ts"
import { UserNotFound } from "./Users.ts"
import { Permission, Role, roleCursor, RoleId, RoleNameTaken, RoleNotFound, Roles } from "./Roles.ts"
import { RolesInput } from "./RolesInput.ts"
import { lookupById } from "../tables/lookupById.ts"

const roles = rowReader(Role.mapFields((fields) => ({ ...fields, createdAt: Timestamp, updatedAt: Timestamp })))
const permissions = rowReader(Schema.Struct({ permission: Permission }))
const flag = rowReader(Schema.Struct({ yes: Schema.Boolean }))

const nameTaken = (name: string | undefined) =>
  onConstraint({ roles_name_key: () => new RoleNameTaken({ name: name ?? "" }) })

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const { keyed, query, sql } = client
  const transaction = yield* Transaction
  const { run } = transaction
  const contained = makeContained(client, { run })
  const nextId = makeIdsOf(RoleId)

  const select = (where: Statement.Fragment) => keyed<{
    readonly id: RoleId
  }>`select r.id, r.name, r.description, r.version,
      r.created_at as "createdAt", r.updated_at as "updatedAt",
      array(select p.permission from ai_core.role_permissions p where p.role_id = r.id
        order by p.permission) as permissions
    from ai_core.roles r where ${where}`

  const permit = (operation: string, id: RoleId, permissions: ReadonlyArray<Permission>) =>
    query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.role_permissions (role_id, permission)
        select ${id}::uuid, p from unnest(${[...permissions]}::text[]) p`
    )

  const create: Roles["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const operation = "Roles.create"
    const { description, name, permissions } = yield* RolesInput.create(given)
    const id = yield* nextId
    const now = yield* DateTime.now
    const at = DateTime.toDateUtc(now)
    yield* run(
      Effect.gen(function* () {
        yield* query(
          { operation, kind: "write" },
          keyed<object>`insert into ai_core.roles (id, name, description, created_at, updated_at)
            values (${id}::uuid, ${name}, ${description}, ${at}, ${at})`
        )
        if (permissions.length > 0) yield* permit(operation, id, permissions)
      })
    ).pipe(Effect.mapError(nameTaken(name)))
    return { id, name, description, permissions, version: 1, createdAt: now, updatedAt: now }
  })

  const byId = lookupById(client, { operation: "Roles.findById", id: sql`r.id`, select, rows: roles })

  const findById: Roles["Service"]["findById"] = (given) =>
    Effect.flatMap(RolesInput.findById(given), ({ id }) => byId.find(id))

  const findMany: Roles["Service"]["findMany"] = (given) =>
    Effect.flatMap(RolesInput.findMany(given), ({ ids }) =>
      Effect.mapError(byId.findMany(ids), (error) => error.during("Roles.findMany"))
    )

  const findByName: Roles["Service"]["findByName"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Roles.findByName", kind: "read" } as const
    const { name } = yield* RolesInput.findByName(given)
    return yield* roles.option(call, yield* query(call, select(sql`r.name = ${name}`)))
  })

  const update: Roles["Service"]["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const operation = "Roles.update"
    const { changes, expectedVersion, id } = yield* RolesInput.update(givenId, givenVersion, givenChanges)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    return yield* run(
      Effect.gen(function* () {
        const write = query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.roles set
              name = coalesce(${changes.name ?? null}::text, name),
              description = coalesce(${changes.description ?? null}::text, description),
              version = version + 1, updated_at = greatest(updated_at, ${now})
            where id = ${id}::uuid and version = ${expectedVersion}::int returning id`
        )
        const explain = Effect.flatMap(
          query(
            { operation, kind: "write" },
            keyed<{ readonly version: number }>`select version from ai_core.roles
              where id = ${id}::uuid for no key update`
          ),
          ([found]) =>
            Effect.fromResult(
              expectVersion(id, expectedVersion, Option.fromUndefinedOr(found), () => new RoleNotFound({ id }))
            )
        )
        yield* writeOrExplain(
          operation,
          transaction,
          Effect.map(write, ([updated]) => Option.fromUndefinedOr(updated)),
          explain
        )
        if (changes.permissions !== undefined) {
          yield* query(
            { operation, kind: "write" },
            keyed<object>`delete from ai_core.role_permissions where role_id = ${id}::uuid`
          )
          yield* permit(operation, id, changes.permissions)
        }
        const rows = yield* query({ operation, kind: "read" }, select(sql`r.id = ${id}::uuid`))
        return yield* roles.one(operation, rows)
      })
    ).pipe(Effect.mapError(nameTaken(changes.name)))
  })

  const remove: Roles["Service"]["delete"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* RolesInput.delete(given)
    const rows = yield* query(
      { operation: "Roles.delete", kind: "write" },
      keyed<object>`delete from ai_core.roles where id = ${id}::uuid returning id`
    )
    if (rows.length === 0) return yield* new RoleNotFound({ id })
  })

  const list: Roles["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Roles.list", kind: "read" } as const
    const { after, limit = defaultPageSize } = yield* RolesInput.list(given)
    const page = keyset(sql, ["name"], "ascending", after && [sql`${after.name}`])
    const rows = yield* query(call, select(sql`${page.behind} order by ${page.order} limit ${limit + 1}`))
    return pageOf(yield* roles.all(call, rows), limit, roleCursor.after)
  })

  const grant: Roles["Service"]["grant"] = Effect.fnUntraced(function* (givenUser, givenRole) {
    const { role, user } = yield* RolesInput.grant(givenUser, givenRole)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* contained(
      query(
        { operation: "Roles.grant", kind: "write", idempotent: true },
        keyed<object>`with holder as (select id from ai_core.users where ${present(sql, user)}),
            granted as (insert into ai_core.user_roles (user_id, role_id, granted_at)
              select id, ${role}::uuid, ${now}::timestamptz from holder on conflict do nothing)
          select id from holder`
      )
    ).pipe(Effect.mapError(onConstraint({ user_roles_role_id_fkey: () => new RoleNotFound({ id: role }) })))
    if (rows.length === 0) return yield* new UserNotFound({ id: user })
  })

  const revoke: Roles["Service"]["revoke"] = Effect.fnUntraced(function* (givenUser, givenRole) {
    const { role, user } = yield* RolesInput.revoke(givenUser, givenRole)
    const rows = yield* query(
      { operation: "Roles.revoke", kind: "write" },
      keyed<object>`delete from ai_core.user_roles where user_id = ${user}::uuid and role_id = ${role}::uuid
        returning role_id`
    )
    return rows.length > 0
  })

  const ofUser: Roles["Service"]["ofUser"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Roles.ofUser", kind: "read" } as const
    const { user } = yield* RolesInput.ofUser(given)
    const rows = yield* query(
      call,
      select(sql`r.id in (select role_id from ai_core.user_roles where user_id = ${user}::uuid)
        order by r.name`)
    )
    return yield* roles.all(call, rows)
  })

  const permissionsOf: Roles["Service"]["permissionsOf"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Roles.permissionsOf", kind: "read" } as const
    const { user } = yield* RolesInput.permissionsOf(given)
    const rows = yield* query(
      call,
      keyed<object>`select p.permission from ai_core.user_roles u
        join ai_core.role_permissions p on p.role_id = u.role_id
        where u.user_id = ${user}::uuid group by p.permission order by p.permission`
    )
    return (yield* permissions.all(call, rows)).map(({ permission }) => permission)
  })

  const allows: Roles["Service"]["allows"] = Effect.fnUntraced(function* (givenUser, givenPermission) {
    const call = { operation: "Roles.allows", kind: "read" } as const
    const { permission, user } = yield* RolesInput.allows(givenUser, givenPermission)
    const rows = yield* query(
      call,
      keyed<object>`select exists (select from ai_core.user_roles u
        join ai_core.role_permissions p on p.role_id = u.role_id
        where u.user_id = ${user}::uuid and p.permission = ${permission}) as yes`
    )
    return (yield* flag.one(call, rows)).yes
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

/** `Roles` on PostgreSQL: a server, or the embedded engine. Its tables come from the platform's migrations. */
export const layer: Layer.Layer<Roles, never, PostgresClient | Transaction> = Layer.effect(Roles, make)
