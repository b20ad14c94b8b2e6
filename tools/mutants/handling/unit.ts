import { at, type Mutant } from "../Mutant.ts"

const file = "src/postgres/statements/PipelinedUnit.ts"
const live = at("test/postgres/statements/PipelinedUnit.test.ts", "PostgresClient.unit")
const answered = at("test/postgres/statements/PipelinedUnit.test.ts", "a unit that is answered so")

/** What a unit handles, taken out. */
export const unit: ReadonlyArray<Mutant> = [
  {
    name: "Unit: a refused statement is told as done, because COMMIT was answered",
    file,
    find: "if (refusal !== undefined) return",
    replace: "if (index < -1) return",
    red: [live("a statement that fails undoes those before and after it")]
  },
  {
    name: "Unit: a refused COMMIT is told as done",
    file,
    find: "return error === undefined ? undefined : {",
    replace: "return error === undefined || refused(commit) ? undefined : {",
    red: [live("a rule that is looked at only by COMMIT undoes all of it")]
  },
  {
    name: "Unit: statements are committed without the one that could not be written",
    file,
    find: 'written ? "COMMIT" : "ROLLBACK"',
    replace: '"COMMIT"',
    red: [live("a value that cannot be written undoes all of it")]
  },
  {
    name: "Unit: a statement that could not be written is told as done",
    file,
    find: "refused(answer) || (!written && failed(answer))",
    replace: "refused(answer)",
    red: [live("a value that cannot be written undoes all of it")]
  },
  {
    name: "Unit: a lost answer is told as a refused statement",
    file,
    find: "refused(answer) || (!written && failed(answer))",
    replace: "failed(answer)",
    red: [live("the reply is lost: CommitUnknown"), live("the connection is lost in the middle: unknown")]
  },
  {
    name: "Unit: a lost answer is told as a refused BEGIN",
    file,
    find: "if (notBegun !== undefined && refused(begin)) {",
    replace: "if (notBegun !== undefined) {",
    red: [live("the reply is lost: CommitUnknown")]
  },
  {
    name: "Unit: a lost answer to COMMIT is told as a lost connection",
    file,
    find: "commitFailure(storeError(call, failure.error)).during",
    replace: "storeError(call, failure.error).during",
    red: [live("the reply is lost: CommitUnknown"), live("the connection is lost in the middle: unknown")]
  },
  {
    name: "Unit: a refused statement is told as unknown, because its session was ended",
    file,
    find: 'statements[failure.index]).during(call.operation, "not-applied")',
    replace: "statements[failure.index]).during(call.operation)",
    red: [answered("a statement is refused as the session is ended")]
  },
  {
    name: "Unit: a refused BEGIN is told as unknown",
    file,
    find: 'storeError({ ...call, kind: "read" }, failure.error)',
    replace: "storeError(call, failure.error)",
    red: [answered("BEGIN is refused with all that is behind it")]
  },
  {
    name: "Unit: statements that were applied without their BEGIN are told as not applied",
    file,
    find: 'statements.some((answer) => errorOf(answer) === undefined) ? "Torn" : "Begin"',
    replace: '"Begin"',
    red: [answered("BEGIN alone is cancelled")]
  },
  {
    name: "Unit: the outcome of a unit without its BEGIN is the one of BEGIN",
    file,
    find: '.during(call.operation, "unknown")',
    replace: ".during(call.operation)",
    red: [answered("BEGIN alone is cancelled")]
  },
  {
    name: "Unit: BEGIN is a prepared statement, which the server may have forgotten",
    file,
    find: 'send(["BEGIN", []], false)',
    replace: 'send(["BEGIN", []], true)',
    red: [live("prepared statements that the server has forgotten")]
  },
  {
    name: "Unit: a prepared statement that the server has forgotten fails it",
    file: "src/postgres/failures/ServerError.ts",
    find: 'cause.code === "26000" || ',
    replace: "",
    red: [live("prepared statements that the server has forgotten")]
  },
  {
    name: "Unit: a prepared statement whose columns have changed fails it",
    file: "src/postgres/failures/ServerError.ts",
    find: ' || (cause.code === "0A000" && cause.routine === "RevalidateCachedQuery")',
    replace: "",
    red: [live("a prepared statement that the server gave up")]
  },
  {
    name: "Unit: who goes waits for its end",
    file,
    find: "return outermost(send(fiber, true))",
    replace: "return Effect.uninterruptible(outermost(send(fiber, true)))",
    red: [live("interrupted after it was sent it runs to its end")]
  },
  {
    name: "Unit: the connection of one that still runs is given back",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "if (lease.sending) lease.abandoned = true\n          else release(lease, at)",
    replace: "release(lease, at)",
    red: [live("interrupted after it was sent it runs to its end")]
  },
  {
    name: "Unit: the connection of one whose caller has gone is never given back",
    file: "src/postgres/pool/PostgresPool.ts",
    find: "if (lease.abandoned) release(lease, now())",
    replace: "if (lease.abandoned) return",
    red: [live("interrupted after it was sent it runs to its end")]
  },
  {
    name: "Unit: its transaction stays open where the server has forgotten the prepared COMMIT",
    file,
    find: "if (leavesOpen(errorOf(end.pollUnsafe())?.reason.cause)) send",
    replace: "if (leavesOpen(undefined)) send",
    red: [live("prepared statements that were all given up")]
  },
  {
    name: "Unit: its transaction stays open where COMMIT was cancelled before it began",
    file: "src/postgres/failures/ServerError.ts",
    find: 'isStale(cause) || (isServerError(cause) && cause.code === "57014")',
    replace: "isStale(cause)",
    red: [answered("COMMIT is cancelled")]
  },
  {
    name: "Unit: its deadline does not hold once it was sent",
    file: "src/postgres/pool/PostgresPool.ts",
    find: 'kind === "exclusive" ? contextDeadline : Number.POSITIVE_INFINITY',
    replace: "Number.POSITIVE_INFINITY",
    red: [live("is over soon after its deadline")]
  },
  {
    name: "Unit: its deadline ends the connection that others share",
    file: "src/postgres/pool/PostgresPool.ts",
    find: 'kind === "exclusive" ? contextDeadline : Number.POSITIVE_INFINITY',
    replace: "contextDeadline",
    red: [live("one that passes its deadline leaves those alone")]
  },
  {
    name: "Unit: one that shares its connection has no deadline",
    file: "src/postgres/pool/PostgresPool.ts",
    find: 'kind === "exclusive" ? answered : abandonAt(lease, contextDeadline, answered)',
    replace: "answered",
    red: [live("one that passes its deadline leaves those alone")]
  },
  {
    name: "Unit: one that may wait long shares a connection",
    file,
    find: 'borrowOf(statement) === pool.shared) ? "units" : "exclusive"',
    replace: 'borrowOf(statement) === pool.shared) ? "units" : "units"',
    red: [live("those of keyed statements share a connection")]
  },
  {
    name: "Unit: it shares a connection with statements",
    file: "src/postgres/pool/PoolSlots.ts",
    find: "kind === slot.kind && sharers < sharedDepth",
    replace: 'kind !== "exclusive" && sharers < sharedDepth',
    red: [live("those of keyed statements share a connection")]
  },
  {
    name: "Unit: one that another one kept from beginning fails",
    file,
    find: 'isStale(reason.cause) || (_tag === "Begin" && isInFailedTransaction(reason.cause))',
    replace: "isStale(reason.cause)",
    red: [live("what the server has forgotten takes none of those with it")]
  },
  {
    name: "Unit: what a lost answer may have done is done again",
    file,
    find: '{ idempotent: call.kind === "read" || call.idempotent === true }',
    replace: "{ idempotent: true }",
    red: [live("the reply is lost: CommitUnknown")]
  },
  {
    name: "Unit: what is harmless twice is not sent again",
    file,
    find: 'call.kind === "read" || call.idempotent === true',
    replace: 'call.kind === "read"',
    red: [live("the reply is lost, and it is harmless twice")]
  },
  {
    name: "Unit: one under a tenant is not sent again",
    file,
    find: "alone ? outermost(nested) : nested",
    replace: "nested",
    red: [live("one that was refused for a while is sent again, under a tenant too")]
  },
  {
    name: "Unit: one inside a transaction is sent again",
    file,
    find: "alone ? outermost(nested) : nested",
    replace: "outermost(nested)",
    red: [
      live("inside a transaction one that was refused is not sent again"),
      live("one that conflicts each time is given up")
    ]
  },
  {
    name: "Unit: one that conflicts is not run again",
    file,
    find: "repeated(retry(unit, {",
    replace: "(retry(unit, {",
    red: [live("two that wait for each other both end"), live("one that conflicts each time is given up")]
  },
  {
    name: "Unit: one that fails inside a transaction leaves what it did",
    file,
    find: "sql.withTransaction(inside)",
    replace: "inside",
    red: [live("inside a transaction it is a savepoint")]
  },
  {
    name: "Unit: it forgets its tenant",
    file,
    find: "alone && fiber.getRef(CurrentTenant) === undefined",
    replace: "alone",
    red: [live("under a tenant all its statements are the tenant's")]
  },
  {
    name: "Unit: a failure of the pool does not name who asked",
    file,
    find: "(error) => error.during(call.operation)",
    replace: "(error) => error",
    red: [live("interrupted while it waits for a connection it is not sent")]
  }
]
