import { Effect, Redacted, type Scope } from "effect"
import { inject } from "vitest"
import { displayName, type Store } from "../../src/core/Store.ts"
import { unique } from "../../src/testing/Contract.ts"
import * as PostgresTestDatabase from "../../src/testing/PostgresTestDatabase.ts"
import { ServerError } from "./ServerError.ts"

const urlOf = (store: Store): Effect.Effect<string, ServerError> =>
  Effect.suspend(() => {
    const found = inject("servers")[store]
    return found._tag === "Found"
      ? Effect.succeed(found.url)
      : Effect.fail(new ServerError({ store, problem: `no ${displayName[store]}; put the suite into describeLive` }))
  })

const asked = <A>(store: Store, ask: () => Promise<A>): Effect.Effect<A, ServerError> =>
  Effect.tryPromise({ try: ask, catch: (cause) => new ServerError({ store, problem: String(cause) }) })

const identifier = Effect.map(unique("test"), (name) => name.replaceAll("-", "_"))

/** URL of a new, empty PostgreSQL database, dropped at the end of the scope. */
export const freshPostgres: Effect.Effect<string, ServerError, Scope.Scope> = Effect.gen(function* () {
  const adminUrl = Redacted.make(yield* urlOf("postgresql"))
  const { url } = yield* Effect.mapError(
    PostgresTestDatabase.make({ adminUrl }),
    (cause) => new ServerError({ store: "postgresql", problem: String(cause) })
  )
  return Redacted.value(url)
})

/** Where MongoDB is, and the name of a database that nobody else uses, dropped at the end of the scope. */
export const freshMongo: Effect.Effect<{ readonly url: string; readonly database: string }, ServerError, Scope.Scope> =
  Effect.gen(function* () {
    const url = yield* urlOf("mongodb")
    const database = yield* identifier
    yield* Effect.addFinalizer(() =>
      Effect.ignore(
        asked("mongodb", async () => {
          const { MongoClient } = await import("mongodb")
          const client = new MongoClient(url)
          await client.db(database).dropDatabase()
          await client.close()
        })
      )
    )
    return { url, database }
  })

const runClickHouse = (url: string, statement: string): Effect.Effect<void, ServerError> =>
  asked("clickhouse", async () => {
    const { password, username } = new URL(url)
    const response = await fetch(new URL("/", new URL(url).origin), {
      method: "POST",
      body: statement,
      headers:
        username === ""
          ? {}
          : {
              "X-ClickHouse-User": decodeURIComponent(username),
              "X-ClickHouse-Key": decodeURIComponent(password)
            }
    })
    if (!response.ok) throw new Error(await response.text())
  })

/** Where ClickHouse is, and the name of a new database, dropped at the end of the scope. */
export const freshClickHouse: Effect.Effect<
  { readonly url: string; readonly database: string },
  ServerError,
  Scope.Scope
> = Effect.gen(function* () {
  const url = yield* urlOf("clickhouse")
  const database = yield* identifier
  yield* Effect.acquireRelease(runClickHouse(url, `CREATE DATABASE ${database}`), () =>
    Effect.ignore(runClickHouse(url, `DROP DATABASE IF EXISTS ${database} SYNC`))
  )
  return { url, database }
})

/** A prefix that no other key has, ending in a colon; keys that begin with it are deleted at the end of the scope. */
export const freshRedisPrefix: Effect.Effect<string, ServerError, Scope.Scope> = Effect.gen(function* () {
  const url = yield* urlOf("redis")
  const prefix = `${yield* unique("test")}:`
  yield* Effect.addFinalizer(() =>
    Effect.ignore(
      asked("redis", async () => {
        const { Redis } = await import("ioredis")
        const client = new Redis(url)
        for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
          if (keys.length > 0) await client.unlink(...keys)
        }
        await client.quit()
      })
    )
  )
  return prefix
})
