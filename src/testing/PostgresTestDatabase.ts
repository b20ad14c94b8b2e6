import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql/SqlError"
import { unique } from "./Contract.ts"

/** A database that belongs to one test or one test file. */
export interface PostgresTestDatabase {
  readonly name: string
  readonly url: Redacted.Redacted
}

/** The URL of another database on the same server. */
const urlOf = (url: Redacted.Redacted, database: string): Redacted.Redacted => {
  const other = new URL(Redacted.value(url))
  other.pathname = `/${encodeURIComponent(database)}`
  return Redacted.make(other.href)
}

/** Loaded when it is needed, so that those who test without PostgreSQL need not install its driver. */
const driver = Effect.promise(() => import("@effect/sql-pg"))

const asAdmin = <A, E>(
  adminUrl: Redacted.Redacted,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError> =>
  driver.pipe(
    Effect.flatMap(({ PgClient }) => PgClient.makeClient({ url: adminUrl })),
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(Reactivity.layer)
  )

const objectInUse = "55006"

const sqlState = (error: SqlError): unknown => {
  const cause = error.reason.cause
  return Predicate.hasProperty(cause, "code") ? cause.code : undefined
}

/** A template cannot be copied while a connection to it, if only one that is closing, is open. */
const untilUnused = <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.retry(self, {
    while: (error) => sqlState(error) === objectInUse,
    schedule: Schedule.spaced("20 millis"),
    times: 250
  })

/**
 * Makes an empty database, or a copy of a template, that is dropped at the end of the scope even while connections to it are
 * open.
 *
 * `adminUrl` connects as a user that may create databases. A copy of a template with migrations costs tens of milliseconds
 * where running them costs seconds. Fails with `SqlError`.
 *
 * @example
 * ```ts
 * const template = yield* PostgresTestDatabase.template({ adminUrl, name: "users-v3", prepare: migrate })
 * const { url } = yield* PostgresTestDatabase.make({ adminUrl, template })
 * ```
 */
export const make = (options: {
  readonly adminUrl: Redacted.Redacted
  /** The database to copy; PostgreSQL's own `template0` by default. */
  readonly template?: string | undefined
}): Effect.Effect<PostgresTestDatabase, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const name = (yield* unique("test")).replaceAll("-", "_")
    yield* Effect.acquireRelease(
      asAdmin(options.adminUrl, (sql) =>
        untilUnused(sql`CREATE DATABASE ${sql(name)} TEMPLATE ${sql(options.template ?? "template0")}`)
      ),
      () => Effect.ignore(asAdmin(options.adminUrl, (sql) => sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`))
    )
    return { name, url: urlOf(options.adminUrl, name) }
  })

/**
 * Makes a database to copy from, once: it stays, and whoever asks for it by the same name is given it as it is.
 *
 * Put into the name what it is made of, such as a hash of the migrations. Callers in other processes wait for the one that
 * prepares it. One whose preparation failed is made anew by the next caller. Returns its name.
 */
export const template = <E, R>(options: {
  readonly adminUrl: Redacted.Redacted
  readonly name: string
  /** Fills it; leaves no connection open. */
  readonly prepare: (url: Redacted.Redacted) => Effect.Effect<void, E, R>
}): Effect.Effect<string, E | SqlError, R> =>
  Effect.context<R>().pipe(
    Effect.flatMap((context) =>
      asAdmin(options.adminUrl, (sql) =>
        Effect.gen(function* () {
          const { name } = options
          yield* sql`SELECT pg_advisory_lock(hashtext(${name}))`
          const ready = yield* sql`SELECT FROM pg_database WHERE datname = ${name} AND datistemplate`
          if (ready.length > 0) return name
          yield* sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`
          yield* sql`CREATE DATABASE ${sql(name)} TEMPLATE template0`
          yield* Effect.provide(options.prepare(urlOf(options.adminUrl, name)), context)
          yield* sql`ALTER DATABASE ${sql(name)} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`
          return name
        })
      )
    )
  )
