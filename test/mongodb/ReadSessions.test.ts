import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MongoClient, type TopologyDescriptionChangedEvent } from "mongodb"
import { makeReadSessions } from "../../src/mongodb/ReadSessions.ts"

const minute = 60_000

/** A client that has not connected, told what a server of a deployment would say of sessions. */
const sessionsOf = (
  options: { readonly url?: string; readonly most?: number; readonly keptMinutes?: number | null } = {}
) =>
  Effect.gen(function* () {
    const { keptMinutes = 30, most = 2, url = "mongodb://127.0.0.1:9/" } = options
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new MongoClient(url)),
      (client) => Effect.promise(() => client.close())
    )
    const sessions = makeReadSessions(client, most)
    const heard = () =>
      void client.emit("topologyDescriptionChanged", {
        newDescription: { logicalSessionTimeoutMinutes: keptMinutes }
      } as TopologyDescriptionChangedEvent)
    return { sessions, heard }
  })

describe("the sessions that reads use one after the other", () => {
  it.effect("one that was given back is taken again, and two that are taken at once are two", () =>
    Effect.gen(function* () {
      const { heard, sessions } = yield* sessionsOf()
      heard()
      const first = sessions.take(0)
      const second = sessions.take(0)
      assert.ok(first !== undefined && second !== undefined)
      assert.notStrictEqual(first.driver, second.driver)
      sessions.giveBack(first)
      assert.strictEqual(sessions.take(1)?.driver, first.driver)
      assert.ok(!first.driver.hasEnded)
    })
  )

  it.effect("no more are open than may be, so that a crowd of waiting callers opens none on the server", () =>
    Effect.gen(function* () {
      const { heard, sessions } = yield* sessionsOf({ most: 1 })
      heard()
      const only = sessions.take(0)
      assert.strictEqual(sessions.take(0), undefined)
      if (only !== undefined) sessions.end(only)
      assert.ok(only?.driver.hasEnded)
      assert.notStrictEqual(sessions.take(0)?.driver, only.driver)
    })
  )

  it.effect("one that the server may have forgotten is ended and not taken again", () =>
    Effect.gen(function* () {
      const { heard, sessions } = yield* sessionsOf({ keptMinutes: 30 })
      heard()
      const [older, newer] = [sessions.take(0), sessions.take(0)]
      assert.ok(older !== undefined && newer !== undefined)
      sessions.giveBack(older)
      sessions.giveBack(newer)
      assert.strictEqual(sessions.take(29 * minute - 1)?.driver, newer.driver)
      sessions.giveBack(newer)
      assert.strictEqual(sessions.take(58 * minute), undefined)
      assert.ok(older.driver.hasEnded && newer.driver.hasEnded)
      assert.ok(sessions.take(58 * minute) !== undefined)
    })
  )

  it.effect("none is taken before a server has said that it keeps any, nor where it keeps none", () =>
    Effect.gen(function* () {
      const { heard, sessions } = yield* sessionsOf({ keptMinutes: null })
      assert.strictEqual(sessions.take(0), undefined)
      heard()
      assert.strictEqual(sessions.take(0), undefined)
    })
  )

  for (const url of ["mongodb://127.0.0.1:9/?w=0", "mongodb://127.0.0.1:9/?loadBalanced=true"]) {
    it.effect(`none is taken for ${url.split("?")[1]}`, () =>
      Effect.gen(function* () {
        const { heard, sessions } = yield* sessionsOf({ url })
        heard()
        assert.strictEqual(sessions.take(0), undefined)
      })
    )
  }
})
