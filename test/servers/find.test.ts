import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { findServer, requiredStores } from "./find.ts"
import { canOwnServer } from "./ownServer.ts"
import { isRunning } from "./processTree.ts"

/** Sets variables of this process for as long as the scope; undefined removes one, and what the run itself was told is removed. */
const environment = (told: Record<string, string | undefined>) => {
  const variables = { TEST_SERVERS: undefined, ...told }
  return Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]))
      assign(variables)
      return before
    }),
    (before) => Effect.sync(() => assign(before))
  )
}

const assign = (variables: Record<string, string | undefined>): void => {
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ai-core-test-find-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A start command that prints a URL, and its process id into a file. */
const startScript = (inFolder: string, then: string): string => {
  const script = join(inFolder, "start me.sh")
  writeFileSync(
    script,
    `echo "$$" > "${inFolder}/pid"; echo starting; echo "SOME_URL=redis://127.0.0.1:1/?a=b"; ${then}`
  )
  return `sh '${script}'`
}

const pidIn = (inFolder: string): Effect.Effect<number> =>
  Effect.promise(async () =>
    Number(await import("node:fs/promises").then(({ readFile }) => readFile(join(inFolder, "pid"), "utf8")))
  )

it.live("a URL that is set and does not answer is an error that names the variable", () =>
  Effect.gen(function* () {
    yield* environment({ TEST_REDIS_URL: "redis://127.0.0.1:1" })
    const error = yield* Effect.flip(findServer("redis"))
    assert.match(error.problem, /^TEST_REDIS_URL is set, but: .*ECONNREFUSED/)
  })
)

it.live("TEST_SERVERS=none looks for no server, whatever else is set; no other word is taken", () =>
  Effect.gen(function* () {
    yield* environment({ TEST_SERVERS: "none", TEST_REDIS_URL: "redis://127.0.0.1:1" })
    const found = yield* findServer("redis")
    assert.ok(found._tag === "Missing" && found.why === "TEST_SERVERS=none")
    assert.equal(canOwnServer("redis"), false)
    yield* environment({ TEST_SERVERS: "some" })
    assert.throws(() => canOwnServer("redis"), /TEST_SERVERS is "some"; it may be none/)
  })
)

it.live("a start command comes before the binary; its process ends with the scope", () =>
  Effect.gen(function* () {
    const files = yield* folder
    yield* environment({ TEST_REDIS_URL: undefined, TEST_REDIS_COMMAND: startScript(files, "exec sleep 100") })
    const pid = yield* Effect.scoped(
      Effect.gen(function* () {
        assert.deepEqual(yield* findServer("redis"), {
          _tag: "Found",
          url: "redis://127.0.0.1:1/?a=b",
          how: "TEST_REDIS_COMMAND"
        })
        const started = yield* pidIn(files)
        assert.equal(isRunning(started), true)
        return started
      })
    )
    assert.equal(isRunning(pid), false)
  })
)

it.live("a start command that ends by itself is an error with its last words", () =>
  Effect.gen(function* () {
    yield* environment({ TEST_REDIS_URL: undefined, TEST_REDIS_COMMAND: "sh -c 'echo no room >&2; exit 3'" })
    const error = yield* Effect.flip(findServer("redis"))
    assert.match(error.problem, /it ended by itself; its last words:\nno room/)
  })
)

it.live("where there is nothing, it says what is missing and how to get it", () =>
  Effect.gen(function* () {
    yield* environment({ TEST_REDIS_URL: undefined, TEST_REDIS_COMMAND: undefined, PATH: "/nowhere" })
    const found = yield* findServer("redis")
    assert.deepEqual(found, {
      _tag: "Missing",
      why: "no URL, start command, binary or Docker",
      fix: "set TEST_REDIS_URL or TEST_REDIS_COMMAND, install Redis (Debian: apt install redis-server), or start Docker"
    })
  })
)

it.live("TEST_REQUIRE is a list of stores, and a word that names none is refused", () =>
  Effect.gen(function* () {
    yield* environment({ TEST_REQUIRE: " postgres, redis,clickhouse" })
    assert.deepEqual(requiredStores(), ["postgresql", "redis", "clickhouse"])
    yield* environment({ TEST_REQUIRE: "" })
    assert.deepEqual(requiredStores(), [])
    yield* environment({ TEST_REQUIRE: "postgres,mysql" })
    assert.throws(
      () => requiredStores(),
      /TEST_REQUIRE names "mysql"; it may name postgres, redis, mongodb, clickhouse/
    )
  })
)

it.live("a run that is killed outright leaves neither a server nor its folder behind", () =>
  Effect.gen(function* () {
    const files = yield* folder
    const program = `
      const { findServer } = await import(${JSON.stringify(new URL("./find.ts", import.meta.url).href)})
      const { Effect } = await import("effect")
      await Effect.runPromise(Effect.scoped(Effect.flatMap(findServer("redis"), () => {
        console.log("found")
        return Effect.never
      })))`
    const run = execFile(process.execPath, ["--input-type=module", "-e", program], {
      cwd: join(import.meta.dirname, "../.."),
      env: {
        ...process.env,
        TEST_SERVERS: "",
        TEST_REDIS_URL: "",
        TEST_REDIS_COMMAND: startScript(files, `echo "$TMPDIR" > "${files}/folder"; exec sleep 100`)
      }
    })
    const eventually = (holds: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => (holds() ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), eventually(holds))))
    yield* Effect.promise(() => once(run.stdout!, "data"))
    const told = join(files, "folder")
    yield* eventually(() => existsSync(told) && readFileSync(told, "utf8").endsWith("\n"))
    const own = readFileSync(told, "utf8").trim()
    const pid = yield* pidIn(files)
    assert.deepEqual([isRunning(pid), existsSync(own)], [true, true])
    run.kill("SIGKILL")
    yield* eventually(() => !isRunning(pid) && !existsSync(own))
  })
)
