import { describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, Schema, Stream } from "effect"
import * as assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { decodeInput } from "../../src/core/Decode.ts"
import { Day } from "../../src/core/Day.ts"
import { cursor, cursorAgrees, type Page, streamPages } from "../../src/core/KeysetPage.ts"

const Text = Schema.String.pipe(Schema.brand("Cursor"))
const place = Schema.Struct({ owner: Schema.String, at: Schema.DateTimeUtcFromMillis })
const last = { owner: "ann", at: DateTime.makeUnsafe(1) }

const notes = cursor("notes", Text, place)
const drafts = cursor("drafts", Text, place)

/** What is wrong with the options of a list, by field. */
const problems = <A>(schema: Schema.ConstraintDecoder<A>, options: unknown) =>
  Effect.map(
    Effect.flip(decodeInput(schema)({ store: "postgresql", operation: "Notes.list", subject: "input" }, options)),
    ({ reason }) =>
      reason._tag === "InvalidData" ? reason.problems.map((p) => `${p.field} ${p.problem}`) : reason._tag
  )

describe("cursor", () => {
  it("gives back the key that it was made of", () => {
    assert.deepEqual(Schema.decodeSync(notes.key)(notes.after(last)), last)
    assert.equal(Schema.encodeSync(notes.key)(last), notes.after(last))
  })

  it.effect("of another list whose keys have the same form is refused, and the failure says what is wanted", () =>
    Effect.gen(function* () {
      const list = Schema.Struct({ after: Schema.optional(notes.key) })
      for (const after of [drafts.after(last), "", "page-2", "e30", "WyJub3RlcyJd"]) {
        assert.deepEqual(yield* problems(list, { after }), ['after must be the `next` of a page of the list "notes"'])
      }
    })
  )

  it("of a key that admits null is a defect that names list, field and fix, and no program that TypeScript takes", () => {
    const dated = (dueOn: Schema.Codec<string | null, string | null>) =>
      // @ts-expect-error -- A key without null is asked for.
      cursor("dated", Text, Schema.Struct({ dueOn, id: Schema.String }))
    assert.throws(
      () => dated(Schema.NullOr(Schema.String)),
      /"dueOn" of the cursor of "dated" may not be null.*coalesce/
    )
    const due = cursor("due", Text, Schema.Struct({ dueOrder: Schema.Union([Day, Schema.Literal("infinity")]) }))
    for (const dueOrder of ["2026-05-01", "infinity"]) {
      assert.deepEqual(Schema.decodeSync(due.key)(due.after({ dueOrder })), { dueOrder })
    }
  })

  it("bears a name that no other list of the platform has", () => {
    const folder = new URL("../../src/platform/", import.meta.url)
    const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"))
    const names = sources.flatMap((path) =>
      [...readFileSync(new URL(path, folder), "utf8").matchAll(/\b(?:timeC|c)ursor\(\s*"([^"]+)"/g)].map(
        ([, name]) => name!
      )
    )
    assert.ok(names.length > 20, names.join())
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      []
    )
  })
})

describe("cursorAgrees", () => {
  const options = Schema.Struct({ after: Schema.optional(notes.key) })
  const after = notes.after(last)
  const decode = <A>(schema: Schema.ConstraintDecoder<A>, input: unknown) => Schema.decodeUnknownSync(schema)(input)

  it.effect("refuses the cursor of another owner, beside the owner and in a method's options", () =>
    Effect.gen(function* () {
      const flat = Schema.Struct({ owner: Schema.String, ...options.fields }).check(cursorAgrees("owner"))
      const nested = Schema.Struct({ owner: Schema.String, options }).check(cursorAgrees("owner"))
      decode(flat, { owner: "ann", after })
      decode(flat, { owner: "bob" })
      decode(nested, { owner: "ann", options: { after } })
      decode(nested, { owner: "bob", options: {} })
      const problem = "must be the `next` of a page of the same owner"
      assert.deepEqual(yield* problems(flat, { owner: "bob", after }), [`after ${problem}`])
      assert.deepEqual(yield* problems(nested, { owner: "bob", options: { after } }), [`options.after ${problem}`])
    })
  )
})

describe("streamPages", () => {
  it.effect("reads pages until the last, each when the one before is used up, and knows the cursor's type", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const list = ({ after = 0 }: { readonly after?: number }): Effect.Effect<Page<string, number>, "lost"> =>
        Effect.sync(() => {
          asked.push(after)
          return { items: [`${after}a`, `${after}b`], next: after < 2 ? Option.some(after + 1) : Option.none() }
        })
      const all: Stream.Stream<string, "lost"> = streamPages(list({}), (after) => list({ after }))
      assert.deepEqual(yield* Stream.runCollect(Stream.take(all, 3)), ["0a", "0b", "1a"])
      assert.deepEqual(asked, [0, 1])
      assert.deepEqual(yield* Stream.runCollect(all), ["0a", "0b", "1a", "1b", "2a", "2b"])
    })
  )
})
