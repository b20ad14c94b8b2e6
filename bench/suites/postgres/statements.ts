/** One statement at a time and its transaction, against `pg` with named statements and its peers. */
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, DateTime, Effect, Redacted } from "effect"
import type { Pool } from "pg"
import { currentCredential } from "../../../src/core/Credential.ts"
import { sections } from "../../../src/core/DatabaseConfig.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { type Bench, compare, type Variant } from "../../harness.ts"
import { fibers, promises, wrong } from "../../loops.ts"
import { PostgresStub, stubRow } from "../../stubs/PostgresStub.ts"
import {
  checkRow,
  counted,
  durably,
  emailOf,
  type Ground,
  ground,
  hash,
  insertText,
  insertValues,
  items,
  keyOf,
  poolSize,
  scopedPool,
  selectText,
  when
} from "./ground.ts"
import { peerSelects } from "./peers.ts"

// ---- one row by key

const pgSelect = (pool: Pool, idOf: (i: number) => number) => async (i: number) => {
  const id = idOf(i)
  const found = await pool.query({ name: "select", text: selectText, values: [id] })
  checkRow(found.rows[0], id)
}

const keyedSelect = (client: PgClient, id: number) =>
  client<{ id: number; email: string }>`select id, email, username, password_hash as "passwordHash", version,
    created_at as "createdAt", updated_at as "updatedAt" from items where id = ${id}`

const ourSelects = (client: Ground["client"], callers: number, idOf: (i: number) => number): ReadonlyArray<Variant> => [
  {
    name: "query, row decoded",
    run: fibers(callers, (i) => {
      const id = idOf(i)
      return Effect.map(
        Effect.flatMap(
          client.query({ operation: "Items.find", kind: "read" }, keyedSelect(client.keyed, id)),
          (found) => items.one("Items.find", found)
        ),
        (item) => {
          checkRow(item, id)
          if (!DateTime.isDateTime(item.createdAt)) wrong("decoding", item)
        }
      )
    })
  },
  {
    name: "query",
    run: fibers(callers, (i) => {
      const id = idOf(i)
      return Effect.map(
        client.query({ operation: "Items.find", kind: "read" }, keyedSelect(client.keyed, id)),
        ([found]) => checkRow(found, id)
      )
    })
  },
  {
    name: "keyed (SqlClient)",
    run: fibers(callers, (i) => {
      const id = idOf(i)
      return Effect.map(keyedSelect(client.keyed, id), ([found]) => checkRow(found, id))
    })
  }
]

const select = (callers: number): Bench => ({
  name: `postgres/select-${callers}`,
  about: `one row of 7 columns by key, ${callers === 1 ? "one caller" : `${callers} callers at once`}`,
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool, url } = yield* ground(settings)
      return [
        yield* compare({
          bench: `postgres/select-${callers}`,
          unit: "ops/s",
          settings,
          concurrency: callers,
          variants: [
            { name: "pg, named", run: promises(callers, pgSelect(pool, keyOf)) },
            ...ourSelects(client, callers, keyOf),
            ...(yield* peerSelects(url, pool, callers))
          ]
        })
      ]
    })
})

// ---- durable writes

const insertInto = (client: PgClient, i: number) =>
  client<{ id: number }>`insert into written (email, username, password_hash, version, created_at, updated_at)
    values (${emailOf(i)}, ${`user${i}`}, ${hash}, ${1}, ${when}, ${when}) returning id`

const checkId = (rows: ReadonlyArray<{ readonly id: number }>) => {
  if (typeof rows[0]?.id !== "number") wrong("insert", rows)
}

const insertBench: Bench = {
  name: "postgres/insert-64",
  about: "one durable INSERT a commit, 64 callers at once",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      yield* durably(pool)
      const after = counted(pool)
      return [
        yield* compare({
          bench: "postgres/insert-64",
          unit: "ops/s",
          settings,
          concurrency: 64,
          variants: [
            {
              name: "pg, named",
              run: promises(64, async (i) => {
                checkId((await pool.query({ name: "insert", text: insertText, values: insertValues(i) })).rows)
              }),
              after
            },
            {
              name: "query",
              run: fibers(64, (i) =>
                Effect.map(
                  client.query({ operation: "Items.insert", kind: "write" }, insertInto(client.keyed, i)),
                  checkId
                )
              ),
              after
            },
            {
              name: "keyed (SqlClient)",
              run: fibers(64, (i) => Effect.map(insertInto(client.keyed, i), checkId)),
              after
            }
          ]
        })
      ]
    })
}

