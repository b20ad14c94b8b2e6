import { describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import * as assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { IdempotencyConflict, IdempotencyKey, requestHash } from "../../src/core/Idempotency.ts"

const Request = Schema.Struct({
  note: Schema.optional(Schema.NullOr(Schema.String)),
  amount: Schema.Struct({ value: Schema.Int, currency: Schema.String }),
  at: Schema.optional(Schema.DateTimeUtc),
  tags: Schema.Array(Schema.String)
})
const hashOf = requestHash(Request)
const request = { amount: { value: 1, currency: "EUR" }, tags: ["a", "b"] }

describe("Idempotency", () => {
  it.effect("the hash of a request is SHA-256 of its JSON, its fields in order", () =>
    Effect.gen(function* () {
      const json = '{"amount":{"currency":"EUR","value":1},"tags":["a","b"]}'
      assert.equal(yield* hashOf(request), createHash("sha256").update(json).digest("hex"))
    })
  )

  it.effect("the order of fields, and those that are left out, make no difference", () =>
    Effect.gen(function* () {
      const other = { tags: ["a", "b"], at: undefined, amount: { currency: "EUR", value: 1 } }
      assert.equal(yield* hashOf(other), yield* hashOf(request))
    })
  )

  it.effect("any other request has another hash", () =>
    Effect.gen(function* () {
      const hashes = yield* Effect.forEach(
        [
          request,
          { ...request, amount: { value: 2, currency: "EUR" } },
          { ...request, amount: { value: 1, currency: "USD" } },
          { ...request, tags: ["b", "a"] },
          { ...request, tags: ["a,b"] },
          { ...request, tags: [] },
          { ...request, note: null },
          { ...request, note: "null" },
          { ...request, at: DateTime.makeUnsafe(0) },
          { ...request, at: DateTime.makeUnsafe(1) }
        ],
        hashOf
      )
      assert.equal(new Set(hashes).size, 10)
      for (const hash of hashes) assert.match(hash, /^[0-9a-f]{64}$/)
    })
  )

  it("a key is 1 to 200 characters that a store can hold", () => {
    const is = Schema.is(IdempotencyKey)
    assert.ok(is("k".repeat(200)) && is("🔑"))
    for (const wrong of ["", "k".repeat(201), "a\0b", "\ud800"]) assert.ok(!is(wrong))
  })

  it("a conflict says what the key was used for", () => {
    const conflict = new IdempotencyConflict({ subject: "payment", key: 'a"b' })
    assert.equal(conflict.message, 'another payment was made with the key "a\\"b"')
  })
})
