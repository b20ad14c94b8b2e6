import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Schema, SchemaGetter } from "effect"
import { decodeStored } from "../../src/core/Decode.ts"
import { decodedBy, directDecoder } from "../../src/core/DirectDecoder.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import { TimeOrderedId } from "../../src/core/TimeOrderedId.ts"
import { Version } from "../../src/core/Version.ts"
import { Email } from "../../src/platform/users/Users.ts"
import { Timestamp } from "../../src/postgres/repository/Row.ts"

const at = { store: "postgresql", operation: "Orders.find", subject: "row" } as const

const problemsOf = (error: StoreError): ReadonlyArray<string> => {
  assert.ok(error.reason._tag === "InvalidData")
  return error.reason.problems.map(({ field, problem }) => `${field}: ${problem}`)
}

describe("decodedBy", () => {
  const calls: Array<unknown> = []
  const Words = decodedBy(
    Schema.String.pipe(
      Schema.decodeTo(Schema.Array(Schema.NonEmptyString), {
        decode: SchemaGetter.transform((text) => text.split(" ")),
        encode: SchemaGetter.transform((words) => words.join(" "))
      })
    ),
    (text) => {
      calls.push(text)
      return typeof text === "string" && !/^ | {2}| $|^$/.test(text) ? text.split(" ") : undefined
    }
  )
  const decode = decodeStored(Schema.Struct({ title: Words, more: Schema.NullOr(Words) }))

  it.effect("decodes right values by the function, wherever the schema stands", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* decode(at, { title: "a b", more: "c" }), { title: ["a", "b"], more: ["c"] })
      assert.deepEqual(yield* decode(at, { title: "a", more: null }), { title: ["a"], more: null })
      assert.deepEqual(calls, ["a b", "c", "a"])
    })
  )

  it.effect("says of a wrong value what the schema says", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(decode(at, { title: "a  b", more: 1 }))
      assert.deepEqual(
        problemsOf(error).map((line) => line.slice(0, line.indexOf(":"))),
        ["title[1]", "more"]
      )
    })
  )

  it("encodes as the schema does", () => {
    assert.equal(Schema.encodeSync(Words)(["a", "b"]), "a b")
  })
})

describe("directDecoder", () => {
  const Item = Schema.Struct({
    id: TimeOrderedId.pipe(Schema.brand("ItemId")),
    version: Version,
    state: Schema.Literals(["open", "paid"]),
    due: Schema.NullOr(Schema.BigInt),
    note: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(5))),
    parts: Schema.Array(Schema.Struct({ done: Schema.Boolean, at: Timestamp }))
  })
  const moment = new Date("2026-01-02T03:04:05Z")
  const missing = Symbol("missing")
  const given: Readonly<Record<keyof typeof Item.fields | "other", ReadonlyArray<unknown>>> = {
    id: ["0193a5b0-7f3e-7000-8000-000000000001", "0193a5b0-7f3e-4000-8000-000000000001", 1, missing],
    version: [1, 0, 1.5, "1"],
    state: ["paid", "sold"],
    due: [null, 1n, 1, undefined],
    note: [missing, "five!", "", "sixsix", undefined],
    parts: [
      [],
      [{ done: true, at: moment, more: 1 }],
      [{ done: 1, at: moment }],
      [{ done: true, at: new Date(Number.NaN) }],
      {}
    ],
    other: [missing, 1]
  }
  /** Every combination of what is given for the fields, hence right ones and all kinds of wrong ones. */
  const all = Object.entries(given).reduce<ReadonlyArray<Readonly<Record<string, unknown>>>>(
    (made, [name, values]) =>
      made.flatMap((one) => values.map((value) => (value === missing ? one : { ...one, [name]: value }))),
    [{}]
  )

  for (const exact of [false, true]) {
    it(`decodes what the schema decodes, and leaves the rest to it${exact ? ", other fields too" : ""}`, () => {
      const direct = directDecoder(Item, { exact })
      const decode = Schema.decodeUnknownExit(Item, { onExcessProperty: exact ? "error" : "ignore" })
      assert.ok(direct !== undefined)
      let right = 0
      for (const value of all) {
        const exit = decode(value)
        assert.deepEqual(direct(value), Exit.isSuccess(exit) ? exit.value : undefined)
        if (Exit.isSuccess(exit)) right += 1
      }
      // 2 of due, 2 of note, and of parts and others 2 and 2, or where none may have other fields 1 and 1.
      assert.equal(right, exact ? 4 : 16)
    })
  }

  it("leaves to the schema what hides other fields, and what is no struct", () => {
    const Name = Schema.Struct({ name: Schema.String })
    const direct = directDecoder(Name, { exact: true })
    assert.deepEqual(direct?.({ name: "a" }), { name: "a" })
    for (const value of [
      { name: "a", [Symbol("other")]: 1 },
      Object.defineProperty({ name: "a" }, "other", { enumerable: false, value: 1 }),
      Object.assign(["a"], { name: "a" }),
      Object.assign(() => "a", {}),
      null,
      "a"
    ]) {
      assert.equal(direct?.(value), undefined)
    }
  })

  it("is none of a schema that is more than structs and arrays of plain values", () => {
    for (const schema of [
      Schema.Record(Schema.String, Schema.String),
      Schema.Tuple([Schema.String]),
      Schema.Struct({ name: Schema.FiniteFromString }),
      Schema.Struct({ name: Schema.String }).check(Schema.makeFilter(() => true)),
      Schema.flip(Schema.Struct({ name: Schema.String }).check(Schema.makeFilter(() => true))),
      Schema.flip(Schema.Union([Schema.String, Schema.Null]).check(Schema.makeFilter(() => true))),
      Schema.Struct({ name: Schema.optionalKey(Schema.Date) }),
      Schema.Union([Schema.String, Schema.Date]),
      Schema.Union([Schema.String, Schema.Literal("a")], { mode: "oneOf" }),
      Schema.Struct({ ["__proto__"]: Schema.String })
    ]) {
      assert.equal(directDecoder<unknown>(schema, { exact: false }), undefined)
    }
  })
})

describe("what is decoded by a function of its own", () => {
  const words = (letters: ReadonlyArray<string>, length: number): ReadonlyArray<string> =>
    length === 0 ? [""] : ["", ...words(letters, length - 1).flatMap((word) => letters.map((letter) => letter + word))]

  it("is an e-mail of ASCII only where the schema knows it as one", () => {
    const direct = directDecoder(Email, { exact: true })
    const isEmail = Schema.is(Email)
    const long = ["a".repeat(64), "a".repeat(65)].flatMap((name) =>
      [183, 184, 185, 186, 187].map((length) => `${name}@${"b".repeat(length)}.cd`)
    )
    const all = [...words(["a", "@", ".", "-", " ", "\0", "\u007f", "é"], 6), ...long]
    let found = 0
    for (const text of all) {
      const decoded = direct?.(text)
      if (decoded !== undefined) found += 1
      assert.equal(decoded !== undefined, isEmail(text) && /^[ -~]*$/.test(text), JSON.stringify(text))
    }
    assert.equal(found, 100)
  })

  it("is a version where the schema knows it as one", () => {
    const direct = directDecoder(Version, { exact: true })
    for (const value of [1, 2, 2 ** 31 - 1, 2 ** 31, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", 1n, null]) {
      assert.equal(direct?.(value), Schema.is(Version)(value) ? value : undefined)
    }
  })
})
