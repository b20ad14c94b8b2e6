import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Endpoint } from "./StartUp.ts"
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

/**
 * What a connection pool tells whoever measures it.
 *
 * The hooks are called where it happens, so they must be quick and must not throw.
 */
export interface PoolHooks {
  /** A connection was opened, which took this long. */
  readonly opened?: ((millis: number) => void) | undefined
  readonly closed?: (() => void) | undefined
  /** A caller got a connection after waiting this long; 0 where one was free. */
  readonly acquired?: ((waitedMillis: number) => void) | undefined
  /** A caller gave up after waiting this long. */
  readonly timedOut?: ((waitedMillis: number) => void) | undefined
  /** A caller gave its connection back after this long. */
  readonly released?: ((heldMillis: number) => void) | undefined
}

/** Makes the hooks of a client's pool; read when the client is made. None by default. */
export const PoolInstrumentation = Context.Reference<(endpoint: Endpoint) => PoolHooks>(
  "@ai-core/database/core/PoolInstrumentation",
  { defaultValue: () => () => ({}) }
)

/** A call that takes longer than this is reported with its summary; read when a client is made. 1 s by default. */
export const SlowQueryThreshold = Context.Reference<Duration.Duration>("@ai-core/database/core/SlowQueryThreshold", {
  defaultValue: () => Duration.seconds(1)
})
