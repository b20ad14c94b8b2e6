import * as Effect from "effect/Effect"
import { readFile } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import type { StoreError } from "../../core/StoreError.ts"
import { wrongUrl } from "../../core/StoreUrl.ts"
import type { PostgresAddress } from "./PostgresAddress.ts"

/** What `sslmode` may say here, with libpq's meaning. */
const modes = ["disable", "require", "verify-ca", "verify-full"]

const wrong = (problem: string, cause?: unknown) => wrongUrl("postgresql", problem, cause)

const certificates = (file: string): Effect.Effect<Buffer, StoreError> =>
  Effect.callback((resume) => {
    readFile(file, (cause, bytes) =>
      resume(
        cause === null
          ? Effect.succeed(bytes)
          : Effect.fail(wrong(`names a file in sslrootcert that cannot be read (${cause.code})`, cause))
      )
    )
  })

/**
 * What TLS a connection URL asks for by `sslmode` and `sslrootcert`; none without them, and none on a Unix socket.
 *
 * `require` encrypts and trusts whoever answers, unless `sslrootcert` names an authority: then it is `verify-ca`, as in
 * libpq (https://www.postgresql.org/docs/current/libpq-ssl.html). `verify-ca` wants a certificate of that authority,
 * `verify-full` also one for the host of the URL; without `sslrootcert` (or with `system`) the authorities are Node's.
 * `prefer` and `allow` may end in plain text and are refused. Fails with `StoreError` (`InvalidData`) naming `url`.
 */
export const tlsOf = ({
  host,
  tls
}: Pick<PostgresAddress, "host" | "tls">): Effect.Effect<false | ConnectionOptions, StoreError> =>
  Effect.suspend((): Effect.Effect<false | ConnectionOptions, StoreError> => {
    const mode = tls.sslmode ?? "disable"
    if (!modes.includes(mode)) return Effect.fail(wrong(`must have one of ${modes.join(", ")} in sslmode`))
    if (mode === "disable" || host.startsWith("/")) return Effect.succeed(false)
    const file = tls.sslrootcert ?? "system"
    if (file !== "system") {
      return Effect.map(certificates(file), (ca) =>
        mode === "verify-full" ? { ca } : { ca, checkServerIdentity: () => undefined }
      )
    }
    if (mode === "verify-ca") {
      return Effect.fail(wrong("must name a file in sslrootcert for verify-ca: a public authority vouches for anybody"))
    }
    return Effect.succeed(mode === "require" ? { rejectUnauthorized: false } : {})
  })
