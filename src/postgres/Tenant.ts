import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * The tenant whose rows the statements in this Context may touch; none by default.
 *
 * Row level security reads it on the server as `current_setting('ai_core.tenant', true)`.
 */
export const CurrentTenant: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "@ai-core/database/postgres/CurrentTenant",
  { defaultValue: () => undefined }
)

/**
 * Runs an effect for one tenant: every PostgreSQL statement inside runs with `ai_core.tenant` set to it.
 *
 * The setting is the transaction's own and ends with it. A statement outside a transaction is given one of its own; a stream
 * and a reserved connection outside one are refused, and so is a transaction that was begun for another tenant, or for none.
 * Those failures, and an id that is empty or has a zero byte, are `StoreError`s (`InvalidData` naming `tenant`).
 *
 * @example
 * ```ts
 * invoices.list().pipe(Tenant.within("acme"))
 * ```
 */
export const within =
  (tenant: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(self, CurrentTenant, tenant)
