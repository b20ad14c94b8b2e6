import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { hostAndPort } from "./HostAndPort.ts"
import { backoff } from "./Retry.ts"
import type { Store } from "./Store.ts"
import { StoreError, Timeout, Unavailable } from "./StoreError.ts"

/** Where a store is, without credentials. */
export interface Endpoint {
  readonly store: Store
  readonly host: string
  readonly port?: number | undefined
}

/** The reason that names an endpoint nobody could talk to. */
export const unavailable = (
  endpoint: Endpoint,
  said?: { readonly code?: string | undefined; readonly detail?: string | undefined }
): Unavailable =>
  new Unavailable({
    host: endpoint.host,
    ...(endpoint.port === undefined ? {} : { port: endpoint.port }),
    ...(said?.code === undefined ? {} : { code: said.code }),
    ...(said?.detail === undefined ? {} : { detail: said.detail })
  })

const mendsWithTime = (error: StoreError): boolean => {
  switch (error.reason._tag) {
    case "Unavailable":
    case "Overloaded":
    case "PoolExhausted":
    case "ConnectionLost":
    case "Timeout":
    case "NotPrimary":
      return true
    default:
      return false
  }
}

const detailOf = ({ reason }: StoreError): string | undefined => ("detail" in reason ? reason.detail : undefined)

/**
 * Asks a store until it answers: a store that comes up before the deadline lets the program start.
 *
 * Pauses grow from 50 ms to 1 s. A failure that time does not mend (a wrong password, a missing database) ends it at once.
 * At the deadline it fails with `StoreError`: `Timeout` where the server accepted and never answered, else `Unavailable`;
 * both name host and port.
 */
export const startUp = <A, R>(
  endpoint: Endpoint,
  deadline: Duration.Input,
  ask: Effect.Effect<A, StoreError, R>
): Effect.Effect<A, StoreError, R> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const limit = Duration.toMillis(deadline)
    const operation = "connect"
    const at = hostAndPort(endpoint)
    const silent = new StoreError({
      store: endpoint.store,
      operation,
      outcome: "not-applied",
      reason: new Timeout({ afterMillis: limit, detail: `${at} does not answer` })
    })
    const giveUp = (last: StoreError): StoreError =>
      last.reason._tag === "Timeout"
        ? silent
        : new StoreError({
            store: endpoint.store,
            operation,
            outcome: "not-applied",
            reason: unavailable(endpoint, {
              ...("code" in last.reason ? { code: last.reason.code } : {}),
              detail: [detailOf(last), `asked for ${limit} ms`].filter((part) => part !== undefined).join("; ")
            }),
            ...(last.cause === undefined ? {} : { cause: last.cause })
          })
    let last: StoreError | undefined
    const attempt = (tries: number): Effect.Effect<A, StoreError, R> =>
      Effect.catch(ask, (error) =>
        Effect.gen(function* () {
          if (!mendsWithTime(error)) return yield* error
          last = error
          const pause = yield* backoff(50, 1000, tries)
          const left = startedAt + limit - (yield* Clock.currentTimeMillis)
          if (pause >= left) return yield* giveUp(error)
          yield* Effect.sleep(pause)
          return yield* attempt(tries + 1)
        })
      )
    // The deadline may fall into an attempt that has not failed yet: what the one before it said still holds.
    return yield* Effect.timeoutOrElse(attempt(0), {
      duration: limit,
      orElse: () => Effect.fail(last === undefined ? silent : giveUp(last))
    })
  })
