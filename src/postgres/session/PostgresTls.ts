import * as Effect from "effect/Effect"
import { readFile } from "node:fs"
import { type ConnectionOptions, createSecureContext, type SecureContextOptions } from "node:tls"
import type { StoreError } from "../../core/StoreError.ts"
import { wrongUrl } from "../../core/StoreUrl.ts"
import type { PostgresAddress, TlsParameters } from "./PostgresAddress.ts"

/** What `sslmode` may say here, with libpq's meaning. */
const modes = ["disable", "require", "verify-ca", "verify-full"]

const wrong = (problem: string, cause?: unknown) => wrongUrl("postgresql", problem, cause)

/** The bytes of the file that a parameter names; none where there is no such parameter. */
const fileOf = (tls: TlsParameters, name: keyof TlsParameters): Effect.Effect<Buffer | undefined, StoreError> => {
  const file = tls[name]
  if (file === undefined) return Effect.undefined
  return Effect.callback((resume) => {
    readFile(file, (cause, bytes) =>
      resume(
        cause === null
          ? Effect.succeed(bytes)
          : Effect.fail(wrong(`names a file in ${name} that cannot be read: ${file} (${cause.code})`, cause))
      )
    )
  })
}

/** Fails where Node would throw in the midst of a handshake. */
const usable = (files: SecureContextOptions, problem: string): Effect.Effect<unknown, StoreError> =>
  Effect.try({
    try: () => createSecureContext(files),
    catch: (cause) =>
      wrong(cause instanceof Error && "code" in cause ? `${problem} (${String(cause.code)})` : problem, cause)
  })

/** What parameters say together that cannot be meant. */
const contradiction = (mode: string, { sslcert, sslcrl, sslkey, sslmode, sslrootcert }: TlsParameters) => {
  if (!modes.includes(mode)) return `must have one of ${modes.join(", ")} in sslmode`
  if (sslmode === undefined && [sslcert, sslcrl, sslkey, sslrootcert].some((file) => file !== undefined)) {
    return "must say in sslmode how the files of TLS are used: require, verify-ca or verify-full"
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) return "must name files in sslcert and sslkey, or in neither"
  if (sslrootcert !== undefined && sslrootcert !== "system") return undefined
  if (mode === "verify-ca") {
    return "must name a file in sslrootcert for verify-ca: a public authority vouches for anybody"
  }
  if (mode === "require" && sslcrl !== undefined) {
    return "must name a file in sslrootcert for sslcrl: no certificate is looked at without an authority"
  }
  return undefined
}

/**
 * What TLS a connection URL asks for by `sslmode` and the files beside it; none without `sslmode`, and none on a Unix socket.
 *
 * `require` encrypts and trusts whoever answers, unless `sslrootcert` names an authority: then it is `verify-ca`, as in
 * libpq (https://www.postgresql.org/docs/current/libpq-ssl.html). `verify-ca` wants a certificate of that authority,
 * `verify-full` also one for the host of the URL; without `sslrootcert` (or with `system`) the authorities are Node's.
 * `sslcert` with `sslkey` shows who connects; of those that `sslcrl` revokes no certificate is taken. `prefer` and `allow`
 * may end in plain text and are refused. Fails with `StoreError` (`InvalidData`) naming `url`.
 */
export const tlsOf = ({
  host,
  tls
}: Pick<PostgresAddress, "host" | "tls">): Effect.Effect<false | ConnectionOptions, StoreError> =>
  Effect.gen(function* () {
    const mode = tls.sslmode ?? "disable"
    const problem = contradiction(mode, tls)
    if (problem !== undefined) return yield* wrong(problem)
    if (mode === "disable" || host.startsWith("/")) return false
    const ca = tls.sslrootcert === "system" ? undefined : yield* fileOf(tls, "sslrootcert")
    const crl = yield* fileOf(tls, "sslcrl")
    const cert = yield* fileOf(tls, "sslcert")
    const key = yield* fileOf(tls, "sslkey")
    if (crl !== undefined) yield* usable({ crl }, `names a file in sslcrl that lists no revocations: ${tls.sslcrl}`)
    if (cert !== undefined) {
      yield* usable(
        { cert, key },
        `names files in sslcert and sslkey that are no certificate with its key, unencrypted: ${tls.sslcert}, ${tls.sslkey}`
      )
    }
    if (ca === undefined) return { crl, cert, key, rejectUnauthorized: mode !== "require" }
    return { ca, crl, cert, key, ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }) }
  })
