import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { isStoreError } from "../../../src/core/StoreError.ts"
import * as PostgresBackup from "../../../src/postgres/migrations/PostgresBackup.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { onPath } from "../../servers/binaries.ts"
import { describeOwned, ownServer } from "../../servers/index.ts"
import { until } from "../../until.ts"
import { temporaryFolder } from "../../servers/startServer.ts"
import { hasOpenssl, query, revocations, tlsServer } from "./tlsServer.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const isEncrypted = (url: string) =>
  query(url, ({ sql }) =>
    Effect.map(sql<{ ssl: boolean }>`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`, ([row]) => row?.ssl)
  )

/** Why a client with this URL cannot be made. */
const refusal = (url: string) =>
  Effect.map(Effect.flip(isEncrypted(url)), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error
  })

describe.skipIf(!hasOpenssl)("with openssl", () => {
  describeOwned("postgresql", "PostgreSQL over TLS", () => {
    it.live("each sslmode means what it means to libpq", () =>
      Effect.gen(function* () {
        const { authority, server, stranger, url } = yield* tlsServer
        assert.equal(yield* isEncrypted(server.url), false)
        assert.equal(yield* isEncrypted(url("localhost", { sslmode: "disable" })), false)
        // Encrypted, whoever answers.
        assert.equal(yield* isEncrypted(url("127.0.0.1", { sslmode: "require" })), true)
        // Of this authority, for whatever host.
        assert.equal(yield* isEncrypted(url("127.0.0.1", { sslmode: "verify-ca", sslrootcert: authority })), true)
        assert.equal(yield* isEncrypted(url("127.0.0.1", { sslmode: "require", sslrootcert: authority })), true)
        assert.equal(yield* isEncrypted(url("localhost", { sslmode: "verify-full", sslrootcert: authority })), true)

        const codes: Record<string, string> = {}
        for (const [name, host, sslmode, sslrootcert] of [
          ["verify-full, wrong host", "127.0.0.1", "verify-full", authority],
          ["verify-full, wrong authority", "localhost", "verify-full", stranger],
          ["verify-full, none of the public authorities", "localhost", "verify-full", "system"],
          ["verify-ca, wrong authority", "localhost", "verify-ca", stranger],
          ["require, wrong authority", "localhost", "require", stranger]
        ] as const) {
          const { outcome, reason } = yield* refusal(url(host, { sslmode, sslrootcert }))
          assert.ok(reason._tag === "Unavailable", reason._tag)
          assert.equal(outcome, "not-applied")
          codes[name] = reason.code ?? ""
        }
        assert.deepEqual(codes, {
          "verify-full, wrong host": "ERR_TLS_CERT_ALTNAME_INVALID",
          "verify-full, wrong authority": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
          "verify-full, none of the public authorities": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
          "verify-ca, wrong authority": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
          "require, wrong authority": "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
        })
      })
    )

    it.live("sslcert and sslkey show who connects, to pg_dump's server too", () =>
      Effect.gen(function* () {
        const { authority, folder, url } = yield* tlsServer
        const file = (name: string) => join(folder, name)
        const as = (parameters: Readonly<Record<string, string>>) =>
          url("localhost", { user: "ann", sslmode: "verify-full", sslrootcert: authority, ...parameters })
        const ann = as({ sslcert: file("ann.pem"), sslkey: file("ann.key") })
        const known = query(
          ann,
          ({ sql }) => sql`SELECT client_dn AS name FROM pg_stat_ssl WHERE pid = pg_backend_pid()`
        )
        assert.deepEqual(yield* known, [{ name: "/CN=ann" }])
        if (onPath("pg_dump") !== undefined) {
          const backup = PostgresBackup.make({ url: Redacted.make(ann), folder: file("backups") })
          assert.match(yield* backup(["public"]), /public-.*\.dump$/)
        }
        const none = yield* refusal(as({}))
        assert.deepEqual(
          [none.reason._tag, "code" in none.reason && none.reason.code],
          ["AuthenticationFailed", "28000"]
        )
        // Of an authority that the server does not know.
        const stranger = yield* refusal(as({ sslcert: file("stranger.pem"), sslkey: file("stranger.key") }))
        assert.equal(stranger.reason._tag, "Unavailable", stranger.message)
      })
    )

    it.live("a certificate that sslcrl revokes is not taken", () =>
      Effect.gen(function* () {
        const { authority, folder, url } = yield* tlsServer
        const by = (sslcrl: string, sslmode: string) => url("localhost", { sslmode, sslrootcert: authority, sslcrl })
        const revoked = revocations(folder, "revoked", "server")
        assert.equal(yield* isEncrypted(by(revocations(folder, "none"), "verify-full")), true)
        for (const mode of ["require", "verify-ca", "verify-full"]) {
          const { message, reason } = yield* refusal(by(revoked, mode))
          assert.ok(reason._tag === "Unavailable" && reason.code === "CERT_REVOKED", message)
        }
      })
    )

    it.live("a statement over TLS is cancelled, timed out and told as one in plain text is", () =>
      Effect.gen(function* () {
        const { authority, url } = yield* tlsServer
        const proxy = yield* TcpProxy.forUrl(url("127.0.0.1", { sslmode: "verify-ca", sslrootcert: authority }))
        const layer = PostgresClient.layer({
          url: Redacted.make(proxy.url),
          minConnections: 0,
          statementTimeout: "1 second",
          acquireTimeout: "2 seconds"
        })
        const {
          query: ask,
          sql,
          stats
        } = yield* Effect.provide(PostgresClient.PostgresClient, yield* Layer.build(layer))
        const interrupted = yield* Effect.forkChild(sql`SELECT pg_sleep(30), 'over-tls'`)
        const running = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity
          WHERE query LIKE '%over-tls%' AND state = 'active' AND pid <> pg_backend_pid()`
        yield* Effect.repeat(running, { until: ([row]) => row?.n === 1 })
        yield* Fiber.interrupt(interrupted)
        assert.deepEqual(yield* until(running, ([row]) => row?.n === 0), [{ n: 0 }])

        yield* proxy.hang
        const error = yield* Effect.flip(ask(write, sql`SELECT 1`))
        assert.equal(error.reason._tag, "Timeout", error.message)
        assert.equal(error.outcome, "unknown")
        yield* proxy.pass
        assert.deepEqual(yield* ask(read, sql`SELECT 1 AS n`), [{ n: 1 }])
        assert.equal((yield* stats).inUse, 0)
      })
    )

    it.live("what cannot be meant is refused by name: an unknown mode, no authority, no such file, no TLS", () =>
      Effect.gen(function* () {
        const server = yield* ownServer("postgresql")
        const text = join(yield* temporaryFolder("postgresql"), "text")
        writeFileSync(text, "text")
        const problems: Array<string> = []
        for (const parameters of [
          "sslmode=prefer",
          "sslmode=verify-ca",
          "sslmode=verify-full&sslrootcert=/nowhere.pem",
          "sslmode=require&sslcert=/nowhere.pem&sslkey=/nowhere.key",
          "sslmode=verify-full&sslcrl=/nowhere.crl",
          "sslmode=require&sslcrl=/nowhere.crl",
          "sslmode=require&sslkey=/nowhere.key",
          "sslrootcert=/nowhere.pem",
          `sslmode=require&sslcert=${text}&sslkey=${text}`,
          `sslmode=verify-full&sslcrl=${text}`
        ]) {
          const { reason } = yield* refusal(`${server.url}?${parameters}`)
          assert.ok(reason._tag === "InvalidData", reason._tag)
          problems.push(...reason.problems.map(({ field, problem }) => `${field} ${problem}`))
        }
        assert.deepEqual(problems, [
          "url must have one of disable, require, verify-ca, verify-full in sslmode",
          "url must name a file in sslrootcert for verify-ca: a public authority vouches for anybody",
          "url names a file in sslrootcert that cannot be read: /nowhere.pem (ENOENT)",
          "url names a file in sslcert that cannot be read: /nowhere.pem (ENOENT)",
          "url names a file in sslcrl that cannot be read: /nowhere.crl (ENOENT)",
          "url must name a file in sslrootcert for sslcrl: no certificate is looked at without an authority",
          "url must name files in sslcert and sslkey, or in neither",
          "url must say in sslmode how the files of TLS are used: require, verify-ca or verify-full",
          `url names files in sslcert and sslkey that are no certificate with its key, unencrypted: ${text}, ${text} (ERR_OSSL_PEM_NO_START_LINE)`,
          `url names a file in sslcrl that lists no revocations: ${text} (ERR_CRYPTO_OPERATION_FAILED)`
        ])
        const { message, reason } = yield* refusal(`${server.url}?sslmode=require`)
        assert.equal(reason._tag, "Unavailable")
        assert.match(message, /The server does not support TLS/)
      })
    )
  })
})
