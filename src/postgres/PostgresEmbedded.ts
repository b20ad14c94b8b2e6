import type { PGlite } from "@electric-sql/pglite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type PostgresOptions, sections } from "../core/DatabaseConfig.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import { StoreError } from "../core/StoreError.ts"
import { lockFolder } from "./session/FolderLock.ts"
import { makeTurns, PgliteWire } from "./session/PgliteWire.ts"
import { makeFor, type PostgresTags } from "./PostgresClient.ts"
import type { PostgresTarget } from "./session/PostgresSession.ts"

/** How the embedded engine runs. */
export interface PostgresEmbeddedOptions {
  /** Folder that keeps the data, made where it is missing; without one everything is in memory and gone at the end. */
  readonly dataFolder?: string | undefined
}

const endpoint: Endpoint = { store: "postgresql", host: "PGlite in this process" }
const url = Redacted.make("postgresql://postgres@localhost/postgres")

const failure = (cause: unknown, detail: string, code?: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation: "connect",
    outcome: "not-applied",
    reason: unavailable(endpoint, { code, detail }),
    cause
  })

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined

const load = Effect.tryPromise({
  try: () => import("@electric-sql/pglite"),
  catch: (cause) =>
    failure(cause, "the package @electric-sql/pglite is missing: npm install @electric-sql/pglite", codeOf(cause))
})

const start = (
  dataFolder: string | undefined,
  Engine: { readonly create: (dataFolder?: string) => Promise<PGlite> }
): Effect.Effect<PGlite, StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => Engine.create(dataFolder),
      catch: (cause) =>
        failure(
          cause,
          dataFolder === undefined ? "the engine did not start" : `the engine did not start in ${dataFolder}`,
          codeOf(cause)
        )
    }),
    (engine) => Effect.ignore(Effect.tryPromise(() => (engine.closed ? Promise.resolve() : engine.close())))
  )

/** Starts the engine, and stops it with the scope; each connection made to it is the same session, one at a time. */
const target = (options: PostgresEmbeddedOptions): Effect.Effect<PostgresTarget, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { PGlite: Engine } = yield* load
    if (options.dataFolder !== undefined) {
      // Two engines in one folder destroy what it holds.
      yield* Effect.mapError(lockFolder(options.dataFolder), ({ cause, detail }) =>
        failure(cause, detail, codeOf(cause))
      )
    }
    const engine = yield* start(options.dataFolder, Engine)
    const turns = makeTurns()
    return {
      endpoint,
      url,
      applicationName: "@ai-core/database",
      stream: () => new PgliteWire(engine, turns)
    }
  })

/** The engine is one session, which lives as long as the engine. */
const settings: PostgresOptions = { url, maxConnections: 1, minConnections: 0, idleTimeout: 0, maxLifetime: 0 }

/**
 * PostgreSQL in this process, by PGlite: the same client over the same wire protocol, without a server.
 *
 * It takes about 2 s to start, or 0.3 s on a folder that has data. There is one connection: a transaction keeps every other
 * caller waiting, up to `acquireTimeout`. A statement runs to its end before the process does anything else, so it is not
 * cancelled by interruption, nor ended by `statementTimeout`. A data folder belongs to one layer at a time: a second one is refused.
 *
 * Fails with `StoreError` (`Unavailable`) where the package is missing or the engine does not start.
 */
export const layer = (
  options: PostgresEmbeddedOptions & Pick<PostgresOptions, "acquireTimeout" | "shutdownTimeout"> = {}
): Layer.Layer<PostgresTags, ConfigInvalid | StoreError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { dataFolder, ...limits } = options
      const config = yield* sections.postgresql.make({ ...settings, ...limits })
      return yield* makeFor(yield* target({ dataFolder }), config)
    })
  )
