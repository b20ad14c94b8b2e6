import { type ChildProcess, spawn } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import { createRequire } from "node:module"
import os from "node:os"
import path from "node:path"
import { Readable } from "node:stream"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type ClickHousePreset, sections } from "../core/DatabaseConfig.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { unavailable } from "../core/StartUp.ts"
import { StoreError } from "../core/StoreError.ts"
import { ClickHouseClient, fromConfig } from "./ClickHouseClient.ts"
import { host, writeEngineFiles } from "./engineFiles.ts"

/** How the engine is started. */
export interface EngineOptions {
  /** Where its data is kept; a temporary folder, removed at the end, where nothing is said. */
  readonly dataFolder?: string | undefined
  /** Port of its HTTP interface on 127.0.0.1; a free one by default. */
  readonly port?: number | undefined
  /** Created if it is not there. */
  readonly database: string
}

/** A running engine. */
export interface Engine {
  readonly url: Redacted.Redacted
  readonly port: number
  readonly pid: number
  /** How it ended, where it did so by itself. */
  readonly outage: () => string | undefined
}

const username = "embedded"
const startLimit = Duration.seconds(60)
const stopLimit = Duration.seconds(5)

const require = createRequire(import.meta.url)

const glibc = (): boolean => {
  const report: unknown = process.report.getReport()
  return (
    typeof report === "object" &&
    report !== null &&
    "header" in report &&
    typeof report.header === "object" &&
    report.header !== null &&
    "glibcVersionRuntime" in report.header
  )
}

const packageName = `@chdb/lib-${process.platform}-${process.arch}-gnu`

const resolved = (id: string): Effect.Effect<string | undefined> =>
  Effect.orElseSucceed(
    Effect.try(() => require.resolve(id)),
    () => undefined
  )

/** The engine's library, and what is missing where it cannot run. */
const findLibrary: Effect.Effect<
  { readonly path: string; readonly missing: undefined } | { readonly missing: string }
> = Effect.gen(function* () {
  if (process.platform !== "linux" || !glibc()) {
    return { missing: `there is no embedded ClickHouse engine for ${process.platform} ${process.arch} here` }
  }
  const library = yield* resolved(`${packageName}/package.json`)
  const bindings = yield* resolved("ffi-rs")
  return library !== undefined && bindings !== undefined
    ? { path: path.join(path.dirname(library), "libchdb.so"), missing: undefined }
    : { missing: `the embedded ClickHouse engine is not installed: npm install ${packageName} ffi-rs` }
})

/**
 * Whether the embedded engine can run here: Linux with glibc, and the packages `@chdb/lib-…` and `ffi-rs` installed.
 *
 * Logs a warning that says what is missing where it cannot; the caller may then fall back to memory.
 */
export const available: Effect.Effect<boolean> = Effect.flatMap(findLibrary, ({ missing }) =>
  missing === undefined ? Effect.succeed(true) : Effect.as(Effect.logWarning(missing), false)
)

const failed = (detail: string, port?: number): StoreError =>
  new StoreError({
    store: "clickhouse",
    operation: "start the embedded engine",
    outcome: "not-applied",
    reason: unavailable({ store: "clickhouse", host, port }, { detail })
  })

const inFileSystem = <A>(run: () => A): Effect.Effect<A, StoreError> =>
  Effect.try({
    try: run,
    catch: (cause) => failed(cause instanceof Error ? cause.message : "its folder cannot be written")
  })

