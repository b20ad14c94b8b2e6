import { chownSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { Effect, Schedule, type Scope } from "effect"
import { describe, it } from "vitest"
import { onPath, unprivileged } from "../servers/binaries.ts"
import { describeLive, ServerError } from "../servers/index.ts"
import { serverProcess } from "../servers/serverProcess.ts"
import { freePort, temporaryFolder } from "../servers/startServer.ts"

const binary = onPath("pgbouncer") ?? onPath("../sbin/pgbouncer")

/** Whether this run must not go without: `pgbouncer` in TEST_REQUIRE. */
const isRequired = (process.env["TEST_REQUIRE"] ?? "").split(",").some((word) => word.trim() === "pgbouncer")

/* oxlint-disable vitest/valid-title, vitest/valid-describe-callback, vitest/no-conditional-tests, vitest/expect-expect -- a wrapper of describe */
/** `describeLive` for PostgreSQL where PgBouncer can be started too; else one skipped test that says so. */
export const describePooled = (title: string, body: (url: string) => void): void => {
  if (binary !== undefined) return describeLive("postgresql", title, (url) => body(url!))
  describe(title, () => {
    it.skipIf(!isRequired)("needs PgBouncer (Debian: apt install pgbouncer)", () => {
      throw new Error("PgBouncer is required by TEST_REQUIRE, and is not on PATH")
    })
  })
}

const listens = (port: number): Effect.Effect<void, ServerError> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resume(Effect.void))
    socket.once("error", (cause) =>
      resume(Effect.fail(new ServerError({ store: "postgresql", problem: String(cause) })))
    )
    socket.once("connect", () => socket.destroy())
  })

/**
 * Starts PgBouncer in transaction mode in front of a server, with a pool of three sessions, for as long as the scope.
 *
 * `ignores`: a start-up parameter that it ignores; none, which is its default. `clients`: how many it lets in at once; 100.
 * `patience`: how many seconds one may wait for a session; 120.
 */
export const pgbouncer = (
  url: string,
  {
    clients = 100,
    ignores = "",
    patience = 120
  }: { readonly clients?: number; readonly ignores?: string; readonly patience?: number } = {}
): Effect.Effect<string, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { hostname, password, port, username } = new URL(url)
    const folder = yield* temporaryFolder("postgresql")
    const listenPort = yield* freePort
    const user = unprivileged()
    const file = join(folder, "pgbouncer.ini")
    const secret = password === "" ? "" : ` password=${decodeURIComponent(password)}`
    writeFileSync(
      file,
      `[databases]
* = host=${hostname} port=${port || 5432} user=${decodeURIComponent(username)}${secret}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = ${clients}
query_wait_timeout = ${patience}
ignore_startup_parameters = ${ignores}
`
    )
    if (user !== undefined) chownSync(file, user.uid, user.gid)
    const server = yield* serverProcess({
      store: "postgresql",
      command: binary!,
      args: [file],
      cwd: folder,
      folder,
      ...(user === undefined ? {} : { user })
    })
    yield* listens(listenPort).pipe(
      Effect.retry(Schedule.spaced("50 millis")),
      Effect.timeoutOrElse({
        duration: "20 seconds",
        orElse: () =>
          Effect.fail(new ServerError({ store: "postgresql", problem: `PgBouncer did not start: ${server.output()}` }))
      })
    )
    const pooled = new URL(url)
    pooled.hostname = "127.0.0.1"
    pooled.port = String(listenPort)
    return pooled.href
  })
