import type * as Effect from "effect/Effect"
import type { PoolStats } from "./Pool.ts"
import type { Endpoint } from "./StartUp.ts"
import type { StoreError } from "./StoreError.ts"

/** What every store offers to those who watch over it. */
export interface Probe {
  readonly endpoint: Endpoint
  /** One round trip to the store. */
  readonly ping: Effect.Effect<void, StoreError>
  readonly stats: Effect.Effect<PoolStats>
}
