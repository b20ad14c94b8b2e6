import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { Billing } from "./Billing.ts"
import { billingTables } from "./BillingTables.ts"
import { makeBilling } from "./makeBilling.ts"
import { make } from "../tables/TablesMemory.ts"

/** `Billing` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Billing, never, PostgresMemory> = Layer.effect(
  Billing,
  Effect.map(make(...billingTables), makeBilling)
)
