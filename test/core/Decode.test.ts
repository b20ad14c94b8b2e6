import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { decodeInput, decodeStored } from "../../src/core/Decode.ts"
import type { StoreError } from "../../src/core/StoreError.ts"

const Order = Schema.Struct({
  email: Schema.String.check(Schema.isPattern(/@/)),
  limit: Schema.Int.check(Schema.isGreaterThan(0)),
  status: Schema.Literals(["open", "paid"]),
  note: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(5))),
  items: Schema.Array(Schema.Struct({ price: Schema.Number, tags: Schema.Record(Schema.String, Schema.Boolean) }))
})

const right = { email: "a@b", limit: 1, status: "open", items: [{ price: 1, tags: { new: true } }] }
const at = { store: "mongodb", operation: "Orders.insert", subject: "input" } as const

const problemsOf = (error: StoreError): ReadonlyArray<string> => {
  assert.ok(error.reason._tag === "InvalidData")
  return error.reason.problems.map(({ field, problem }) => `${field}: ${problem}`)
}

describe("decodeInput", () => {
  const decode = decodeInput(Order)

  it.effect("lets a right value through", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* decode(at, right), right)
    })
  )

  it.effect("names every wrong field by its path, and says what was expected", () =>
    Effect.gen(function* () {
      const wrong = {
        email: "secret",
        limit: 0,
        status: "secret",
        note: "secret",
        items: [right.items[0], { price: "secret", tags: { new: "secret" } }],
        extra: "secret"
      }
      const error = yield* Effect.flip(decode(at, wrong))
      const problems = problemsOf(error)
      assert.deepEqual(problems.map((line) => line.slice(0, line.indexOf(":"))).sort(), [
        "email",
        "extra",
        "items[1].price",
        "items[1].tags.new",
        "limit",
        "note",
        "status"
      ])
      assert.ok(problems.includes("extra: is not a known field"), problems.join("\n"))
      assert.ok(problems.includes('status: must be "open" | "paid"'), problems.join("\n"))
      assert.ok(problems.includes("items[1].price: must be number"), problems.join("\n"))
      assert.equal(error.outcome, "not-applied")
      assert.doesNotMatch(error.message + JSON.stringify(error), /secret/)
    })
  )

  it.effect("names what is missing, and a value that is no object at all", () =>
    Effect.gen(function* () {
      assert.deepEqual(problemsOf(yield* Effect.flip(decode(at, { email: "a@b", limit: 1, items: [] }))), [
        "status: is missing"
      ])
      const [only, ...others] = problemsOf(yield* Effect.flip(decode(at, "secret")))
      assert.match(only ?? "", /^: must be /)
      assert.deepEqual(others, [])
    })
  )

  it("a getter that throws is a defect of the effect, and not thrown at once", () => {
    const plain = decodeInput(Schema.Struct({ name: Schema.String }))
    const exit = plain(at, {
      get name() {
        throw new TypeError("no name")
      }
    })
    assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
  })

  it.effect("the message reads as a sentence", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(decode(at, { ...right, limit: 1.5, extra: 1 }))
      assert.equal(
        error.message,
        "MongoDB Orders.insert: input: extra is not a known field; limit must be an integer (not-applied)"
      )
    })
  )
})

describe("decodeStored", () => {
  const decode = decodeStored(Order)

  it.effect("drops what the schema does not know", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* decode(at, { ...right, _id: 1 }), right)
    })
  )

  it.effect("names the row or document, and the path in it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        decode({ ...at, operation: "Orders.find", subject: "document 66f0" }, { ...right, items: [{ price: 1 }] })
      )
      assert.equal(error.message, "MongoDB Orders.find: document 66f0: items[0].tags is missing (not-applied)")
    })
  )
})
