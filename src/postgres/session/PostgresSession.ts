import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as PgConnections from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { type Credential, currentCredential } from "../../core/Credential.ts"
import type { PostgresConfig } from "../../core/DatabaseConfig.ts"
import { hostAndPort } from "../../core/HostAndPort.ts"
import type { Endpoint } from "../../core/StartUp.ts"
import { InvalidData, StoreError, Timeout } from "../../core/StoreError.ts"
import { connectFailure } from "../failures/ConnectFailure.ts"
import { parseAddress, type PostgresAddress } from "./PostgresAddress.ts"
import { tlsOf } from "./PostgresTls.ts"

/** How a client reaches its server. */
export interface PostgresTarget {
  readonly endpoint: Endpoint
  /** Read for each new connection. */
  readonly url: Credential
  /** Opens the transport where it is not a socket to the endpoint; the embedded engine's own stream. */
  readonly stream?: (() => Duplex) | undefined
  readonly applicationName: string
}

/** A connection that is open and let in. */
export interface PostgresSession {
  readonly connection: PgConnection
  readonly socket: Duplex
  /** Its end is the connection's. */
  readonly scope: Scope.Closeable
}

/** How what needs a session of its own fails where there is none. */
export const noSession = (operation: string, field: string, problem: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new InvalidData({ subject: "configuration", problems: [{ field, problem }] })
  })

/**
 * Opens connections to one server, each by the URL as it is then.
 *
 * `onCancel` hears of each cancel request that is sent for the connection. Fails by `connectTimeout` with `StoreError`.
 */
export const sessionOpener = (
  target: PostgresTarget,
  config: Pick<PostgresConfig, "connectTimeout" | "pooler" | "statementTimeout">
): ((onCancel?: () => void) => Effect.Effect<PostgresSession, StoreError>) => {
  const { endpoint } = target
  const statementMillis = Duration.toMillis(config.statementTimeout)
  // A pooler refuses the parameters that it cannot keep for a session, and does not know a statement by its name.
  const pooled = config.pooler === "transaction"
  const startupParameters: Readonly<Record<string, string>> =
    target.stream === undefined && !pooled ? { statement_timeout: String(Math.ceil(statementMillis)) } : {}

  const transport = ({ host, port }: PostgresAddress): Duplex => {
    if (target.stream !== undefined) return target.stream()
    const plain = host.startsWith("/")
      ? Net.connect({ path: `${host}/.s.PGSQL.${port}` })
      : Net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
    // An error may come before anybody listens, and again after the last listener left.
    return plain.on("error", () => undefined)
  }

  const answersWithin = (limit: Duration.Duration) =>
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          new StoreError({
            store: "postgresql",
            operation: "connect",
            outcome: "not-applied",
            reason: new Timeout({
              afterMillis: Duration.toMillis(limit),
              detail: `${hostAndPort(endpoint)} does not answer`
            })
          })
        )
    })

  return (onCancel = () => undefined) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let socket: Duplex | undefined
      const opening = Effect.gen(function* () {
        const address = yield* Effect.flatMap(currentCredential(target.url), parseAddress)
        const ssl = target.stream === undefined ? yield* tlsOf(address) : false
        const { connectTimeout = Duration.infinity, database, host, options, password, port, username } = address
        const at = target.stream === undefined ? { ...endpoint, host, port } : endpoint
        return yield* Effect.mapError(
          PgConnections.make({
            host,
            port,
            database,
            username,
            password,
            startupOptions: options,
            ssl,
            applicationName: target.applicationName,
            connectTimeout: Duration.infinity,
            multiplex: true,
            prepare: !pooled,
            startupParameters,
            // The first call makes the session's own transport, each later one a cancel request's.
            stream: () => {
              const made = transport(address)
              if (socket === undefined) socket = made
              else onCancel()
              return made
            }
          }),
          (error: SqlError) => connectFailure(at, error, Object.keys(startupParameters).length > 0)
        ).pipe(answersWithin(connectTimeout))
      })
      const connection = yield* Scope.provide(opening, scope).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        answersWithin(config.connectTimeout)
      )
      return socket === undefined
        ? yield* Effect.die("a PostgreSQL connection was made without its transport")
        : { connection, socket, scope }
    })
}
