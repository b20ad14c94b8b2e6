/** Many rows at once: found by key, inserted, streamed. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect, Option, Stream } from "effect"
import Cursor from "pg-cursor"
import { makeBulkInsert } from "../../../src/postgres/repository/BulkInsert.ts"
import { makeLookup } from "../../../src/postgres/repository/Lookup.ts"
import { streamRows } from "../../../src/postgres/repository/StreamRows.ts"
import { inChild } from "../../builtPackage.ts"
import { type Bench, compare, compareProcesses, Skip } from "../../harness.ts"
import { fibers, promises, wrong } from "../../loops.ts"
import { ask, checkRow, columns, counted, emailOf, ground, hash, items, keyOf, selectText, when } from "./ground.ts"

const lookupOf = (client: Effect.Success<ReturnType<typeof ground>>["client"]) =>
  makeLookup(client, {
    operation: "Items.find",
    select: (ids: ReadonlyArray<number>) =>
      client.keyed<{ readonly id: number }>`select ${client.keyed.literal(columns)} from items where id = any(${ids})`,
    selectOne: (id) =>
      client.keyed<{ readonly id: number }>`select ${client.keyed.literal(columns)} from items where id = ${id}`,
    key: ({ id }) => id,
    rows: items
  })

const found = (id: number) => (row: Option.Option<{ readonly id: number; readonly email: string }>) =>
  checkRow(Option.getOrUndefined(row), id)

const find: Bench = {
  name: "postgres/find-1000",
  about: "a row by key, 1000 callers at once, rows decoded",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      const { find, findMany } = lookupOf(client)
      return [
        yield* compare({
          bench: "postgres/find-1000",
          unit: "ops/s",
          settings,
          concurrency: 1000,
          variants: [
            {
              name: "pg, named",
              run: promises(1000, async (i) => {
                const id = keyOf(i)
                checkRow((await pool.query({ name: "select", text: selectText, values: [id] })).rows[0], id)
              })
            },
            { name: "Lookup.find", run: fibers(1000, (i) => Effect.map(find(keyOf(i)), found(keyOf(i)))) },
            {
              name: "Lookup.findMany",
              run: (n) =>
                Effect.forEach(
                  Array.from({ length: n / 1000 }, (_, page) =>
                    Array.from({ length: 1000 }, (_, i) => keyOf(page * 1000 + i))
                  ),
                  (ids) =>
                    Effect.map(findMany(ids), (rows) => {
                      for (const [i, id] of ids.entries()) found(id)(rows[i] ?? Option.none())
                    }),
                  { discard: true }
                )
            }
          ]
        })
      ]
    })
}

const alone: Bench = {
  name: "postgres/find-1",
  about: "a row by key, one caller: the lookup's way over the plain statement's",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client } = yield* ground(settings)
      const { find } = lookupOf(client)
      return [
        yield* compare({
          bench: "postgres/find-1",
          unit: "ops/s",
          settings,
          variants: [
            {
              name: "query, row decoded",
              run: fibers(1, (i) => {
                const id = keyOf(i)
                const statement = client.keyed<object>`select ${client.keyed.literal(columns)} from items where id = ${id}`
                return Effect.map(
                  Effect.flatMap(client.query({ operation: "Items.find", kind: "read" }, statement), (rows) =>
                    items.option("Items.find", rows)
                  ),
                  found(id)
                )
              })
            },
            { name: "Lookup.find", run: fibers(1, (i) => Effect.map(find(keyOf(i)), found(keyOf(i)))) }
          ]
        })
      ]
    })
}

interface Written {
  readonly email: string
  readonly username: string
}

const run = promisify(execFile)

const bulk: Bench = {
  name: "postgres/bulk-insert",
  about: "rows of 6 columns into a table, all or none, against psql's COPY of a text file",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool, url } = yield* ground(settings)
      yield* Effect.mapError(
        Effect.tryPromise(() => run("psql", ["--version"])),
        () => new Skip("there is no psql on the PATH")
      )
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "bulk-insert-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const files = new Map<number, string>()
      const fileOf = (n: number): string => {
        const known = files.get(n)
        if (known !== undefined) return known
        const path = join(folder, `${n}.txt`)
        const line = (i: number) =>
          `${emailOf(i)}\tuser${i}\t${hash}\t1\t${when.toISOString()}\t${when.toISOString()}\n`
        writeFileSync(path, Array.from({ length: n }, (_, i) => line(i)).join(""))
        files.set(n, path)
        return path
      }
      const { all } = makeBulkInsert<Written>(client, {
        operation: "Items.createMany",
        table: "written",
        columns: {
          email: ["text", ({ email }) => email],
          username: ["text", ({ username }) => username],
          password_hash: ["text", () => hash],
          version: ["int4", () => 1],
          created_at: ["timestamptz", () => when],
          updated_at: ["timestamptz", () => when]
        }
      })
      const rows = new Map<number, ReadonlyArray<Written>>()
      const rowsOf = (n: number): ReadonlyArray<Written> => {
        const made = rows.get(n) ?? Array.from({ length: n }, (_, i) => ({ email: emailOf(i), username: `user${i}` }))
        rows.set(n, made)
        return made
      }
      const copied = "email, username, password_hash, version, created_at, updated_at"
      const after = counted(pool)
      return [
        yield* compare({
          bench: "postgres/bulk-insert",
          unit: "ops/s",
          settings,
          rounds: settings.work,
          // An eighth of what the least run inserts: starting psql takes a tenth of a second.
          concurrency: 12_500,
          variants: [
            {
              name: "psql, COPY text",
              run: (n) =>
                Effect.tryPromise(() => run("psql", [url, "-c", `\\copy written (${copied}) from '${fileOf(n)}'`])),
              after
            },
            {
              name: "makeBulkInsert, all",
              run: (n) =>
                Effect.map(all(rowsOf(n)), (count) => {
                  if (count !== n) wrong("bulk insert", count)
                }),
              after
            }
          ]
        })
      ]
    })
}

const bigTable = (rows: number) => `create table big as select i as id, 'user' || i || '@example.com' as email,
  'user' || i as username, '${hash}'::text as password_hash, 1 as version, now() as created_at, now() as updated_at
  from generate_series(0, ${rows - 1}) i`

const stream: Bench = {
  name: "postgres/stream",
  about: "rows of 7 columns of a table of a million, one after the other; an operation is a row",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, pool } = yield* ground(settings)
      yield* ask(pool, bigTable(1_000_000))
      const text = `select ${columns} from big limit `
      return [
        yield* compare({
          bench: "postgres/stream",
          unit: "ops/s",
          settings,
          rounds: settings.work,
          variants: [
            {
              name: "pg-cursor, undecoded",
              run: (n) =>
                Effect.tryPromise(async () => {
                  const session = await pool.connect()
                  try {
                    const cursor = session.query(new Cursor<{ readonly id: number; readonly email: string }>(text + n))
                    let count = 0
                    for (;;) {
                      const rows = await cursor.read(1000)
                      if (rows.length === 0) break
                      count += rows.length
                      for (const row of rows) if (row.email !== emailOf(row.id)) wrong("cursor", row)
                    }
                    if (count !== n) wrong("cursor", count)
                  } finally {
                    session.release()
                  }
                })
            },
            {
              name: "streamRows, decoded",
              run: (n) =>
                streamRows(client, {
                  operation: "Items.stream",
                  rows: items,
                  statement: client.sql.unsafe(text + n)
                }).pipe(
                  Stream.runForEachArray((rows) =>
                    Effect.sync(() => {
                      for (const row of rows) if (row.email !== emailOf(row.id)) wrong("stream", row)
                    })
                  )
                )
            }
          ]
        })
      ]
    })
}

/** Streams the big table as a program that has nothing else does. */
const streaming = (url: string): string => `
  import { readFileSync } from "node:fs"
  import * as Context from "effect/Context"
  import * as Effect from "effect/Effect"
  import * as Redacted from "effect/Redacted"
  import * as Schema from "effect/Schema"
  import * as Stream from "effect/Stream"
  import { PostgresClient, rowReader, streamRows, Timestamp } from "@ai-core/database/postgres"
  const rows = rowReader(Schema.Struct({
    id: Schema.Int, email: Schema.String, username: Schema.String, passwordHash: Schema.String, version: Schema.Int,
    createdAt: Timestamp, updatedAt: Timestamp
  }))
  let count = 0
  const program = Effect.gen(function* () {
    const made = yield* PostgresClient.make({ url: Redacted.make(${JSON.stringify(url)}) })
    const client = Context.get(made, PostgresClient.PostgresClient)
    const statement = client.sql.unsafe(${JSON.stringify(`select ${columns} from big`)})
    yield* streamRows(client, { operation: "Items.stream", rows, statement }).pipe(
      Stream.runForEachArray((chunk) => Effect.sync(() => { count += chunk.length }))
    )
  })
  await Effect.runPromise(Effect.scoped(program))
  // What getrusage calls the peak of a process is at least what its parent took when it started it.
  const peakKiB = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1])
  process.stdout.write(JSON.stringify({ count, peakMiB: peakKiB / 1024 }))
`

const streamMemory: Bench = {
  name: "postgres/stream-memory",
  about: "peak memory of a process that streams a million rows, decoded",
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { pool, url } = yield* ground(settings)
      yield* ask(pool, bigTable(1_000_000))
      const { folder } = yield* settings.built
      const figures = Effect.map(
        inChild<{ readonly count: number; readonly peakMiB: number }>(folder, streaming(url)),
        ({ count, peakMiB }) => {
          if (count !== 1_000_000) wrong("stream", count)
          return { peakMiB }
        }
      )
      const name = "streamRows, decoded"
      return yield* compareProcesses({
        bench: "postgres/stream-memory",
        variants: [{ name, baseline: name, figures }],
        units: [["peakMiB", "MiB"]],
        settings
      })
    })
}

export const many: ReadonlyArray<Bench> = [find, alone, bulk, stream, streamMemory]
