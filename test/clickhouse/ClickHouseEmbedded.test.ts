import * as assert from "node:assert/strict"
import { spawn } from "node:child_process"
import fs from "node:fs"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Schedule, Schema, Scope } from "effect"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import * as StoreErrorReport from "../../src/core/StoreErrorReport.ts"
import { until } from "../until.ts"

const Count = Schema.Struct({ n: Schema.FiniteFromString })
const one = { query: "SELECT 1::UInt64 AS n", schema: Count }

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "clickhouse-test-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** What the system says in a file of a process; nothing where the process has gone, if only in this moment. */
const said = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}
const stateOf = (pid: number): string => said(`/proc/${pid}/stat`).split(") ")[1] ?? "Z"
const alive = (pid: number): boolean => !stateOf(pid).startsWith("Z")

/** Engines that this process has started and that still run. */
const engines = (): ReadonlyArray<number> =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && said(`/proc/${name}/cmdline`).includes("libchdb.so"))
    .map(Number)
    .filter((pid) => stateOf(pid).split(" ")[1] === String(process.pid))

const gone = (pid: number) =>
  Effect.timeout(
    Effect.repeat(
      Effect.andThen(
        Effect.sleep("20 millis"),
        Effect.sync(() => alive(pid))
      ),
      { until: (is) => !is }
    ),
    "10 seconds"
  )

const canEmbed = Effect.runSync(ClickHouseEmbedded.available)

