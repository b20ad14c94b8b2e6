import { Cause, Effect, Exit, Scope } from "effect"
import type { TestProject } from "vitest/node"
import { type Found, findServers } from "./find.ts"
import type { Store } from "../../src/core/Store.ts"

declare module "vitest" {
  interface ProvidedContext {
    servers: Record<Store, Found>
  }
}

/** Finds or starts the stores once per run; what it returns stops those that it started. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const scope = Effect.runSync(Scope.make())
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const exit = await Effect.runPromiseExit(Scope.provide(findServers, scope))
  if (Exit.isFailure(exit)) {
    await stop()
    throw Cause.squash(exit.cause)
  }
  project.provide("servers", exit.value)
  return stop
}
