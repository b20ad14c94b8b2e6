import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { LeaseStore } from "../core/Lease.ts"
import { PostgresClient } from "./PostgresClient.ts"

/** Table of the leases, in the schema that the caller names. */
export const leaseTable = "schema_migrations_lease"

/**
 * Leases in a table of PostgreSQL, by the server's clock: the lock of stores that have none of their own.
 *
 * The table is made where it is missing. A row is never deleted, so that its token keeps growing.
 */
export const make = (options: { readonly schema: string }): Effect.Effect<LeaseStore, never, PostgresClient> =>
  Effect.map(PostgresClient, ({ query, sql }) => {
    const table = sql`${sql(options.schema)}.${sql(leaseTable)}`
    const operation = "lease"
    const write = { operation, kind: "write" } as const
    // The token makes a second one of the same harmless.
    const again = { operation, kind: "write", idempotent: true } as const
    const until = (millis: number) => sql`clock_timestamp() + ${Math.ceil(millis)} * interval '1 millisecond'`

    const made = Effect.gen(function* () {
      const [row] = yield* query(
        { operation, kind: "read" },
        sql<{ readonly schema: boolean; readonly there: boolean }>`select
          to_regnamespace(quote_ident(${options.schema})) is not null as schema,
          to_regclass(quote_ident(${options.schema}) || '.' || ${leaseTable}) is not null as there`
      )
      if (row?.there === true) return
      if (row?.schema === false) yield* query(write, sql`create schema if not exists ${sql(options.schema)}`)
      yield* query(
        write,
        sql`create table if not exists ${table} (
          name text primary key,
          owner text not null,
          token bigint not null,
          expires_at timestamptz not null
        )`
      )
    })

    // Of those who make it at the same moment, PostgreSQL refuses all but one.
    const prepare = Effect.retry(made, {
      times: 5,
      while: ({ reason }) => reason._tag === "ConstraintViolated" || reason._tag === "InvalidStatement"
    })

    return {
      store: "postgresql",
      take: (name, owner, millis) =>
        Effect.gen(function* () {
          yield* prepare
          const [row] = yield* query(
            again,
            sql<{ readonly token: bigint }>`insert into ${table} as held (name, owner, token, expires_at)
              values (${name}, ${owner}, 1, ${until(millis)})
              on conflict (name) do update
                set owner = excluded.owner, token = held.token + 1, expires_at = excluded.expires_at
                where held.expires_at <= clock_timestamp() or held.owner = excluded.owner
              returning token`
          )
          return row === undefined ? Option.none() : Option.some({ name, owner, token: BigInt(row.token) })
        }),
      renew: ({ name, owner, token }, millis) =>
        Effect.map(
          query(
            again,
            sql<object>`update ${table} set expires_at = ${until(millis)}
              where name = ${name} and owner = ${owner} and token = ${token}::bigint and expires_at > clock_timestamp()
              returning token`
          ),
          (rows) => rows.length === 1
        ),
      release: ({ name, owner, token }) =>
        Effect.asVoid(
          query(
            again,
            sql<object>`update ${table} set expires_at = '-infinity'
              where name = ${name} and owner = ${owner} and token = ${token}::bigint`
          )
        )
    }
  })
