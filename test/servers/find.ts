import { Effect, type Scope } from "effect"
import { displayName, type Store } from "../../src/core/Store.ts"
import { answers } from "./answers.ts"
import { binaryRecipe } from "./binaries.ts"
import { dockerAnswers, startContainer } from "./docker.ts"
import { ServerError } from "./ServerError.ts"
import { freePort, startBinary, startCommand, temporaryFolder } from "./startServer.ts"

/** The stores, in the order of every table, and the word for each in names of variables and in TEST_REQUIRE. */
export const storeWords: Record<Store, string> = {
  postgresql: "postgres",
  redis: "redis",
  mongodb: "mongodb",
  clickhouse: "clickhouse"
}
export const stores = Object.keys(storeWords) as ReadonlyArray<Store>

export const urlVariable = (store: Store): string => `TEST_${storeWords[store].toUpperCase()}_URL`
export const commandVariable = (store: Store): string => `TEST_${storeWords[store].toUpperCase()}_COMMAND`

/** What came of the search for one store. */
export type Found =
  | { readonly _tag: "Found"; readonly url: string; readonly how: string }
  | { readonly _tag: "Missing"; readonly why: string; readonly fix: string }

const variable = (name: string): string | undefined => process.env[name] || undefined

const howToGet: Record<Store, string> = {
  postgresql: "install PostgreSQL (Debian: apt install postgresql)",
  redis: "install Redis (Debian: apt install redis-server)",
  mongodb: "install mongod",
  clickhouse: "install clickhouse"
}

/** `TEST_SERVERS=none`: no server is looked for, so that what needs none runs in seconds. */
export const withoutServers = (): boolean => {
  const word = variable("TEST_SERVERS")
  if (word !== undefined && word !== "none") throw new Error(`TEST_SERVERS is "${word}"; it may be none`)
  return word === "none"
}

const missing = (store: Store): Found => ({
  _tag: "Missing",
  why: "no URL, start command, binary or Docker",
  fix: `set ${urlVariable(store)} or ${commandVariable(store)}, ${howToGet[store]}, or start Docker`
})

/** Starts a private server by the binary on this machine; another port is tried where somebody was faster. */
const byBinary = (store: Store): Effect.Effect<string, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const recipe = binaryRecipe(store)
    if (recipe === undefined) return yield* new ServerError({ store, problem: "no binary" })
    const folder = yield* temporaryFolder(store)
    const port = yield* freePort
    const prepared = yield* Effect.try({
      try: () => recipe(folder, port),
      catch: (e) => new ServerError({ store, problem: String(e) })
    })
    return (yield* startBinary(store, prepared, folder, true)).url
  }).pipe(Effect.retry({ times: 2 }))

/**
 * Finds a store, or starts it for as long as the scope: by its URL, its start command, its binary, or Docker.
 *
 * Fails where a way that was asked for or is there does not work; that none is there is an answer.
 */
export const findServer = (store: Store): Effect.Effect<Found, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    if (withoutServers()) {
      return { _tag: "Missing" as const, why: "TEST_SERVERS=none", fix: "leave TEST_SERVERS unset" }
    }
    const url = variable(urlVariable(store))
    if (url !== undefined) {
      yield* Effect.mapError(
        answers(store, url),
        ({ problem }) => new ServerError({ store, problem: `${urlVariable(store)} is set, but: ${problem}` })
      )
      return { _tag: "Found" as const, url, how: urlVariable(store) }
    }
    const command = variable(commandVariable(store))
    if (command !== undefined) {
      const started = yield* startCommand(store, command, yield* temporaryFolder(store))
      return { _tag: "Found" as const, url: started.url, how: commandVariable(store) }
    }
    if (binaryRecipe(store) !== undefined) {
      return { _tag: "Found" as const, url: yield* byBinary(store), how: "its binary, started for this run" }
    }
    if (yield* dockerAnswers) {
      return { _tag: "Found" as const, url: yield* startContainer(store), how: "Docker" }
    }
    return missing(store)
  })

/** Stores that must be there: TEST_REQUIRE, a comma-separated list of postgres, redis, mongodb, clickhouse. */
export const requiredStores = (): ReadonlyArray<Store> => {
  const words = (variable("TEST_REQUIRE") ?? "")
    .split(",")
    .map((word) => word.trim())
    // PgBouncer is no store: its own suite sees to it.
    .filter((word) => word !== "" && word !== "pgbouncer")
  return words.map((word) => {
    const store = stores.find((s) => storeWords[s] === word || s === word)
    if (store === undefined) {
      throw new Error(`TEST_REQUIRE names "${word}"; it may name ${Object.values(storeWords).join(", ")}`)
    }
    return store
  })
}

/**
 * Finds or starts all four stores for as long as the scope.
 *
 * Fails with one error that lists every store that TEST_REQUIRE names and that is not there, and every one that failed.
 */
export const findServers: Effect.Effect<Record<Store, Found>, Error, Scope.Scope> = Effect.gen(function* () {
  const required = requiredStores()
  const results = yield* Effect.all(
    stores.map((store) => Effect.result(findServer(store))),
    { concurrency: "unbounded" }
  )
  const found: Partial<Record<Store, Found>> = {}
  const problems: Array<string> = []
  for (const [i, store] of stores.entries()) {
    const result = results[i]!
    if (result._tag === "Failure") problems.push(`${displayName[store]}: ${result.failure.problem}`)
    else {
      found[store] = result.success
      if (result.success._tag === "Missing" && required.includes(store)) {
        problems.push(`${displayName[store]} is required by TEST_REQUIRE: ${result.success.why}; ${result.success.fix}`)
      }
    }
  }
  if (problems.length > 0) {
    return yield* Effect.fail(new Error(`servers for the tests:\n  ${problems.join("\n  ")}`))
  }
  return found as Record<Store, Found>
})
