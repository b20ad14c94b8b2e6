import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { StorableText } from "../../core/Text.ts"
import { UserId } from "./Users.ts"
import { NewRole, Permission, RoleChanges, RoleId, RoleList } from "./Roles.ts"
import { Version } from "../../core/Version.ts"

const subject = (method: string) => ({ store: "postgresql", operation: `Roles.${method}`, subject: "input" }) as const

const newRole = decodeInput(NewRole)
const idOnly = decodeInput(Schema.Struct({ id: RoleId }))
const idsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(RoleId) }))
const nameOnly = decodeInput(Schema.Struct({ name: StorableText }))
const update = decodeInput(Schema.Struct({ id: RoleId, expectedVersion: Version, changes: RoleChanges }))
const list = decodeInput(RoleList)
const grant = decodeInput(Schema.Struct({ user: UserId, role: RoleId }))
const user = decodeInput(Schema.Struct({ user: UserId }))
const allows = decodeInput(Schema.Struct({ user: UserId, permission: Permission }))

/** Without repetition, in alphabetical order (by UTF-16 code units, as PostgreSQL's collation "C" sorts ASCII). */
const sorted = (permissions: ReadonlyArray<Permission>): ReadonlyArray<Permission> => [...new Set(permissions)].sort()

/** The checks of what callers give to `Roles`: one for every implementation, so that all refuse the same. */
export const RolesInput = {
  create: (role: unknown) =>
    Effect.map(newRole(subject("create"), role), ({ description = "", name, permissions = [] }) => ({
      name,
      description,
      permissions: sorted(permissions)
    })),
  findById: (id: unknown) => idOnly(subject("findById"), { id }),
  findMany: (ids: unknown) => idsOnly(subject("findMany"), { ids }),
  findByName: (name: unknown) => nameOnly(subject("findByName"), { name }),
  update: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    Effect.map(update(subject("update"), { id, expectedVersion, changes }), ({ changes, ...rest }) => ({
      ...rest,
      changes: changes.permissions === undefined ? changes : { ...changes, permissions: sorted(changes.permissions) }
    })),
  delete: (id: unknown) => idOnly(subject("delete"), { id }),
  list: (options: unknown) => list(subject("list"), options ?? {}),
  grant: (user: unknown, role: unknown) => grant(subject("grant"), { user, role }),
  revoke: (user: unknown, role: unknown) => grant(subject("revoke"), { user, role }),
  ofUser: (id: unknown) => user(subject("ofUser"), { user: id }),
  permissionsOf: (id: unknown) => user(subject("permissionsOf"), { user: id }),
  allows: (user: unknown, permission: unknown) => allows(subject("allows"), { user, permission })
}
