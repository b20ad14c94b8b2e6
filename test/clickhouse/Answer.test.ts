import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { type AnswerReader, makeAnswerReader } from "../../src/clickhouse/Answer.ts"
import { isStoreError } from "../../src/core/StoreError.ts"

const reader = (): AnswerReader =>
  makeAnswerReader(
    {
      endpoint: { store: "clickhouse", host: "test" },
      operation: "test",
      access: "read",
      query: "SELECT 1",
      params: undefined,
      elapsed: () => 0,
      outage: () => undefined
    },
    { status: 200, exceptionCode: undefined }
  )

/** The lines of an answer whose bytes come in pieces of this size. */
const linesOf = (text: string, size: number): ReadonlyArray<string> => {
  const answer = reader()
  const bytes = Buffer.from(text)
  const lines: Array<string> = []
  for (let at = 0; at < bytes.length; at += size) lines.push(...answer.push(bytes.subarray(at, at + size)))
  const rest = answer.end(undefined)
  assert.ok(!isStoreError(rest))
  return [...lines, ...rest]
}

describe("makeAnswerReader", () => {
  it("finds the same lines wherever the bytes are cut", () => {
    for (const end of ["", "\n", "\r\n"]) {
      const text = `{"a":"ü漢😀"}\r\n{"b":1}\n\n{"c":"\\r"}${end}`
      for (let size = 1; size <= Buffer.byteLength(text); size++) {
        assert.deepEqual(linesOf(text, size), ['{"a":"ü漢😀"}', '{"b":1}', '{"c":"\\r"}'], `pieces of ${size} bytes`)
      }
    }
  })

  // Joining the pieces of a line one by one would copy 400 GB here.
  it("takes time that grows with the length of a line, not with its square", () => {
    const long = "0123456789".repeat(2_000_000)
    assert.ok(linesOf(`${long}\n1`, 500).every((line, i) => line === [long, "1"][i]))
  })
})
