import { Cause, Effect, Exit, Scope } from "effect"
import type { TestProject } from "vitest/node"
import { type Found, findServers, stores, urlVariable } from "./find.ts"
import type { Store } from "../../src/core/Store.ts"

declare module "vitest" {
  interface ProvidedContext {
    servers: Record<Store, Found>
  }
}

/**
 * Finds or starts the stores once per run; what it returns stops those that it started.
 *
 * The processes of the tests inherit the URLs, so that a suite that asks the environment, and every program that a test starts,
 * use the same servers as the rest of the run.
 */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const scope = Effect.runSync(Scope.make())
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const exit = await Effect.runPromiseExit(Scope.provide(findServers, scope))
  if (Exit.isFailure(exit)) {
    await stop()
    throw Cause.squash(exit.cause)
  }
  project.provide("servers", exit.value)
  const started = stores.filter((store) => {
    const found = exit.value[store]
    const isNew = found._tag === "Found" && !process.env[urlVariable(store)]
    if (isNew) process.env[urlVariable(store)] = found.url
    return isNew
  })
  return async () => {
    // A later run of this process would ask for them in vain.
    for (const store of started) delete process.env[urlVariable(store)]
    await stop()
  }
}
