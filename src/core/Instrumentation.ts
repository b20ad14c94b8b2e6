import { Effect, Tracer } from "effect"
import type { Store } from "./Store.ts"

/**
 * Puts a client span around a call, named and attributed as OpenTelemetry's database conventions say.
 *
 * Where no tracer but Effect's in-memory default is installed nothing would ever read the span, so none is made.
 */
export const withClientSpan = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  store: Store,
  operation: string
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? self
      : Effect.withSpan(self, operation, {
          kind: "client",
          attributes: { "db.system.name": store, "db.operation.name": operation }
        })
  )