describe.skipIf(!canEmbed)("ClickHouseEmbedded", () => {
  layer(Layer.empty, { excludeTestServices: true })((it) => {
    it.effect("starts, answers as a server does, and leaves nothing behind", () =>
      Effect.gen(function* () {
        const temporary = yield* folder
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            const before = process.env["TMPDIR"]
            process.env["TMPDIR"] = temporary
            return before
          }),
          (before) =>
            Effect.sync(() => {
              if (before === undefined) delete process.env["TMPDIR"]
              else process.env["TMPDIR"] = before
            })
        )
        const scope = yield* Scope.make()
        const engine = yield* Scope.provide(ClickHouseEmbedded.start({ database: "da-ta`ba\\se" }), scope)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* ClickHouseClient.make({ url: engine.url })
            const [row] = yield* client.query("test", {
              query: "SELECT currentDatabase() AS database, currentUser() AS user",
              schema: Schema.Struct({ database: Schema.String, user: Schema.String })
            })
            assert.deepEqual(row, { database: "da-ta`ba\\se", user: "embedded" })
          })
        )
        assert.equal(alive(engine.pid), true)
        assert.equal(fs.readdirSync(temporary).length, 1)
        yield* Scope.close(scope, Exit.void)
        assert.equal(alive(engine.pid), false)
        assert.equal(engine.outage(), undefined)
        assert.deepEqual(fs.readdirSync(temporary), [])
      })
    )

    it.effect("lets nobody in without its password", () =>
      Effect.gen(function* () {
        const engine = yield* ClickHouseEmbedded.start({ database: "test" })
        const ask = (headers: Record<string, string>) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${engine.port}/?query=SELECT+1`, { headers })
            await response.text()
            return response.status
          })
        assert.equal(yield* ask({}), 401)
        assert.equal(yield* ask({ "X-ClickHouse-User": "default", "X-ClickHouse-Key": "x" }), 401)
        assert.equal(yield* ask({ "X-ClickHouse-User": "embedded" }), 403)
        const { password, username } = new URL(Redacted.value(engine.url))
        assert.equal(yield* ask({ "X-ClickHouse-User": username, "X-ClickHouse-Key": password }), 200)
        assert.doesNotMatch(JSON.stringify(engine) + String(engine.url), new RegExp(password))
      })
    )

    it.effect("keeps its data in the folder it is given", () =>
      Effect.gen(function* () {
        const dataFolder = yield* folder
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* ClickHouseEmbedded.make({ dataFolder })
            yield* client.command("test", { query: "CREATE TABLE kept (x UInt8) ENGINE = MergeTree ORDER BY x" })
            yield* client.insert("test", "kept", [{ x: 1 }, { x: 2 }])
          })
        )
        const client = yield* ClickHouseEmbedded.make({ dataFolder })
        const rows = yield* client.query("test", { query: "SELECT count() AS n FROM kept", schema: Count })
        assert.deepEqual(rows, [{ n: 2 }])
        const busy = yield* Effect.flip(ClickHouseEmbedded.make({ dataFolder }))
        assert.ok(busy._tag === "StoreError" && busy.reason._tag === "Unavailable")
        yield* client.ping
      })
    )

    it.effect("killed: calls fail and say so; what was acknowledged is there after a restart on the same port", () =>
      Effect.gen(function* () {
        const dataFolder = yield* folder
        const scope = yield* Scope.make()
        const engine = yield* Scope.provide(ClickHouseEmbedded.start({ dataFolder, database: "test" }), scope)
        const url = new URL(Redacted.value(engine.url))
        let address = engine.url
        const client = yield* ClickHouseClient.make({ url: Effect.sync(() => address), timeout: "5 seconds" })
        yield* client.command("test", { query: "CREATE TABLE acked (x UInt32) ENGINE = MergeTree ORDER BY x" })
        let acknowledged = 0
        const inserting = yield* Effect.forkChild(
          Effect.exit(
            Effect.forever(
              Effect.map(client.insert("test", "acked", [{ x: acknowledged }]), (n) => {
                acknowledged += n
              })
            )
          )
        )
        yield* until(
          Effect.sync(() => acknowledged),
          (n) => n > 0
        )
        process.kill(engine.pid, "SIGKILL")
        const ended = yield* Effect.timeout(Effect.map(Fiber.await(inserting), Exit.isSuccess), "10 seconds")
        assert.equal(ended, true)
        yield* gone(engine.pid)
        // This process hears of it a moment later than the system.
        const outage = yield* Effect.repeat(Effect.sync(engine.outage), {
          until: (told) => told !== undefined,
          schedule: Schedule.spaced("5 millis"),
          times: 400
        })
        assert.match(outage ?? "", /SIGKILL/)
        yield* Scope.close(scope, Exit.void)
        assert.ok(acknowledged > 0)
        const again = yield* ClickHouseEmbedded.start({ dataFolder, database: "test", port: Number(url.port) })
        assert.equal(again.port, engine.port)
        address = again.url
        const [row] = yield* client.query("test", { query: "SELECT count() AS n FROM acked", schema: Count })
        assert.ok(row !== undefined && row.n >= acknowledged && row.n <= acknowledged + 1, `${row?.n} ${acknowledged}`)
      })
    )

    it.effect("its client says that the engine ended", () =>
      Effect.gen(function* () {
        const client = yield* ClickHouseEmbedded.make()
        const [pid] = engines()
        assert.ok(pid !== undefined)
        process.kill(pid, "SIGKILL")
        yield* gone(pid)
        const error = yield* Effect.flip(client.query("test", one))
        assert.equal(error.reason._tag, "Unavailable")
        assert.equal(error.outcome, "not-applied")
        assert.match(StoreErrorReport.render(error), /the embedded engine ended \(SIGKILL\)/)
        assert.equal((yield* client.stats).inUse, 0)
      })
    )

    it.effect("a port that is taken: a typed failure that says why", () =>
      Effect.gen(function* () {
        const taken = yield* Effect.acquireRelease(
          Effect.callback<net.Server>((resume) => {
            const server = net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const address = taken.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const error = yield* Effect.flip(ClickHouseEmbedded.make({ port }))
        assert.ok(error._tag === "StoreError" && error.reason._tag === "Unavailable")
        assert.equal(error.reason.port, port)
        assert.match(error.reason.detail ?? "", /in use|NETWORK_ERROR/i)
      })
    )

    it.effect("a folder that cannot be made: a typed failure", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(ClickHouseEmbedded.make({ dataFolder: "/etc/hostname/nowhere" }))
        assert.ok(error._tag === "StoreError" && error.reason._tag === "Unavailable")
      })
    )

    it.effect("an engine that crashes while it starts is started again, and not for ever", () =>
      Effect.gen(function* () {
        const crashNext = Effect.gen(function* () {
          const [pid = 0] = yield* Effect.repeat(
            Effect.sync(() => engines()),
            { until: (pids) => pids.length > 0, schedule: Schedule.spaced("5 millis") }
          )
          process.kill(pid, "SIGSEGV")
          yield* gone(pid)
          return pid
        })
        const starting = yield* Effect.forkChild(ClickHouseEmbedded.start({ database: "test" }))
        const crashed = yield* crashNext
        const engine = yield* Fiber.join(starting)
        assert.notEqual(engine.pid, crashed)
        assert.equal(alive(engine.pid), true)
        process.kill(engine.pid, "SIGKILL")
        yield* gone(engine.pid)

        const failing = yield* Effect.forkChild(Effect.flip(ClickHouseEmbedded.start({ database: "test" })))
        yield* Effect.repeat(crashNext, { times: 2 })
        const error = yield* Fiber.join(failing)
        assert.equal(error.reason._tag, "Unavailable")
        assert.match(StoreErrorReport.render(error), /SIGSEGV/)
        assert.deepEqual(engines(), [])
      }).pipe(Effect.scoped)
    )

    it.effect("interrupted while it starts: the process is gone", () =>
      Effect.gen(function* () {
        const starting = yield* Effect.forkChild(Effect.scoped(ClickHouseEmbedded.start({ database: "test" })))
        yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => engines().length === 1 })
        yield* Fiber.interrupt(starting)
        assert.deepEqual(engines(), [])
      })
    )

    it.effect("when the program is killed, the engine follows", () =>
      Effect.gen(function* () {
        const temporary = yield* folder
        const program = `
          import { Effect } from "effect"
          import { start } from ${JSON.stringify(new URL("../../src/clickhouse/ClickHouseEmbedded.ts", import.meta.url).href)}
          Effect.runPromise(Effect.scoped(Effect.flatMap(start({ database: "test" }), ({ pid }) =>
            Effect.andThen(Effect.sync(() => process.stdout.write(pid + "\\n")), Effect.never))))
        `
        const parent = spawn(
          process.execPath,
          ["--conditions=@ai-core/source", "--input-type=module", "--eval", program],
          {
            cwd: fileURLToPath(new URL("../..", import.meta.url)),
            env: { ...process.env, TMPDIR: temporary },
            stdio: ["ignore", "pipe", "inherit"]
          }
        )
        const pid = yield* Effect.callback<number>((resume) => {
          parent.stdout.once("data", (text: Buffer) => resume(Effect.succeed(Number(text))))
        }).pipe(Effect.timeout("20 seconds"))
        assert.equal(alive(pid), true)
        parent.kill("SIGKILL")
        yield* gone(pid)
        const left = Effect.sync(() => fs.readdirSync(temporary))
        assert.deepEqual(yield* until(left, (names) => names.length === 0), [])
      })
    )
  })
})
