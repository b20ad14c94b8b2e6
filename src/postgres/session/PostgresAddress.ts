import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { StoreError } from "../../core/StoreError.ts"
import { listOfHosts, parseStoreUrl, wrongUrl } from "../../core/StoreUrl.ts"

/** What a URL may ask of TLS. */
export const tlsParameters = ["sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"] as const

/** Files and mode of TLS, as the URL has them. */
export type TlsParameters = { readonly [K in (typeof tlsParameters)[number]]?: string }

/** Where PostgreSQL is, who connects, and what the URL asks of each session. */
export interface PostgresAddress {
  /** Beginning with `/`, the folder of the server's Unix socket. */
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: Redacted.Redacted | undefined
  readonly database: string | undefined
  readonly applicationName: string | undefined
  /** Settings of the session, as `-c name=value`. */
  readonly options: string | undefined
  /** Of opening one connection. */
  readonly connectTimeout: Duration.Duration | undefined
  readonly tls: TlsParameters
}

/** What a URL may have behind its `?`. */
export const urlParameters: ReadonlyArray<string> = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "application_name",
  "options",
  "connect_timeout",
  ...tlsParameters
]

/** Names that may be shown: what is behind a `?` in a password that was not encoded looks otherwise, or has an `@` behind it. */
const shown = (unknown: ReadonlyArray<string>, parameters: URLSearchParams): string =>
  [...parameters].flat().some((text) => text.includes("@")) || !unknown.every((name) => /^\w+$/.test(name))
    ? "unknown parameters"
    : unknown.join(", ")

const wrong = (problem: string) => wrongUrl("postgresql", problem)

/**
 * Reads a connection URL by the conventions of libpq: its parameters hold over what stands before them, of two the last one, and
 * the path of a folder as host means the Unix socket in it.
 *
 * A parameter that is not known is refused: what it asks for would not be done. Fails with `StoreError` (`InvalidData`) naming
 * `url`. (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS)
 */
export const parseAddress = (url: Redacted.Redacted): Effect.Effect<PostgresAddress, StoreError> =>
  Effect.flatMap(parseStoreUrl("postgresql", url, 5432), (parsed): Effect.Effect<PostgresAddress, StoreError> => {
    if (!["postgresql", "postgres"].includes(parsed.protocol)) {
      return Effect.fail(wrong("must begin with postgresql://"))
    }
    const given = new Map([...parsed.parameters].filter(([, value]) => value !== ""))
    const unknown = [...parsed.parameters.keys()].filter((name) => !urlParameters.includes(name))
    if (unknown.length > 0) {
      const names = shown(unknown, parsed.parameters)
      return Effect.fail(wrong(`must not have ${names}: it may have ${urlParameters.join(", ")}`))
    }
    const host = given.get("host") ?? parsed.host
    if (host.includes(",")) return Effect.fail(wrong(listOfHosts))
    const port = Number(given.get("port") ?? parsed.port)
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      return Effect.fail(wrong("must have a number from 1 to 65535 as port"))
    }
    const seconds = given.get("connect_timeout")
    if (seconds !== undefined && !/^0*[1-9]\d*$/.test(seconds)) {
      return Effect.fail(wrong("must have a whole number of seconds above 0 in connect_timeout"))
    }
    const username = given.get("user") ?? parsed.username ?? process.env["USER"] ?? process.env["USERNAME"]
    if (username === undefined) return Effect.fail(wrong("must name a user"))
    const password = given.get("password")
    return Effect.succeed({
      host,
      port,
      username,
      password: password === undefined ? parsed.password : Redacted.make(password),
      database: given.get("dbname") ?? parsed.database,
      applicationName: given.get("application_name"),
      options: given.get("options"),
      connectTimeout: seconds === undefined ? undefined : Duration.seconds(Number(seconds)),
      tls: Object.fromEntries(
        tlsParameters.flatMap((name) => {
          const value = given.get(name)
          return value === undefined ? [] : [[name, value]]
        })
      )
    })
  })
