import { describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as assert from "node:assert/strict"
import { stateMachine } from "../../src/core/StateMachine.ts"

const door = stateMachine("door", { open: ["closed"], closed: ["open", "locked"], locked: ["closed"], gone: [] })

describe("stateMachine", () => {
  it("goes only where a state leads", () => {
    assert.deepEqual(door.go("d1", "closed", "locked"), Result.succeed("locked"))
    const refused = door.go("d1", "open", "locked")
    assert.ok(Result.isFailure(refused))
    assert.equal(refused.failure.message, "door d1 cannot go from open to locked: open leads to closed")
    assert.deepEqual(refused.failure.allowed, ["closed"])
  })

  it("does not stay where nothing leads back", () => {
    assert.ok(Result.isFailure(door.go("d1", "open", "open")))
  })

  it("says that a final state leads nowhere", () => {
    assert.deepEqual(
      door.states.filter((state) => door.isFinal(state)),
      ["gone"]
    )
    const refused = door.go("d1", "gone", "open")
    assert.ok(Result.isFailure(refused))
    assert.equal(refused.failure.message, "door d1 cannot go from gone to open: gone leads nowhere")
  })

  it("knows what leads to a state, and which texts are states", () => {
    assert.deepEqual(door.before("closed"), ["open", "locked"])
    assert.deepEqual(door.before("gone"), [])
    assert.ok(Schema.is(door.schema)("locked"))
    assert.ok(!Schema.is(door.schema)("ajar"))
  })
})
