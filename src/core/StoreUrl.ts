import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Endpoint } from "./StartUp.ts"
import type { Store } from "./Store.ts"
import { InvalidData, StoreError } from "./StoreError.ts"

/** A connection URL, taken apart; whoever prints it prints `host`, `port` and `database` only. */
export interface StoreUrl extends Endpoint {
  readonly protocol: string
  readonly username: string | undefined
  readonly password: Redacted.Redacted | undefined
  readonly database: string | undefined
  readonly parameters: URLSearchParams
}

const decode = (s: string): string | undefined => (s === "" ? undefined : decodeURIComponent(s))

/**
 * Takes a connection URL apart.
 *
 * Of a MongoDB list of hosts, the first one names the endpoint. Fails with `StoreError` (`InvalidData`) that does not
 * repeat the URL.
 */
export const parseStoreUrl = (
  store: Store,
  url: Redacted.Redacted,
  defaultPort?: number
): Effect.Effect<StoreUrl, StoreError> =>
  Effect.try({
    try: () => {
      const parsed = new URL(
        Redacted.value(url).replace(/^([^:]+:\/\/(?:[^/?#]*@)?[^/?#,@]*),[^/?#@]*(?=[/?#]|$)/, "$1")
      )
      const password = decode(parsed.password)
      return {
        store,
        protocol: parsed.protocol.replace(/:$/, ""),
        host: parsed.hostname || "localhost",
        port: parsed.port === "" ? defaultPort : Number(parsed.port),
        username: decode(parsed.username),
        password: password === undefined ? undefined : Redacted.make(password),
        database: decode(parsed.pathname.replace(/^\//, "")),
        parameters: parsed.searchParams
      }
    },
    catch: () =>
      new StoreError({
        store,
        operation: "connect",
        outcome: "not-applied",
        reason: new InvalidData({
          subject: "configuration",
          problems: [{ field: "url", problem: "must be a URL such as scheme://user:password@host:port/database" }]
        })
      })
  })
