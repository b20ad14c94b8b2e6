import { join } from "node:path"
import { Effect, Scope } from "effect"
import type { Store } from "../../src/core/Store.ts"
import { binaryRecipe } from "./binaries.ts"
import { commandVariable, withoutServers } from "./find.ts"
import { ServerError } from "./ServerError.ts"
import { freePort, startBinary, startCommand, type StartedServer, temporaryFolder } from "./startServer.ts"

/** A server that belongs to one test, to be killed, stopped and frozen. */
export interface OwnServer {
  readonly url: string
  readonly port: number
  /** Ends it at once (SIGKILL), as a crash would; what it had written stays. */
  readonly kill: Effect.Effect<void>
  /** Ends it in order. */
  readonly stop: Effect.Effect<void>
  /** Freezes it (SIGSTOP): connections stay open, and by the time that it goes on nothing is answered. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Ends it if it runs, and starts it on the same port and data; returns once it answers. */
  readonly restart: Effect.Effect<void, ServerError>
}

const command = (store: Store): string | undefined => process.env[commandVariable(store)] || undefined

/** Whether a private server of this store can be started here: by its binary, or by its start command. */
export const canOwnServer = (store: Store): boolean =>
  !withoutServers() && (binaryRecipe(store) !== undefined || command(store) !== undefined)

/**
 * Starts a server of one's own for as long as the scope.
 *
 * A start command is run with `--port N --data FOLDER` added, so that a restart finds port and data again.
 */
export const ownServer = (store: Store): Effect.Effect<OwnServer, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const folder = yield* temporaryFolder(store)
    const port = yield* freePort
    const start = (first: boolean): Effect.Effect<StartedServer, ServerError, Scope.Scope> =>
      Effect.gen(function* () {
        const recipe = binaryRecipe(store)
        if (recipe !== undefined) {
          const prepared = yield* Effect.try({
            try: () => recipe(folder, port),
            catch: (e) => new ServerError({ store, problem: String(e) })
          })
          return yield* startBinary(store, prepared, folder, first)
        }
        const line = command(store)
        if (line === undefined) {
          return yield* new ServerError({ store, problem: `no binary, and no ${commandVariable(store)}` })
        }
        return yield* startCommand(store, `${line} --port ${port} --data '${join(folder, "data")}'`, folder)
      })
    let current = yield* start(true)
    const kill = Effect.suspend(() => current.process.kill)
    const stop = Effect.suspend(() => current.process.end)
    return {
      url: current.url,
      port,
      kill,
      stop,
      pause: Effect.suspend(() => current.process.freeze),
      resume: Effect.suspend(() => current.process.signal("SIGCONT")),
      restart: Effect.gen(function* () {
        yield* stop
        current = yield* Scope.provide(start(false), scope)
      })
    }
  })
