import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { type AuditCursor, type AuditEntry, AuditLog } from "../../platform/audit/AuditLog.ts"
import * as TimeRange from "../../platform/TimeRange.ts"
import { Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { pages, refuses, untyped } from "../Expectations.ts"
import { hostile, nobody, someUser } from "./users.ts"

type Run = Effect.Effect<void, unknown, AuditLog | Users | Transaction>

/** Appends an entry of each action, about a subject of the case's own. */
const told = (actions: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const log = yield* AuditLog
    const subjectId = yield* unique("subject")
    const entries = yield* Effect.forEach(actions, (action) =>
      Effect.andThen(passTime("2 millis"), log.append({ action, subjectKind: "thing", subjectId }))
    )
    return { subjectId, entries }
  })

const ids = (entries: ReadonlyArray<AuditEntry>) => entries.map(({ id }) => id)

const cases: Record<string, Run> = {
  "an entry is listed as it was told": Effect.gen(function* () {
    const log = yield* AuditLog
    const user = yield* someUser()
    const detail = { from: "a", to: ["b", 1, null, { c: true }], text: hostile }
    const entry = yield* log.append({
      actorId: user.id,
      action: "user.rename",
      subjectKind: "user",
      subjectId: hostile.slice(0, 40) + user.id,
      detail
    })
    assert.deepEqual(entry.detail, detail)
    const { items } = yield* log.list({ subjectKind: "user", subjectId: entry.subjectId })
    assert.deepEqual(items, [entry])
  }),
  "the platform itself is nobody, and an entry may say no more than that": Effect.gen(function* () {
    const log = yield* AuditLog
    const subjectId = yield* unique("subject")
    const entry = yield* log.append({ action: "clean", subjectKind: "thing", subjectId })
    assert.deepEqual([entry.actorId, entry.detail], [null, {}])
    assert.deepEqual((yield* log.list({ subjectKind: "thing", subjectId })).items, [entry])
  }),
  "what was told is not changed by who changes what it was told with": Effect.gen(function* () {
    const log = yield* AuditLog
    const subjectId = yield* unique("subject")
    const list = ["a"]
    yield* log.append({ action: "tell", subjectKind: "thing", subjectId, detail: { list, zero: -0 } })
    list.push("b")
    const { items } = yield* log.list({ subjectKind: "thing", subjectId })
    assert.deepEqual(items[0]?.detail, { list: ["a"], zero: 0 })
  }),
  "entries outlive the user they tell of": Effect.gen(function* () {
    const log = yield* AuditLog
    const users = yield* Users
    const user = yield* someUser()
    const entry = yield* log.append({ actorId: user.id, action: "quit", subjectKind: "user", subjectId: user.id })
    yield* users.delete(user.id)
    assert.deepEqual((yield* log.list({ actorId: user.id })).items, [entry])
  }),
  "an entry is there exactly if what it tells of is": Effect.gen(function* () {
    const log = yield* AuditLog
    const { run } = yield* Transaction
    const subjectId = yield* unique("subject")
    const listed = Effect.map(log.list({ subjectKind: "thing", subjectId }), ({ items }) =>
      items.map(({ action }) => action)
    )
    const tell = (action: string) => log.append({ action, subjectKind: "thing", subjectId })
    assert.deepEqual(yield* run(Effect.andThen(tell("kept"), listed)), ["kept"])
    yield* Effect.flip(run(Effect.andThen(tell("undone"), Effect.fail("no" as const))))
    yield* run(
      Effect.andThen(Effect.ignore(run(Effect.andThen(tell("inner"), Effect.fail("no" as const)))), tell("outer"))
    )
    assert.deepEqual((yield* listed).toSorted(), ["kept", "outer"])
  }),
  "several entries are appended at once, in their order": Effect.gen(function* () {
    const log = yield* AuditLog
    const subjectId = yield* unique("subject")
    const made = yield* log.appendMany(
      ["a", "b", "c"].map((action) => ({ action, subjectKind: "thing", subjectId, detail: { action } }))
    )
    assert.deepEqual(
      made.map(({ detail }) => detail["action"]),
      ["a", "b", "c"]
    )
    assert.deepEqual((yield* log.list({ subjectKind: "thing", subjectId })).items, made.toReversed())
    assert.deepEqual(yield* log.appendMany([]), [])
  }),
  "of several entries with a wrong one none is appended": Effect.gen(function* () {
    const log = yield* AuditLog
    const subjectId = yield* unique("subject")
    const entry = { action: "a", subjectKind: "thing", subjectId }
    yield* refuses(log.appendMany([entry, { ...entry, action: "NO" }]), "AuditLog.appendMany", ["entries[1].action"])
    assert.deepEqual((yield* log.list({ subjectKind: "thing", subjectId })).items, [])
  }),
  "pages list every entry once, newest first": Effect.gen(function* () {
    const log = yield* AuditLog
    const { entries, subjectId } = yield* told(["a", "b", "c", "d", "e"])
    const read = yield* pages((after: AuditCursor | undefined) =>
      log.list({ subjectKind: "thing", subjectId, limit: 2, after })
    )
    assert.deepEqual(
      read.map((page) => page.length),
      [2, 2, 1]
    )
    assert.deepEqual(read.flat(), entries.toReversed())
  }),
  "a list is narrowed by each of its conditions": Effect.gen(function* () {
    const log = yield* AuditLog
    const user = yield* someUser()
    const { entries, subjectId } = yield* told(["a", "b", "a"])
    const own = yield* log.append({ actorId: user.id, action: "a", subjectKind: "thing", subjectId })
    const other = yield* log.append({ action: "a", subjectKind: "other", subjectId })
    const listed = (filter: object) =>
      Effect.map(log.list({ subjectKind: "thing", subjectId, ...filter }), ({ items }) => ids(items))
    const [a1, b, a2] = ids(entries)
    assert.deepEqual(yield* listed({ action: "a" }), [own.id, a2, a1])
    assert.deepEqual(yield* listed({ action: "b" }), [b])
    assert.deepEqual(yield* listed({ subjectKind: "other" }), [other.id])
    assert.deepEqual(yield* listed({ actorId: user.id }), [own.id])
    assert.deepEqual(yield* listed({ actorId: nobody }), [])
    assert.deepEqual(ids((yield* log.list({ actorId: user.id, action: "a" })).items), [own.id])
    const kind = (yield* unique("kind")).replaceAll(/[^a-z0-9]/g, "-")
    const only = yield* log.append({ action: "a", subjectKind: kind, subjectId })
    assert.deepEqual(ids((yield* log.list({ subjectKind: kind })).items), [only.id])
    assert.deepEqual(yield* listed({ action: hostile }), [])
    assert.deepEqual(yield* listed({ subjectId: subjectId.toUpperCase() }), [])
  }),
  "a span of time holds its start and not its end": Effect.gen(function* () {
    const log = yield* AuditLog
    const { entries, subjectId } = yield* told(["a", "b", "c"])
    const [a, b, c] = entries.map(({ occurredAt }) => occurredAt)
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    const during = (range: TimeRange.TimeRange) =>
      Effect.map(log.list({ subjectKind: "thing", subjectId, during: range }), ({ items }) =>
        items.map(({ action }) => action)
      )
    assert.deepEqual(yield* during(TimeRange.between(a, c)), ["b", "a"])
    assert.deepEqual(yield* during(TimeRange.between(b, DateTime.addDuration(c, "1 millis"))), ["c", "b"])
    assert.deepEqual(yield* during(TimeRange.lastHour()), ["c", "b", "a"])
  }),
  "a stream holds every entry once, and its consumer may append": Effect.gen(function* () {
    const log = yield* AuditLog
    const { entries, subjectId } = yield* told(["a", "b", "c"])
    const other = yield* unique("subject")
    const seen = yield* log.stream({ subjectKind: "thing", subjectId }).pipe(
      Stream.tap(({ id }) => log.append({ action: "seen", subjectKind: "entry", subjectId: other, detail: { id } })),
      Stream.runCollect
    )
    assert.deepEqual(ids(seen), ids(entries).toReversed())
    assert.equal((yield* log.list({ subjectKind: "entry", subjectId: other })).items.length, 3)
  }),
  "of a thousand entries, told in one moment, each is listed and streamed once; a page has 50 where nobody says":
    Effect.gen(function* () {
      const log = yield* AuditLog
      const subjectId = yield* unique("subject")
      const entry = { action: "a", subjectKind: "thing", subjectId }
      const made = yield* log.appendMany(Array.from({ length: 1000 }, () => entry))
      const newest = ids(made).toReversed()
      assert.deepEqual(ids(yield* Stream.runCollect(log.stream({ subjectKind: "thing", subjectId }))), newest)
      const first = yield* log.list({ subjectKind: "thing", subjectId })
      const second = yield* log.list({
        subjectKind: "thing",
        subjectId,
        limit: 1,
        after: Option.getOrThrow(first.next)
      })
      assert.deepEqual([...ids(first.items), ...ids(second.items)], newest.slice(0, 51))
      const tooMany = Array.from({ length: 1001 }, () => entry)
      yield* refuses(log.appendMany(tooMany), "AuditLog.appendMany", ["entries"])
    }),
  "wrong input is refused before anything is sent, each field by name": Effect.gen(function* () {
    const log = yield* AuditLog
    yield* refuses(
      log.append({ actorId: untyped("x"), action: "No", subjectKind: "", subjectId: "" }),
      "AuditLog.append",
      ["actorId", "action", "subjectKind", "subjectId"]
    )
    const told = { action: "a", subjectKind: "b", subjectId: "c" }
    yield* refuses(log.append({ ...told, detail: { "\0": 1 } }), "AuditLog.append", ["detail"])
    yield* refuses(log.append({ ...told, detail: { a: ["\ud800"] } }), "AuditLog.append", ["detail"])
    yield* refuses(log.append({ ...told, detail: untyped([1]) }), "AuditLog.append", ["detail"])
    yield* refuses(log.append({ ...told, detail: untyped({ a: 1n }) }), "AuditLog.append", ["detail.a"])
    yield* refuses(log.list({ limit: -1 }), "AuditLog.list", ["limit"])
    yield* refuses(log.list({ subjectId: "1" }), "AuditLog.list", ["subjectKind"])
    yield* refuses(Stream.runDrain(log.stream({ subjectId: "1" })), "AuditLog.list", ["subjectKind"])
    yield* refuses(log.list({ during: untyped("today") }), "AuditLog.list", ["during"])
    yield* refuses(log.list({ during: untyped({ _tag: "Between", from: "never", to: 0 }) }), "AuditLog.list", [
      "during.from"
    ])
    yield* refuses(log.list({ action: "\0", subjectKind: "\0", subjectId: "\ud800" }), "AuditLog.list", [
      "action",
      "subjectKind",
      "subjectId"
    ])
    yield* refuses(log.list(untyped({ subject: "x" })), "AuditLog.list", ["subject"])
  })
}

export const AuditLogContract: Contract<AuditLog | Users | Transaction> = make("AuditLog", cases)
