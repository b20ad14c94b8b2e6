import { type ChildProcess, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Duration, Effect, Schedule, type Scope } from "effect"
import type { Store } from "../../src/core/Store.ts"
import { isFrozen, isRunning as isThere, signalTree } from "./processTree.ts"
import { ServerError } from "./ServerError.ts"

export interface ProcessOptions {
  readonly store: Store
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  /** The user it runs as; this process's own by default. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /** What asks it to end; SIGTERM by default. */
  readonly endSignal?: NodeJS.Signals | undefined
  /** Removed if this test run is killed and cannot clean up. */
  readonly folder?: string | undefined
}

export interface ServerProcess {
  readonly pid: number
  /** Everything it wrote so far, on both outputs; the last 64 KB. */
  readonly output: () => string
  readonly isRunning: () => boolean
  /** Ends once the process has. */
  readonly exited: Effect.Effect<void>
  /** Sends a signal to it and all that descend from it. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Stops it and all that descend from it (SIGSTOP), and waits until the last thread has: for a moment one may still answer. */
  readonly freeze: Effect.Effect<void>
  /** Kills it and all that descend from it, and waits until the last of them is gone: until then it may hold its files. */
  readonly kill: Effect.Effect<void>
  /** Asks it to end, and kills it where it has not after ten seconds. */
  readonly end: Effect.Effect<void>
}

let watchdog: ChildProcess | undefined

const tellWatchdog = (line: string): void => {
  if (watchdog === undefined) {
    watchdog = spawn(process.execPath, [fileURLToPath(new URL("./watchdog.ts", import.meta.url))], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"]
    })
    watchdog.unref()
    const { stdin } = watchdog
    stdin?.on("error", () => {})
    if (stdin !== null && "unref" in stdin && typeof stdin.unref === "function") stdin.unref()
  }
  watchdog.stdin?.write(`${line}\n`)
}

const keep = 64 * 1024

/** Runs a server process for as long as the scope; it does not outlive this one, however this one ends. */
export const serverProcess = (options: ProcessOptions): Effect.Effect<ServerProcess, ServerError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ServerProcess, ServerError>((resume) => {
      const endSignal = options.endSignal ?? "SIGTERM"
      const child = spawn(options.command, options.args, {
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...options.user
      })
      let output = ""
      const append = (chunk: Buffer) => {
        output = (output + chunk.toString("utf8")).slice(-keep)
      }
      child.stdout.on("data", append)
      child.stderr.on("data", append)
      child.once("error", (cause) =>
        resume(Effect.fail(new ServerError({ store: options.store, problem: String(cause) })))
      )
      child.once("spawn", () => {
        const pid = child.pid!
        tellWatchdog(`watch ${pid} ${endSignal} ${options.folder ?? ""}`)
        const isRunning = () => child.exitCode === null && child.signalCode === null
        child.once("exit", () => tellWatchdog(`forget ${pid}`))
        const exited = Effect.callback<void>((done) => {
          if (!isRunning()) return done(Effect.void)
          const listener = () => done(Effect.void)
          child.once("exit", listener)
          return Effect.sync(() => child.off("exit", listener))
        })
        const signal = (name: NodeJS.Signals) => Effect.sync(() => void signalTree(pid, name))
        const freeze = Effect.repeat(
          // Once more each time: a process may have been forked beside the signal.
          Effect.andThen(
            signal("SIGSTOP"),
            Effect.sync(() => !isRunning() || isFrozen(pid))
          ),
          { until: (frozen) => frozen, schedule: Schedule.spaced("5 millis") }
        )
        const kill = Effect.gen(function* () {
          const tree = signalTree(pid, "SIGKILL")
          yield* exited
          const left = Effect.delay(
            Effect.sync(() => tree.some(isThere)),
            "10 millis"
          )
          yield* Effect.repeat(left, { while: (some) => some, times: 500 })
        })
        const end = Effect.gen(function* () {
          if (!isRunning()) return
          yield* signal("SIGCONT")
          yield* Effect.sync(() => child.kill(endSignal))
          yield* Effect.timeoutOption(exited, Duration.seconds(10))
          if (isRunning()) yield* signal("SIGKILL")
          yield* exited
        })
        resume(
          Effect.succeed({
            pid,
            output: () => output,
            isRunning,
            exited,
            signal,
            freeze: Effect.asVoid(freeze),
            kill,
            end
          })
        )
      })
    }),
    (server) => server.end
  )

/** Removes a temporary folder at the end of the scope. */
export const removeAtEnd = (folder: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })))
