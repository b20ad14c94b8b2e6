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

/** The failure of a connection URL that cannot be used; it says what is wrong, and never repeats the URL. */
export const wrongUrl = (store: Store, problem: string, cause?: unknown): StoreError =>
  new StoreError({
    store,
    operation: "connect",
    outcome: "not-applied",
    reason: new InvalidData({ subject: "configuration", problems: [{ field: "url", problem }] }),
    ...(cause === undefined ? {} : { cause })
  })

/** What is wrong with a list of hosts. */
export const listOfHosts = "must name one host: a list of hosts is not supported"

const decode = (s: string): string | undefined => (s === "" ? undefined : decodeURIComponent(s))

const anatomy = /^(?<scheme>[^:/?#]+:\/\/)(?<user>(?:[^/?#]*@)?)(?<hosts>[^/?#]*)(?<rest>.*)$/s

/**
 * Takes a connection URL apart; an IPv6 address loses its brackets, and where there is no host it is `localhost`.
 *
 * Of a MongoDB list of hosts, the first one names the endpoint; other stores have none. Fails with `StoreError`
 * (`InvalidData`) that does not repeat the URL.
 */
export const parseStoreUrl = (
  store: Store,
  url: Redacted.Redacted,
  defaultPort?: number
): Effect.Effect<StoreUrl, StoreError> =>
  Effect.suspend(() => {
    const { hosts = "", rest = "", scheme = "", user = "" } = anatomy.exec(Redacted.value(url))?.groups ?? {}
    const [first = "", ...others] = hosts.split(",")
    if (others.length > 0 && store !== "mongodb") return Effect.fail(wrongUrl(store, listOfHosts))
    // What a URL may leave out before a port or after a user, `URL` wants.
    const host = first === "" || first.startsWith(":") ? `localhost${first}` : first
    return Effect.try({
      try: () => {
        const parsed = new URL(`${scheme}${user}${host}${rest}`)
        const password = decode(parsed.password)
        return {
          store,
          protocol: parsed.protocol.replace(/:$/, ""),
          host: decode(parsed.hostname.replace(/^\[(.*)\]$/, "$1")) ?? "localhost",
          port: parsed.port === "" ? defaultPort : Number(parsed.port),
          username: decode(parsed.username),
          password: password === undefined ? undefined : Redacted.make(password),
          database: decode(parsed.pathname.replace(/^\//, "")),
          parameters: parsed.searchParams
        }
      },
      catch: () => wrongUrl(store, "must be a URL such as scheme://user:password@host:port/database")
    })
  })
