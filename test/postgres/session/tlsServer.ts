import { Effect, Redacted, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { chmodSync, chownSync, statSync } from "node:fs"
import { join } from "node:path"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { type OwnServer, ownServer } from "../../servers/index.ts"
import { temporaryFolder } from "../../servers/startServer.ts"

/** Whether certificates can be made here. */
export const hasOpenssl = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "pipe" })
    return true
  } catch {
    return false
  }
})()

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]

/** A new certificate in the folder, of an authority that signs itself or of one made before; answers with its file. */
const certificate = (folder: string, name: string, options: ReadonlyArray<string>): string => {
  const file = join(folder, `${name}.pem`)
  execFileSync(
    "openssl",
    ["req", "-x509", ...curve, "-keyout", join(folder, `${name}.key`), "-out", file, ...options],
    {
      stdio: "pipe"
    }
  )
  return file
}

/** Asks by a client of this URL, made for it. */
export const query = <A>(
  url: string,
  ask: (client: PostgresClient.PostgresClient["Service"]) => Effect.Effect<A, unknown>
) =>
  Effect.flatMap(PostgresClient.PostgresClient, ask).pipe(
    Effect.provide(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, connectTimeout: "1 second" }))
  )

interface Scene {
  readonly server: OwnServer
  /** Files of the authority that signed the server's certificate, and of another one. */
  readonly authority: string
  readonly stranger: string
  /** The URL with this host, and what it says of TLS. */
  readonly url: (host: string, parameters: Readonly<Record<string, string>>) => string
}

/** A server with a certificate for `localhost`. */
export const tlsServer: Effect.Effect<Scene, unknown, Scope.Scope> = Effect.gen(function* () {
  const server = yield* ownServer("postgresql")
  const folder = yield* temporaryFolder("postgresql")
  const authority = certificate(folder, "authority", ["-subj", "/CN=authority"])
  const stranger = certificate(folder, "stranger", ["-subj", "/CN=stranger"])
  certificate(folder, "server", [
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost",
    "-CA",
    authority,
    "-CAkey",
    join(folder, "authority.key")
  ])
  yield* query(server.url, ({ sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ data_directory: string }>`SHOW data_directory`
      const owner = statSync(row!.data_directory)
      const key = join(folder, "server.key")
      chownSync(key, owner.uid, owner.gid)
      chmodSync(key, 0o600)
      yield* sql.unsafe(`ALTER SYSTEM SET ssl_cert_file = '${join(folder, "server.pem")}'`)
      yield* sql.unsafe(`ALTER SYSTEM SET ssl_key_file = '${key}'`)
      yield* sql.unsafe("ALTER SYSTEM SET ssl = on")
    })
  )
  yield* server.restart
  return {
    server,
    authority,
    stranger,
    url: (host, parameters) => {
      const url = new URL(server.url)
      url.hostname = host
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return url.href
    }
  }
})
