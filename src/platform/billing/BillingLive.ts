import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { Billing } from "./Billing.ts"
import { makeBilling } from "./makeBilling.ts"
import { make } from "../tables/TablesLive.ts"

/** `Billing` on PostgreSQL: a server, or the embedded engine. Its tables come from the platform's migrations. */
export const layer: Layer.Layer<Billing, never, PostgresClient | Transaction> = Layer.effect(
  Billing,
  Effect.map(make, makeBilling)
)
