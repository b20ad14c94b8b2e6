/* oxlint-disable vitest/valid-title, vitest/valid-describe-callback, vitest/no-conditional-tests, vitest/expect-expect -- these are wrappers of describe, not suites */
/** Real servers for tests: which are there, suites that need them, databases of one's own, servers to be killed. */
import { describe, inject, it, type TaskMeta } from "vitest"
import { displayName, type Store } from "../../src/core/Store.ts"
import { canOwnServer } from "./ownServer.ts"

export { freshClickHouse, freshMongo, freshPostgres, freshRedisPrefix } from "./databases.ts"
export { canOwnServer, type OwnServer, ownServer } from "./ownServer.ts"
export { ServerError } from "./ServerError.ts"

/** URL of a store's server in this run, or nothing where there is none. */
export const serverUrl = (store: Store): string | undefined => {
  const found = inject("servers")[store]
  return found._tag === "Found" ? found.url : undefined
}

type Stores = Store | ReadonlyArray<Store>
const listOf = (needed: Stores): ReadonlyArray<Store> => (typeof needed === "string" ? [needed] : needed)

/** Those of the stores that this run has no server of. */
export const lackingStores = (needed: Stores): ReadonlyArray<Store> =>
  listOf(needed).filter((store) => serverUrl(store) === undefined)

/** Puts one skipped test in the place of a suite, which says what the suite needs. */
export const skipSuite = (title: string, lacking: ReadonlyArray<Store>, meta: Partial<TaskMeta> = {}): void => {
  describe.skipIf(true)(title, () => {
    it(`needs ${lacking.map((store) => displayName[store]).join(" and ")}`, { meta }, () => {})
  })
}

/** `describe` where every store named is there, its body given their URLs; else one skipped test that says what is missing. */
export const describeLive = (needed: Stores, title: string, body: (...urls: ReadonlyArray<string>) => void): void => {
  const lacking = lackingStores(needed)
  if (lacking.length > 0) skipSuite(title, lacking)
  else describe(title, () => body(...listOf(needed).map((store) => serverUrl(store)!)))
}

/** `describe` where `ownServer(store)` can start a server to be killed; else one skipped test that says so. */
export const describeOwned = (store: Store, title: string, body: () => void): void => {
  if (canOwnServer(store)) describe(title, body)
  else skipSuite(title, [store])
}
