import { it } from "@effect/vitest"
import { Duration, Effect, type Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Store } from "../../src/core/Store.ts"
import { type Contract, PassTime } from "../../src/testing/Contract.ts"
import { lackingStores, skipSuite } from "../servers/index.ts"

export type Implementation = "memory" | "live" | "embedded"

declare module "vitest" {
  interface TaskMeta {
    contract?: { readonly capability: string; readonly implementation: Implementation }
  }
}

export interface ContractRun<R> {
  readonly implementation: Implementation
  /** The stores whose servers the layer talks to; without them the contract is skipped, and the run says so. */
  readonly stores?: ReadonlyArray<Store> | undefined
  /** A function where it needs the URL of a server: it is called only where the stores are there. */
  readonly layer: Layer.Layer<R, unknown> | (() => Layer.Layer<R, unknown>)
  /** What makes time pass: TestClock (default for `memory`), or waiting. */
  readonly clock?: "test" | "live" | undefined
  /** Longest run of one case; 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** Runs every case of a contract against one implementation, on a layer built for this suite alone. */
export const runContract = <R>(contract: Contract<R>, options: ContractRun<R>): void => {
  const { implementation } = options
  const title = `${contract.capability} · ${implementation}`
  const onTestClock = (options.clock ?? (implementation === "memory" ? "test" : "live")) === "test"
  const meta = { contract: { capability: contract.capability, implementation } }
  const timeout = Duration.toMillis(options.timeout ?? "30 seconds")

  const lacking = lackingStores(options.stores ?? [])
  if (lacking.length > 0) return skipSuite(title, lacking, meta)

  const layer = typeof options.layer === "function" ? options.layer() : options.layer
  it.layer(layer, { excludeTestServices: !onTestClock, timeout: "2 minutes" })(title, (it) => {
    for (const { name, run } of contract.cases) {
      it.effect(name, () => (onTestClock ? Effect.provideService(run, PassTime, TestClock.adjust) : run), {
        timeout,
        meta
      })
    }
  })
}