const transactionBench: Bench = {
  name: "postgres/transaction-64",
  about: "BEGIN, INSERT, COMMIT, each awaited; 64 callers at once",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool, transaction } = yield* ground(settings)
      yield* durably(pool)
      const after = counted(pool)
      return [
        yield* compare({
          bench: "postgres/transaction-64",
          unit: "ops/s",
          settings,
          concurrency: 64,
          variants: [
            {
              name: "pg, named",
              run: promises(64, async (i) => {
                const session = await pool.connect()
                try {
                  await session.query("BEGIN")
                  checkId((await session.query({ name: "insert", text: insertText, values: insertValues(i) })).rows)
                  await session.query("COMMIT")
                } finally {
                  session.release()
                }
              }),
              after
            },
            {
              name: "Transaction.run(query)",
              run: fibers(64, (i) =>
                transaction.run(
                  Effect.map(
                    client.query({ operation: "Items.insert", kind: "write" }, insertInto(client.keyed, i)),
                    checkId
                  )
                )
              ),
              after
            },
            {
              name: "unit",
              run: fibers(64, (i) =>
                Effect.map(
                  client.unit({ operation: "Items.insert", kind: "write" }, [insertInto(client.keyed, i)]),
                  ([{ rows }]) => checkId(rows)
                )
              ),
              after
            },
            {
              name: "sql.withTransaction",
              run: fibers(64, (i) => client.sql.withTransaction(Effect.map(insertInto(client.sql, i), checkId))),
              after
            }
          ]
        })
      ]
    })
}

const emptyTransactionBench: Bench = {
  name: "postgres/transaction-empty",
  about: "BEGIN and COMMIT with nothing between, one caller",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { pool, transaction } = yield* ground(settings)
      return [
        yield* compare({
          bench: "postgres/transaction-empty",
          unit: "µs/call",
          settings,
          variants: [
            {
              name: "pg",
              run: promises(1, async () => {
                const session = await pool.connect()
                try {
                  await session.query("BEGIN")
                  await session.query("COMMIT")
                } finally {
                  session.release()
                }
              })
            },
            { name: "Transaction.run", run: fibers(1, () => transaction.run(Effect.void)) }
          ]
        })
      ]
    })
}

// ---- the pool

const acquireBench: Bench = {
  name: "postgres/acquire",
  about: "a warm connection taken and given back",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      return [
        yield* compare({
          bench: "postgres/acquire",
          unit: "µs/call",
          settings,
          variants: [
            {
              name: "pg",
              run: promises(1, async () => (await pool.connect()).release())
            },
            { name: "sql.reserve", run: fibers(1, () => Effect.asVoid(Effect.scoped(client.sql.reserve))) }
          ]
        })
      ]
    })
}

const statsBench: Bench = {
  name: "postgres/stats",
  about: "pool statistics read once",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      yield* client.ping
      return [
        yield* compare({
          bench: "postgres/stats",
          unit: "µs/call",
          settings,
          variants: [
            {
              name: "pg, its three counters",
              run: promises(1, async () => {
                if (pool.totalCount + pool.idleCount + pool.waitingCount < 1) wrong("stats", pool.totalCount)
              })
            },
            {
              name: "stats",
              run: fibers(1, () =>
                Effect.map(client.stats, (stats) => {
                  if (stats.size < 1 || stats.max !== poolSize || stats.idle + stats.inUse !== stats.size)
                    wrong("stats", stats)
                })
              )
            }
          ]
        })
      ]
    })
}

const pingBench: Bench = {
  name: "postgres/ping",
  about: "the health ping",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      return [
        yield* compare({
          bench: "postgres/ping",
          unit: "µs/call",
          settings,
          variants: [
            {
              name: "pg, SELECT 1",
              run: promises(1, async () => {
                const found = await pool.query({ name: "ping", text: "SELECT 1 as one", values: [] })
                if (found.rows[0]?.one !== 1) wrong("ping", found.rows)
              })
            },
            { name: "ping", run: fibers(1, () => client.ping) }
          ]
        })
      ]
    })
}

// ---- our own cost

const stubId = () => stubRow.id

const own = (callers: number): Bench => ({
  name: `postgres/own-cost-${callers}`,
  about: `the select of select-${callers} on a stub in this process: all of a client's work but the socket and the server`,
  needs: [],
  measure: (settings) =>
    Effect.gen(function* () {
      const pool = yield* scopedPool({ stream: () => new PostgresStub(), user: "bench", password: "x" })
      const config = yield* sections.postgresql.make({
        url: Redacted.make("postgresql://bench:x@127.0.0.1:1/bench"),
        maxConnections: poolSize,
        minConnections: poolSize
      })
      const target = {
        endpoint: { store: "postgresql", host: "stub", port: 1 },
        url: config.url,
        stream: () => new PostgresStub(),
        applicationName: "bench"
      } as const
      const client = Context.get(yield* PostgresClient.makeFor(target, config), PostgresClient.PostgresClient)
      const bare = yield* PgConnection.make({
        url: yield* currentCredential(config.url),
        stream: () => new PostgresStub(),
        multiplex: true
      })
      return [
        yield* compare({
          bench: `postgres/own-cost-${callers}`,
          unit: "µs CPU/call",
          settings,
          concurrency: callers,
          difference: true,
          variants: [
            {
              name: "sql-pg connection",
              run: fibers(callers, () =>
                Effect.map(bare.query(selectText, [stubRow.id]), ({ rows: [found] }) => {
                  if (found?.["id"] !== stubRow.id) wrong("stub", found)
                })
              )
            },
            { name: "pg, named", run: promises(callers, pgSelect(pool, stubId)) },
            ...ourSelects(client, callers, stubId)
          ]
        })
      ]
    })
})

export const statements: ReadonlyArray<Bench> = [
  select(1),
  select(64),
  insertBench,
  transactionBench,
  emptyTransactionBench,
  acquireBench,
  statsBench,
  pingBench,
  own(1),
  own(64)
]
