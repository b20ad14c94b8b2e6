import { chmodSync, mkdtempSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule, type Scope } from "effect"
import type { Store } from "../../src/core/Store.ts"
import { answers } from "./answers.ts"
import type { Recipe } from "./binaries.ts"
import { removeAtEnd, type ServerProcess, serverProcess } from "./serverProcess.ts"
import { ServerError } from "./ServerError.ts"

export interface StartedServer {
  readonly url: string
  readonly process: ServerProcess
}

/** A port of 127.0.0.1 that nobody listens on. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A temporary folder that lives as long as the scope; other users may enter it. */
export const temporaryFolder = (store: Store): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = mkdtempSync(join(tmpdir(), `ai-core-test-${store}-`))
    chmodSync(folder, 0o755)
    yield* removeAtEnd(folder)
    return folder
  })

const whileRunning =
  (store: Store, server: ServerProcess) =>
  <A>(self: Effect.Effect<A, ServerError>): Effect.Effect<A, ServerError> =>
    Effect.raceFirst(
      self,
      Effect.andThen(
        server.exited,
        Effect.suspend(() =>
          Effect.fail(new ServerError({ store, problem: `it ended by itself; ${outputOf(server)}` }))
        )
      )
    )

const outputOf = (server: ServerProcess): string => `its last words:\n${server.output().slice(-2000)}`

const patiently = (
  store: Store,
  server: ServerProcess,
  ask: Effect.Effect<void, ServerError>
): Effect.Effect<void, ServerError> => {
  let last = "it did not answer"
  return ask.pipe(
    Effect.tapError(({ problem }) => Effect.sync(() => (last = problem))),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () =>
        Effect.fail(new ServerError({ store, problem: `a minute after the start: ${last}; ${outputOf(server)}` }))
    }),
    whileRunning(store, server)
  )
}

/** Starts a server by its binary on a data folder; returns once it answers. */
export const startBinary = (
  store: Store,
  recipe: Recipe,
  folder: string,
  firstStart: boolean
): Effect.Effect<StartedServer, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* serverProcess({ store, folder, cwd: folder, ...recipe })
    const { afterStart } = recipe
    if (firstStart && afterStart !== undefined) {
      yield* patiently(
        store,
        server,
        Effect.tryPromise({ try: afterStart, catch: (e) => new ServerError({ store, problem: String(e) }) })
      )
    }
    yield* patiently(store, server, answers(store, recipe.url))
    return { url: recipe.url, process: server }
  })

/**
 * Starts a server by a command that stays in the foreground and prints `…_URL=…` once the server answers.
 *
 * The command is one simple command of the shell, with its arguments.
 */
export const startCommand = (
  store: Store,
  command: string,
  folder: string
): Effect.Effect<StartedServer, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* serverProcess({
      store,
      command: "/bin/sh",
      args: ["-c", `exec env ${command}`],
      // What it leaves there when it is killed goes with the folder.
      env: { TMPDIR: folder },
      folder
    })
    const printed = Effect.suspend(() => {
      const url = /^[A-Z_]+_URL=(\S+)$/m.exec(server.output())?.[1]
      return url === undefined
        ? Effect.fail(new ServerError({ store, problem: "has not printed its URL" }))
        : Effect.succeed(url)
    })
    const url = yield* printed.pipe(
      Effect.retry(Schedule.spaced("50 millis")),
      Effect.timeoutOrElse({
        duration: "5 minutes",
        orElse: () =>
          Effect.fail(
            new ServerError({
              store,
              problem: `its command printed no URL within five minutes; ${outputOf(server)}`
            })
          )
      }),
      whileRunning(store, server)
    )
    return { url, process: server }
  })
