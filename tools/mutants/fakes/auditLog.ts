import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/AuditLog.test.ts" }]

const memory = "src/platform/audit/AuditLogMemory.ts"
const input = "src/platform/audit/AuditLogInput.ts"

const table = 'memoryTable<AuditEntry>({ name: "audit_log", key: ({ id }) => id })'
const actor = (onRemoval: string): string =>
  `memoryTable<AuditEntry>({ name: "audit_log", key: ({ id }) => id, references: { audit_log_actor_id_fkey: {
    to: "users", key: ({ actorId }) => actorId ?? undefined, onRemoval: ${onRemoval} } } })`

/** Defects of `AuditLog` in memory, and of the checks that it shares with PostgreSQL. */
export const auditLog: ReadonlyArray<Mutant> = [
  {
    name: "AuditLog: entries go with the user they tell of",
    file: memory,
    find: table,
    replace: actor('"cascade"'),
    red
  },
  {
    name: "AuditLog: an entry forgets the user who is removed",
    file: memory,
    find: table,
    replace: actor("(row) => ({ ...row, actorId: null })"),
    red
  },
  {
    name: "AuditLog: a user who did something is not removed",
    file: memory,
    find: table,
    replace: actor('"restrict"'),
    red
  },
  {
    name: "AuditLog: a list is oldest first",
    file: memory,
    find: "AuditPlace> = Order.flip(\n",
    replace: "AuditPlace> = (\n",
    red
  },
  {
    name: "AuditLog: entries of one moment have no order",
    file: memory,
    find: "({ id }: AuditPlace) => id)",
    replace: "({ id }: AuditPlace) => id.slice(0, 8))",
    red
  },
  {
    name: "AuditLog: entries of one moment are oldest first",
    file: memory,
    find: "    Order.mapInput(Order.String, ({ id }: AuditPlace) => id)",
    replace: "    Order.flip(Order.mapInput(Order.String, ({ id }: AuditPlace) => id))",
    red
  },
  {
    name: "AuditLog: of several entries one is appended",
    file: memory,
    find: "db.insertAll(auditTable, entries)",
    replace: "db.insertAll(auditTable, entries.slice(0, 1))",
    red
  },
  {
    name: "AuditLog: an entry is told and not stored",
    file: memory,
    find: '    yield* insert("AuditLog.append", [entry])\n',
    replace: "",
    red
  },
  {
    name: "AuditLog: the actor is no condition",
    file: memory,
    find: "equal.actorId === undefined ||",
    replace: "equal.actorId !== null ||",
    red
  },
  {
    name: "AuditLog: the action is no condition",
    file: memory,
    find: "equal.action === undefined ||",
    replace: "equal.action !== null ||",
    red
  },
  {
    name: "AuditLog: the kind of subject is no condition",
    file: memory,
    find: "equal.subjectKind === undefined ||",
    replace: "equal.subjectKind !== null ||",
    red
  },
  {
    name: "AuditLog: subjects are told apart without regard to capitals",
    file: memory,
    find: "entry.subjectId === equal.subjectId",
    replace: "entry.subjectId.toLowerCase() === equal.subjectId.toLowerCase()",
    red
  },
  {
    name: "AuditLog: a span of time is no condition",
    file: memory,
    find: "range === undefined ||",
    replace: "range !== null ||",
    red
  },
  {
    name: "AuditLog: a span of time leaves its start out",
    file: memory,
    find: "entry.occurredAt.epochMilliseconds >= range.fromMillis",
    replace: "entry.occurredAt.epochMilliseconds > range.fromMillis",
    red
  },
  {
    name: "AuditLog: a span of time holds its end",
    file: memory,
    find: "entry.occurredAt.epochMilliseconds < range.toMillis",
    replace: "entry.occurredAt.epochMilliseconds <= range.toMillis",
    red
  },
  {
    name: "AuditLog: every page is the first",
    file: memory,
    find: "newestFirst, after, limit",
    replace: "newestFirst, undefined, limit",
    red
  },
  {
    name: "AuditLog: the limit is ignored",
    file: memory,
    find: "after, limit, auditCursor",
    replace: "after, 1000, auditCursor",
    red
  },
  {
    name: "AuditLog: a list inside a transaction does not show what that has told",
    file: memory,
    find: "const { read, register, write } = yield* PostgresMemory",
    replace:
      "const { outside, read: inside, register, write } = yield* PostgresMemory\n" +
      "  const read: typeof inside = (operation, look) => outside(inside(operation, look))",
    red
  },
  {
    name: "AuditLog: a page where nobody says has all that a page may have",
    file: input,
    find: "limit = defaultPageSize",
    replace: "limit = 1000",
    red
  },
  {
    name: "AuditLog: any number of entries is appended at once",
    file: input,
    find: "const mostAtOnce = 1000",
    replace: "const mostAtOnce = 1001",
    red
  },
  {
    name: "AuditLog: the time is told to the second",
    file: input,
    find: "const occurredAt = yield* DateTime.now",
    replace: 'const occurredAt = DateTime.startOf(yield* DateTime.now, "second")',
    red
  },
  {
    name: "AuditLog: who did it is lost",
    file: input,
    find: "occurredAt, actorId, action,",
    replace: "occurredAt, actorId: null, action,",
    red
  },
  {
    name: "AuditLog: a detail is the caller's own",
    file: input,
    find: "storedJson(detail)",
    replace: "detail",
    red
  },
  {
    name: "AuditLog: a stream forgets its conditions",
    file: input,
    find: "list({ ...filter, limit: streamPageSize, after })",
    replace: "list({ limit: streamPageSize, after })",
    red
  },
  {
    name: "AuditLog: a stream is over with its first page",
    file: input,
    find: "streamPages(list({ ...filter, limit: streamPageSize }), (after)",
    replace:
      'streamPages(list({ ...filter, limit: streamPageSize }).pipe(Effect.map((page) => ({ ...page, next: { ...page.next, _tag: "None" } }))), (after)',
    red
  },
  {
    name: "AuditLog: a subject is looked for without its kind, through every entry",
    file: "src/platform/audit/AuditLog.ts",
    find: "subjectId === undefined || subjectKind !== undefined",
    replace: "subjectId === undefined || subjectId !== undefined",
    red
  }
]
