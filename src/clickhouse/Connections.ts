import { ClickHouseLogLevel, createClient } from "@clickhouse/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { currentCredential } from "../core/Credential.ts"
import type { ClickHouseConfig } from "../core/DatabaseConfig.ts"
import { hostAndPort } from "../core/HostAndPort.ts"
import { longestTimer } from "../core/Setting.ts"
import type { Endpoint } from "../core/StartUp.ts"
import type { StoreError } from "../core/StoreError.ts"
import { parseStoreUrl, type StoreUrl } from "../core/StoreUrl.ts"

/** The driver's client. */
export type Driver = ReturnType<typeof createClient>

/** Where requests go now, and as whom. */
export interface Connection {
  readonly endpoint: Endpoint
  readonly database: string
  readonly driver: Driver
  /** A second client, so that KILL QUERY does not wait behind the queries it is to end. */
  readonly killer: Driver
  readonly auth: { readonly username: string; readonly password: string }
}

// The driver's own limit is one of silence on the socket; deadlines are kept by the register of calls.
const noTimeout = longestTimer

const open = (config: ClickHouseConfig, url: StoreUrl): Omit<Connection, "auth"> => {
  const secure = config.secure || url.protocol === "https"
  const port = url.port ?? (secure ? 443 : 80)
  const database = url.database ?? config.database
  const options = {
    url: `${secure ? "https" : "http"}://${hostAndPort({ host: url.host, port })}`,
    database,
    request_timeout: noTimeout,
    keep_alive: { eagerly_destroy_stale_sockets: true },
    log: { level: ClickHouseLogLevel.OFF }
  }
  return {
    endpoint: { store: "clickhouse", host: url.host, port },
    database,
    driver: createClient({
      ...options,
      max_open_connections: config.poolSize,
      compression: { response: config.compression, request: config.compressRequests }
    }),
    killer: createClient({ ...options, max_open_connections: 2 })
  }
}

/**
 * Keeps the driver's client for the address as it is now: where the URL is an Effect that gives another address, requests
 * go there from then on, and the former client is closed with the scope.
 */
export const makeConnections = (
  config: ClickHouseConfig
): Effect.Effect<Effect.Effect<Connection, StoreError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const opened = new Map<string, Omit<Connection, "auth">>()
    yield* Effect.addFinalizer(() =>
      Effect.promise(() =>
        Promise.all([...opened.values()].flatMap(({ driver, killer }) => [driver.close(), killer.close()]))
      )
    )
    const current = Effect.gen(function* () {
      const url = yield* parseStoreUrl("clickhouse", yield* currentCredential(config.url))
      const password = url.password ?? (yield* currentCredential(config.password))
      const address = JSON.stringify([url.protocol, url.host, url.port, url.database])
      const found = opened.get(address) ?? open(config, url)
      opened.set(address, found)
      return {
        ...found,
        auth: { username: url.username ?? config.username, password: Redacted.value(password) }
      }
    })
    if (!Redacted.isRedacted(config.url) || !Redacted.isRedacted(config.password)) return current
    let fixed: Connection | undefined
    return Effect.suspend(() =>
      fixed === undefined
        ? Effect.tap(current, (connection) => Effect.sync(() => (fixed = connection)))
        : Effect.succeed(fixed)
    )
  })