/** Of this start alone: its configuration, so that a second start on the same data cannot change what the first one reads. */
const ownFolder: Effect.Effect<string, StoreError, Scope.Scope> = Effect.acquireRelease(
  inFileSystem(() => fs.mkdtempSync(path.join(os.tmpdir(), "clickhouse-embedded-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
)

/**
 * Says who may enter as `default`: the engine's own prompt, which comes before the engine listens, and nobody after it.
 */
const gate: Effect.Effect<number, StoreError, Scope.Scope> = Effect.gen(function* () {
  let entered = false
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      http.createServer((_, response) => {
        response.writeHead(entered ? 401 : 200).end()
        entered = true
      })
    ),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  return yield* Effect.callback<number, StoreError>((resume) => {
    server
      .once("error", (error) => resume(Effect.fail(failed(error.message))))
      .listen(0, host, () => {
        server.unref()
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
  })
})

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const ending = (child: ChildProcess): string => child.signalCode ?? `status ${child.exitCode ?? "unknown"}`

/** Signals by which a process ends of itself. */
const crashes: ReadonlySet<string> = new Set(["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"])

/** How a start failed, and whether the engine crashed in it. */
interface FailedStart {
  readonly error: StoreError
  readonly crashed: boolean
}

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (hasEnded(child)) return resume(Effect.void)
    const over = () => resume(Effect.void)
    child.once("exit", over)
    return Effect.sync(() => child.off("exit", over))
  })

const stop = (child: ChildProcess): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (hasEnded(child)) return
    if (child.connected) child.send("exit")
    const over = yield* Effect.timeoutOption(ended(child), stopLimit)
    if (over._tag === "None") child.kill("SIGKILL")
    yield* ended(child)
  })

/** The port that the engine says it listens on; undefined where it started and could not listen. */
const announced = (child: ChildProcess): Effect.Effect<number | undefined, string> =>
  Effect.callback((resume) => {
    const said = new Map<string, string>()
    let rest = ""
    const onExit = () => resume(Effect.fail(`it ended (${ending(child)})`))
    const onError = (error: Error) => resume(Effect.fail(error.message))
    child.once("exit", onExit).once("error", onError)
    const pipe = child.stdio[3]
    if (pipe instanceof Readable) {
      pipe.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) {
          const [name = "", value = ""] = line.split("\t")
          said.set(name, value)
        }
        if (said.has("started")) resume(Effect.succeed(said.has("port") ? Number(said.get("port")) : undefined))
      })
    }
    return Effect.sync(() => child.off("exit", onExit).off("error", onError))
  })

/** The last thing the engine said that looks like an error; its own words, about its folder and port. */
const lastWords = (log: string): Effect.Effect<string> =>
  Effect.orElseSucceed(
    Effect.try(() => {
      const lines = fs.readFileSync(log, "utf8").trim().split("\n")
      const errors = lines.filter((line) => /Exception|rror:/.test(line))
      return (errors.length > 0 ? errors : lines).slice(-3).join("\n")
    }),
    () => ""
  )

const say = (name: string, sql: string): string =>
  `INSERT INTO FUNCTION file(3, 'TSV', 'name String, value String') SELECT '${name}', toString(${sql})`

const quoted = (identifier: string): string => `\`${identifier.replace(/[\\`]/g, "\\$&")}\``

