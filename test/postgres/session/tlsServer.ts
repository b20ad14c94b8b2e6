import { Effect, Redacted, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from "node:fs"
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
  /** Where the certificates are, each `NAME.pem` with its `NAME.key`: `server`, `ann` and `stranger`. */
  readonly folder: string
  /** Files of the authority that signed the server's certificate, and of another one. */
  readonly authority: string
  readonly stranger: string
  /** The URL with this host, and what it says of TLS. */
  readonly url: (host: string, parameters: Readonly<Record<string, string>>) => string
}

/** A new certificate that an authority made before signs. */
const signed = (folder: string, name: string, authority: string, options: ReadonlyArray<string>): string =>
  certificate(folder, name, [
    ...options,
    "-CA",
    join(folder, `${authority}.pem`),
    "-CAkey",
    join(folder, `${authority}.key`)
  ])

/** The list of what the authority of a scene has revoked: one of its certificates, or none. */
export const revocations = (folder: string, name: string, revoked?: string): string => {
  const file = join(folder, `${name}.crl`)
  const config = join(folder, `${name}.cnf`)
  writeFileSync(join(folder, `${name}.index`), "")
  writeFileSync(
    config,
    `[ca]\ndefault_ca = a\n[a]\ndatabase = ${folder}/${name}.index\ndefault_md = sha256\ndefault_crl_days = 2\n`
  )
  const ca = (...args: ReadonlyArray<string>) =>
    execFileSync(
      "openssl",
      [
        "ca",
        "-config",
        config,
        "-cert",
        join(folder, "authority.pem"),
        "-keyfile",
        join(folder, "authority.key"),
        ...args
      ],
      { stdio: "pipe" }
    )
  if (revoked !== undefined) ca("-revoke", join(folder, `${revoked}.pem`))
  ca("-gencrl", "-out", file)
  return file
}

/** A server with a certificate for `localhost`; the user `ann` is let in with a certificate of the authority of clients only. */
export const tlsServer: Effect.Effect<Scene, unknown, Scope.Scope> = Effect.gen(function* () {
  const server = yield* ownServer("postgresql")
  const folder = yield* temporaryFolder("postgresql")
  const authority = certificate(folder, "authority", ["-subj", "/CN=authority"])
  const stranger = certificate(folder, "stranger", ["-subj", "/CN=stranger"])
  signed(folder, "server", "authority", ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
  const clients = certificate(folder, "clients", ["-subj", "/CN=clients"])
  signed(folder, "ann", "clients", ["-subj", "/CN=ann"])
  yield* query(server.url, ({ sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ data_directory: string }>`SHOW data_directory`
      const owner = statSync(row!.data_directory)
      const key = join(folder, "server.key")
      chownSync(key, owner.uid, owner.gid)
      chmodSync(key, 0o600)
      yield* sql.unsafe(`ALTER SYSTEM SET ssl_cert_file = '${join(folder, "server.pem")}'`)
      yield* sql.unsafe(`ALTER SYSTEM SET ssl_key_file = '${key}'`)
      yield* sql.unsafe(`ALTER SYSTEM SET ssl_ca_file = '${clients}'`)
      yield* sql.unsafe("ALTER SYSTEM SET ssl = on")
      yield* sql`CREATE ROLE ann LOGIN`
      const rules = join(row!.data_directory, "pg_hba.conf")
      writeFileSync(rules, `hostssl all ann all trust clientcert=verify-full\n${readFileSync(rules, "utf8")}`)
    })
  )
  yield* server.restart
  return {
    server,
    folder,
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
