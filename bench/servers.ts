/** The servers that benches run against, found as the tests find them. */
import { Effect, type Scope } from "effect"
import type { Store } from "../src/core/Store.ts"
import { binaryRecipe } from "../test/servers/binaries.ts"
import { type Found, findServer, urlVariable } from "../test/servers/find.ts"
import type { ServerError } from "../test/servers/ServerError.ts"
import { freePort, startBinary, temporaryFolder } from "../test/servers/startServer.ts"

/** Tests start PostgreSQL so that it forgets a crash, which a figure for durable writes must not rest on. */
const durable = ["fsync", "full_page_writes", "synchronous_commit"].flatMap((name) => ["-c", `${name}=on`])

const durablePostgres: Effect.Effect<Found | undefined, ServerError, Scope.Scope> = Effect.gen(function* () {
  const recipe = binaryRecipe("postgresql")
  if (recipe === undefined || process.env[urlVariable("postgresql")]) return undefined
  const folder = yield* temporaryFolder("postgresql")
  const prepared = recipe(folder, yield* freePort)
  const { url } = yield* startBinary("postgresql", { ...prepared, args: [...prepared.args, ...durable] }, folder, true)
  return { _tag: "Found", url, how: "its binary, started for this run" }
})

/** Finds or starts one store for as long as the scope. */
export const benchServer = (store: Store): Effect.Effect<Found, ServerError, Scope.Scope> =>
  store !== "postgresql"
    ? findServer(store)
    : Effect.flatMap(durablePostgres, (found) => (found === undefined ? findServer(store) : Effect.succeed(found)))