/** Starts the engine once. */
const attempt = (
  options: EngineOptions,
  library: string
): Effect.Effect<Engine, StoreError | FailedStart, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* ownFolder
    const data = path.resolve(options.dataFolder ?? path.join(own, "data"))
    const password = `${crypto.randomUUID()}${crypto.randomUUID()}`
    const log = path.join(own, "engine.log")
    const gatePort = yield* gate
    const launch = inFileSystem(() => {
      const config = writeEngineFiles({ own, data, port: options.port ?? 0, gatePort, username, password })
      // The source runs as it is where Node strips types, and so does its engine.
      const program = path.join(
        path.dirname(require.resolve("@ai-core/database/package.json")),
        import.meta.url.endsWith(".ts") ? "src/clickhouse/engine.ts" : "dist/clickhouse/engine.js"
      )
      const statements = [
        `CREATE DATABASE IF NOT EXISTS ${quoted(options.database)}`,
        "SYSTEM START LISTEN HTTP",
        say("port", "getServerPort('http_port')"),
        say("started", "1")
      ].join("; ")
      const output = fs.openSync(log, "w")
      const child = spawn(
        process.execPath,
        [
          program,
          library,
          own,
          "--history_file",
          path.join(own, "history"),
          "--config-file",
          config,
          "--query",
          statements
        ],
        {
          stdio: ["ignore", output, output, "pipe", "ipc"],
          // Out of the terminal's process group: Ctrl-C is for the program, which then stops the engine in its turn.
          detached: true,
          // Whatever the engine leaves in a temporary folder goes with its own.
          env: { ...process.env, TMPDIR: own, TERM: "dumb", NODE_OPTIONS: "" }
        }
      )
      fs.closeSync(output)
      return child
    })
    let stopping = false
    const child = yield* Effect.acquireRelease(launch, (child) =>
      Effect.andThen(
        Effect.sync(() => (stopping = true)),
        stop(child)
      )
    )
    const port = yield* announced(child).pipe(
      Effect.timeoutOrElse({
        duration: startLimit,
        orElse: () => Effect.fail(`it said nothing for ${Duration.toSeconds(startLimit)} s`)
      }),
      Effect.catch((why) =>
        Effect.flatMap(lastWords(log), (words) =>
          Effect.fail<FailedStart>({
            error: failed(`${why}\n${words}`, options.port),
            // Refused the folder that another engine has, it crashes on its way out: another try would end so, too.
            crashed: crashes.has(child.signalCode ?? "") && !words.includes("Cannot lock file")
          })
        )
      )
    )
    if (port === undefined) return yield* Effect.flatMap(lastWords(log), (words) => failed(words, options.port))
    return {
      url: Redacted.make(`http://${username}:${password}@${host}:${port}/${encodeURIComponent(options.database)}`),
      port,
      pid: child.pid ?? 0,
      outage: () => (hasEnded(child) && !stopping ? `the embedded engine ended (${ending(child)})` : undefined)
    }
  })

/**
 * Starts ClickHouse's engine in a child process with its own HTTP interface, and stops it with the scope.
 *
 * It listens on 127.0.0.1, on a free port, for one user with a random password. Takes half a second to a second and about
 * 300 MB. When this process dies, the engine follows. An engine that crashes before it answers, which was seen on a machine under
 * load, is started twice more. Fails with `StoreError` (`Unavailable`) that says why it did not start.
 */
export const start = (options: EngineOptions): Effect.Effect<Engine, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const library = yield* findLibrary
    if (library.missing !== undefined) return yield* failed(library.missing)
    return yield* attempt(options, library.path).pipe(
      Effect.retry({ times: 2, while: (failure) => "crashed" in failure && failure.crashed }),
      Effect.mapError((failure) => ("crashed" in failure ? failure.error : failure))
    )
  })

/** Settings of the embedded client: those of a server that say nothing of where it is, and those of the engine. */
export interface EmbeddedOptions
  extends
    Omit<ClickHousePreset, "url" | "username" | "password" | "secure">,
    Pick<EngineOptions, "dataFolder" | "port"> {}

/**
 * Starts the engine and connects to it by the same client as to a server.
 *
 * Closing waits for the requests under way, then stops the engine. When the engine dies, calls fail with `Unavailable` or
 * `ConnectionLost` that say so; it is not started again.
 */
export const make = (
  options: EmbeddedOptions = {}
): Effect.Effect<ClickHouseClient["Service"], StoreError | ConfigInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const { dataFolder, port, ...settings } = options
    const database = settings.database ?? sections.clickhouse.settings.database.fallback ?? "default"
    const engine = yield* start({ dataFolder, port, database })
    // Loopback: compressing would cost more than it saves.
    const config = yield* sections.clickhouse.make({ compression: false, ...settings, url: engine.url })
    return yield* fromConfig(config, { outage: engine.outage })
  })

/** The embedded client; see {@link make}. */
export const layer = (options?: EmbeddedOptions): Layer.Layer<ClickHouseClient, StoreError | ConfigInvalid> =>
  Layer.effect(ClickHouseClient, make(options))
