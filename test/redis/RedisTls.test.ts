import * as assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import * as Tls from "node:tls"
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { describe } from "vitest"
import { describeLive } from "../servers/index.ts"
import { temporaryFolder } from "../servers/startServer.ts"
import { clientOf, read, write } from "./support.ts"

const hasOpenssl = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "pipe" })
    return true
  } catch {
    return false
  }
})()

/** A certificate for `localhost` that nobody has signed but itself. */
const certificate = Effect.gen(function* () {
  const folder = yield* temporaryFolder("redis")
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
  yield* Effect.sync(() =>
    execFileSync("openssl", ["req", "-x509", "-days", "2", "-keyout", key, "-out", cert, ...curve, ...name], {
      stdio: "pipe"
    })
  )
  return { key: readFileSync(key), cert: readFileSync(cert) }
})

/** Ends TLS in front of a server; answers with its port. */
const terminator = (url: string, secrets: Tls.SecureContextOptions): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { hostname, port } = new URL(url)
    const server = Tls.createServer(secrets, (socket) => {
      const upstream = connect(Number(port), hostname)
      socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy())
      upstream.on("error", () => socket.destroy()).on("close", () => socket.destroy())
      socket.pipe(upstream).pipe(socket)
    })
    server.on("tlsClientError", () => undefined)
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })

const trusting = (cert: Buffer): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = Tls.getCACertificates("default")
        Tls.setDefaultCACertificates([...before, cert.toString()])
        return before
      }),
      (before) => Effect.sync(() => Tls.setDefaultCACertificates(before))
    )
  )

describe.skipIf(!hasOpenssl)("with openssl", () => {
  describeLive("redis", "Redis over TLS", (url) => {
    it.live("rediss: a certificate of a known authority is accepted, for its own name", () =>
      Effect.gen(function* () {
        const secrets = yield* certificate
        const port = yield* terminator(url!, secrets)
        yield* trusting(secrets.cert)
        const client = yield* clientOf(`rediss://localhost:${port}`)
        assert.equal(yield* client.call(write, "SET", ["test-tls", "1", "PX", 1000]), "OK")
        assert.equal(yield* client.call(read, "GET", ["test-tls"]), "1")

        const wrongName = clientOf(`rediss://127.0.0.1:${port}`, { connectionTimeout: "300 millis" })
        const error = yield* Effect.flip(Effect.scoped(wrongName))
        assert.ok("reason" in error && error.reason._tag === "Unavailable")
        assert.equal(error.reason.code, "ERR_TLS_CERT_ALTNAME_INVALID")
      })
    )

    it.live("rediss: a certificate that nobody vouches for is refused", () =>
      Effect.gen(function* () {
        const port = yield* terminator(url!, yield* certificate)
        const unknown = clientOf(`rediss://localhost:${port}`, { connectionTimeout: "300 millis" })
        const error = yield* Effect.flip(Effect.scoped(unknown))
        assert.ok("reason" in error && error.reason._tag === "Unavailable")
        assert.equal(error.reason.code, "DEPTH_ZERO_SELF_SIGNED_CERT")
      })
    )
  })
})
