import { assert, describe, it } from "@effect/vitest"
import { MongoNetworkError, MongoServerError } from "mongodb"
import { poolStats } from "../../src/core/Pool.ts"
import { type FailedCall, toStoreError } from "../../src/mongodb/MongoDbError.ts"

const call = (more: Partial<FailedCall> = {}): FailedCall => ({
  operation: "things.updateOne",
  kind: "write",
  endpoint: { store: "mongodb", host: "db.example", port: 27017 },
  sent: true,
  waitedMillis: 5,
  stats: poolStats({ size: 1, inUse: 1, waiting: 0, max: 2 }),
  ...more
})

const said = (code: number, labels: ReadonlyArray<string> = []) =>
  new MongoServerError({ message: "canary", errmsg: "canary", code, codeName: "Name", errorLabels: [...labels] })

describe("a server's failure is classified by label first, then by code", () => {
  const table: ReadonlyArray<readonly [number, ReadonlyArray<string>, string, string]> = [
    [11000, [], "ConstraintViolated", "not-applied"],
    [121, [], "ConstraintViolated", "not-applied"],
    [50, [], "Timeout", "unknown"],
    [18, [], "AuthenticationFailed", "not-applied"],
    [13, [], "Forbidden", "not-applied"],
    [10107, [], "NotPrimary", "not-applied"],
    [189, [], "NotPrimary", "not-applied"],
    [11602, [], "NotPrimary", "not-applied"],
    [13435, [], "NotPrimary", "not-applied"],
    [91, [], "NotPrimary", "not-applied"],
    [112, [], "Conflict", "not-applied"],
    [112, ["TransientTransactionError"], "Conflict", "not-applied"],
    [91, ["TransientTransactionError"], "Conflict", "not-applied"],
    [91, ["UnknownTransactionCommitResult"], "CommitUnknown", "unknown"],
    [462, ["SystemOverloadedError", "RetryableError"], "Overloaded", "not-applied"],
    [14031, [], "ResourceExhausted", "not-applied"],
    [10334, [], "LimitExceeded", "not-applied"],
    [11601, [], "Cancelled", "unknown"],
    [2, [], "InvalidStatement", "not-applied"],
    [40324, [], "InvalidStatement", "not-applied"],
    [9999, [], "Unclassified", "not-applied"]
  ]
  for (const [code, labels, tag, outcome] of table) {
    it(`${code} ${labels.join(" ")} is ${tag}, ${outcome}`, () => {
      const error = toStoreError(said(code, labels), call())
      assert.deepStrictEqual([error.reason._tag, error.outcome], [tag as never, outcome as never])
      assert.notInclude(error.message + JSON.stringify(error.reason), "canary")
    })
  }

  it("a read applies nothing, whatever it met", () => {
    for (const [code] of table)
      assert.strictEqual(toStoreError(said(code), call({ kind: "read" })).outcome, "not-applied")
  })

  it("of a write of many, some may be applied before the one that was refused", () => {
    assert.strictEqual(toStoreError(said(11000), call({ kind: "writes" })).outcome, "unknown")
    assert.strictEqual(toStoreError(said(13), call({ kind: "writes" })).outcome, "not-applied")
  })

  it("a lost connection is unknown once the command was sent, and Unavailable before", () => {
    const lost = new MongoNetworkError("connection closed")
    const sent = toStoreError(lost, call())
    assert.deepStrictEqual([sent.reason._tag, sent.outcome], ["ConnectionLost", "unknown"])
    const waiting = toStoreError(lost, call({ sent: false }))
    assert.deepStrictEqual([waiting.reason._tag, waiting.outcome], ["Unavailable", "not-applied"])
  })

  it("Node's own socket error, which the driver lets through, is a lost connection too", () => {
    const error = toStoreError(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }), call())
    assert.deepStrictEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
  })

  it("a duplicate key keeps no value, not even in its cause", () => {
    const error = new MongoServerError({
      message: 'E11000 duplicate key error collection: db.users index: email_1 dup key: { email: "canary" }',
      code: 11000,
      keyPattern: { email: 1 },
      keyValue: { email: "canary" }
    })
    const { cause, reason } = toStoreError(error, call())
    assert.strictEqual(cause, undefined)
    assert.strictEqual(reason._tag === "ConstraintViolated" ? reason.constraint : "", "email_1")
    assert.strictEqual(reason._tag === "ConstraintViolated" ? reason.table : "", "users")
    assert.notInclude(JSON.stringify(reason), "canary")
  })
})
