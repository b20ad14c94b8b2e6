import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/Roles.test.ts" }]

const memory = "src/platform/users/RolesMemory.ts"
const input = "src/platform/users/RolesInput.ts"

/** Defects of `Roles` in memory, and of the checks that it shares with PostgreSQL. */
export const roles: ReadonlyArray<Mutant> = [
  {
    name: "Roles: a new role begins at version 0",
    file: memory,
    find: "...fields, version: 1, createdAt",
    replace: "...fields, version: 0, createdAt",
    red
  },
  {
    name: "Roles: a taken name is a failure of the store",
    file: memory,
    find: "onConstraint({ roles_name_key: () =>",
    replace: "onConstraint({ roles_name_idx: () =>",
    red
  },
  {
    name: "Roles: a refused renaming tells the name that the role has",
    file: memory,
    find: "nameTaken(updated.name)",
    replace: "nameTaken(role.name)",
    red
  },
  {
    name: "Roles: an update is no version",
    file: memory,
    find: "version: role.version + 1,",
    replace: "version: role.version,",
    red
  },
  {
    name: "Roles: an edit of an old version is written",
    file: memory,
    find: "if (role.version !== expectedVersion) {",
    replace: "if (role.version < expectedVersion) {",
    red
  },
  {
    name: "Roles: a conflict tells the version that was expected as the actual one",
    file: memory,
    find: "actual: role.version",
    replace: "actual: expectedVersion",
    red
  },
  {
    name: "Roles: an update does not tell when",
    file: memory,
    find: "updatedAt: DateTime.max(role.updatedAt, now)",
    replace: "updatedAt: role.updatedAt",
    red
  },
  {
    name: "Roles: an update clears the description that it does not name",
    file: memory,
    find: "          ...role,\n",
    replace: '          ...role,\n          description: "",\n',
    red
  },
  {
    name: "Roles: removing a role that is not there is no failure",
    file: memory,
    find: "Result.fail(new RoleNotFound({ id })) : db.remove(rolesTable, id)",
    replace: "Result.void : db.remove(rolesTable, id)",
    red
  },
  {
    name: "Roles: a role that somebody has is not removed",
    file: memory,
    find: 'to: "roles", key: ({ role }) => role, onRemoval: "cascade"',
    replace: 'to: "roles", key: ({ role }) => role, onRemoval: "restrict"',
    red
  },
  {
    name: "Roles: nobody is granted a role",
    file: memory,
    find: "key: ({ user }) => user, onRemoval",
    replace: "key: () => undefined, onRemoval",
    red
  },
  {
    name: "Roles: granting a role again is refused",
    file: memory,
    find: "db.replace(grantsTable, granted)",
    replace: "db.insert(grantsTable, granted)",
    red
  },
  {
    name: "Roles: a user has one role at most",
    file: memory,
    find: "`${user} ${role}`",
    replace: "user",
    red
  },
  {
    name: "Roles: a revoked role is kept",
    file: memory,
    find: "Result.map(db.remove(grantsTable, key), () => had)",
    replace: "Result.succeed(had)",
    red
  },
  {
    name: "Roles: revoking what was not granted says that it was",
    file: memory,
    find: "Option.isSome(db.get(grantsTable, key))",
    replace: "Option.isSome(db.get(grantsTable, key)) || true",
    red
  },
  {
    name: "Roles: a user has everybody's roles",
    file: memory,
    find: "(grant) => grant.user === user",
    replace: "() => true",
    red
  },
  {
    name: "Roles: only the first role of a user permits",
    file: memory,
    find: "new Set(rolesOf(db, user).flatMap(",
    replace: "new Set(rolesOf(db, user).slice(0, 1).flatMap(",
    red
  },
  {
    name: "Roles: the permissions of several roles are not sorted together",
    file: memory,
    find: '"Roles.permissionsOf", user))].sort()',
    replace: '"Roles.permissionsOf", user))]',
    red
  },
  {
    name: "Roles: a permission permits what begins as it does",
    file: memory,
    find: 'return (yield* permissionsIn("Roles.allows", user)).has(permission)',
    replace:
      'return [...(yield* permissionsIn("Roles.allows", user))].some((permitted) => permission.startsWith(permitted))',
    red
  },
  {
    name: "Roles: names sort as people sort them",
    file: memory,
    find: "Order.mapInput(Order.String, ({ name }: Place) => name)",
    replace: "Order.make((a, b) => Math.sign(a.name.localeCompare(b.name)) as -1 | 0 | 1)",
    red
  },
  {
    name: "Roles: a page is as long as it is where nobody says",
    file: memory,
    find: "after, limit, roleCursor",
    replace: "after, defaultPageSize, roleCursor",
    red
  },
  {
    name: "Roles: a page where nobody says has all that a page may have",
    file: memory,
    find: "limit = defaultPageSize",
    replace: "limit = 1000",
    red
  },
  {
    name: "Roles: a read inside a transaction does not see what that has written",
    file: memory,
    find: "const { read, register, write } = yield* PostgresMemory",
    replace:
      "const { outside, read: inside, register, write } = yield* PostgresMemory\n" +
      "  const read: typeof inside = (operation, look) => outside(inside(operation, look))",
    red
  },
  {
    name: "Roles: a permission that is given twice is held twice",
    file: input,
    find: "[...new Set(permissions)].sort()",
    replace: "[...permissions].sort()",
    red
  }
]
