import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import * as assert from "node:assert/strict"
import type { Store } from "../../src/core/Store.ts"
import { migrateStores } from "../../src/migrations/Stores.ts"
import { quiet } from "./support.ts"

/** Four stores, of which some fail; gives which were run, and every failure. */
const migrated = (failing: ReadonlyArray<Store>, continueOnError: boolean) =>
  Effect.gen(function* () {
    const ran: Array<Store> = []
    const one = (store: Store, after: ReadonlyArray<Store> = []) => ({
      store,
      after,
      run: Effect.suspend(() => {
        ran.push(store)
        return failing.includes(store) ? Effect.fail(`${store} failed`) : Effect.void
      })
    })
    const exit = yield* Effect.exit(
      migrateStores(
        [one("postgresql"), one("clickhouse", ["postgresql"]), one("redis", ["clickhouse"]), one("mongodb")],
        { continueOnError }
      )
    )
    const errors = Exit.isSuccess(exit)
      ? []
      : exit.cause.reasons.flatMap((reason) => (Cause.isFailReason(reason) ? [reason.error] : []))
    return { ran, errors }
  }).pipe(Effect.provide(quiet))

describe("migrateStores", () => {
  it.effect("runs all, in order", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* migrated([], false), {
        ran: ["postgresql", "clickhouse", "redis", "mongodb"],
        errors: []
      })
    })
  )

  it.effect("ends at the first failure", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* migrated(["clickhouse", "mongodb"], false), {
        ran: ["postgresql", "clickhouse"],
        errors: ["clickhouse failed"]
      })
    })
  )

  it.effect("continueOnError halts the dependents of the failed store, and tells every failure", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* migrated(["postgresql"], true), {
        ran: ["postgresql", "mongodb"],
        errors: ["postgresql failed"]
      })
      assert.deepEqual(yield* migrated(["clickhouse", "mongodb"], true), {
        ran: ["postgresql", "clickhouse", "mongodb"],
        errors: ["clickhouse failed", "mongodb failed"]
      })
    })
  )
})
