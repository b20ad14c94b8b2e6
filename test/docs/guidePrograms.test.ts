import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import { compile } from "./compile.ts"

const root = new URL("../../", import.meta.url)

/** What stands around an excerpt of a guide in a program that uses it. */
interface Around {
  /** What the excerpt begins with, after its imports. */
  readonly start: string
  readonly before: string
  /** The excerpt in its place; by default it is statements of the program. */
  readonly place?: (excerpt: string) => string
  /** Fails where the excerpt did not do what the guide says. */
  readonly after: string
}

const imports = `
  import { Effect, Redacted, Schedule, Schema } from "effect"
  import assert from "node:assert/strict"
  import * as Db from "@ai-core/database"
  import { PostgresClient } from "@ai-core/database/postgres"
  const given = (name: string): Db.NewUser =>
    ({ email: \`\${name}@example.com\`, username: name, passwordHash: Redacted.make("$argon2id$hash") })`

const transactions: ReadonlyArray<Around> = [
  {
    start: "const program =",
    before: `const [alice, bob] = [given("alice"), given("bob")]`,
    after: `
      yield* program
      const made = yield* Db.Users
      for (const { email } of [alice, bob]) assert.equal((yield* made.findByEmail(email))._tag, "Some")`
  },
  {
    start: "transaction.run(report,",
    before: `
      const transaction = yield* Db.Transaction
      const report = (yield* Db.Users).list()`,
    place: (excerpt) => `const page = yield* ${excerpt}`,
    after: "assert.equal(page.items.length, 2)"
  },
  {
    start: "yield *\n  transaction.run(\n    Effect.gen",
    before: `
      const [transaction, users, cache] = [yield* Db.Transaction, yield* Db.Users, yield* Db.SharedCache]
      const profileKey = Db.CacheKey.make("profile", { key: Schema.String, value: Schema.String })
      const [username, { id, version }] = ["carol-2", yield* users.create(given("carol"))]
      yield* cache.set(profileKey(id), "old", { ttl: "1 minute" })`,
    after: `
      assert.equal((yield* users.findByEmail("carol@example.com")).pipe((found) => found._tag === "Some" && found.value.username), username)
      assert.equal(yield* cache.has(profileKey(id)), false)`
  },
  {
    start: "yield *\n  client.unit(",
    before: `
      const client = yield* PostgresClient.PostgresClient
      const { keyed, sql } = client
      yield* sql\`create table accounts (id int primary key, balance int)\`
      yield* sql\`insert into accounts values (1, 10), (2, 0)\`
      const [from, to, amount] = [1, 2, 7]`,
    after: `
      assert.deepEqual(yield* sql\`select balance from accounts order by id\`, [{ balance: 3 }, { balance: 7 }])`
  },
  {
    start: "yield *\n  Effect.scoped(\n    Effect.gen",
    before: "const { sql } = yield* PostgresClient.PostgresClient",
    after: `
      const [left] = yield* sql\`select to_regclass('pg_temp.picked') is null as gone\`
      assert.deepEqual(left, { gone: true })`
  },
  {
    start: 'Effect.catchReason("StoreError", "CommitUnknown",',
    before: `
      const [transaction, users] = [yield* Db.Transaction, yield* Db.Users]
      const lookForMyRows = Effect.succeed("looked" as const)
      const transactionId = yield* transaction.run(Effect.andThen(users.create(given("dave")), transaction.id))
      const reason = new Db.CommitUnknown({ transactionId })
      const failed = new Db.StoreError({ store: "postgresql", operation: "Transaction", outcome: "unknown", reason })`,
    place: (excerpt) => `const outcome = yield* Effect.fail(failed).pipe(${excerpt})`,
    after: `assert.equal(outcome, "committed")`
  },
  {
    start: "yield * transaction.run(Effect.andThen(locks",
    before: `
      const [transaction, locks] = [yield* Db.Transaction, yield* AdvisoryLocks]
      const month = "2024-05"
      const done: Array<string> = []
      const [bill, report] = [Effect.sync(() => done.push("bill")), Effect.sync(() => done.push("report"))]`,
    after: `assert.deepEqual(done, ["bill", "report"])`
  }
]

const tenants: ReadonlyArray<Around> = [
  {
    start: "invoices.list()",
    before: `
      const { query, sql } = yield* PostgresClient.PostgresClient
      const invoices = {
        list: () => query({ operation: "Invoices.list", kind: "read" },
          sql<{ tenant: string }>\`select current_setting('ai_core.tenant', true) as tenant\`)
      }`,
    place: (excerpt) => `const seen = yield* ${excerpt}`,
    after: `assert.deepEqual(seen, [{ tenant: "acme" }])`
  }
]

/** Runs the excerpts one after the other. Leases want more than the embedded engine's one session; the memory has them too. */
const main = (inMemory: number, others: ReadonlyArray<number>) => `
  import { NodeRuntime } from "@effect/platform-node"
  import { PlatformMigrations, UsersLive } from "@ai-core/database/platform/postgres"
  import { AdvisoryLocksMemory, PostgresEmbedded, PostgresMemory, TransactionLive, TransactionMemory } from "@ai-core/database/postgres"
  import { RedisMemory, SharedCacheMemory } from "@ai-core/database/redis"
  import { Console, Effect, Layer } from "effect"
  ${[inMemory, ...others].map((i) => `import { shown as shown${i} } from "./shown${i}.ts"`).join("\n")}
  const stored = Layer.mergeAll(UsersLive.layer, SharedCacheMemory.layer().pipe(Layer.provide(RedisMemory.layer))).pipe(
    Layer.provideMerge(TransactionLive.layer),
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provideMerge(PostgresEmbedded.layer())
  )
  const memory = Layer.mergeAll(TransactionMemory.layer, AdvisoryLocksMemory.layer).pipe(Layer.provide(PostgresMemory.layer))
  Effect.gen(function* () {
    ${others.map((i) => `yield* shown${i}`).join("\n")}
  }).pipe(
    Effect.provide(stored),
    Effect.andThen(Effect.provide(shown${inMemory}, memory)),
    Effect.andThen(Console.log("all ran")),
    NodeRuntime.runMain
  )`

const shownIn = (guide: string): ReadonlyArray<string> => {
  const text = readFileSync(new URL(`docs/guides/${guide}.md`, root), "utf8")
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
}

const runIn = (cwd: string, ...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, args, { cwd, encoding: "utf8", timeout: 120_000 })

/** A folder in the repository, so that its packages are found. */
const emptyFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(fileURLToPath(new URL(".readme-", root)))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

describe("the programs of the guides", () => {
  it.live(
    "compile, run, and do what the guides to transactions and tenants say",
    () =>
      Effect.gen(function* () {
        const cwd = yield* emptyFolder
        const shown = [...shownIn("transactions"), ...shownIn("tenants")]
        const around = [...transactions, ...tenants]
        assert.equal(shown.length, around.length)
        shown.forEach((code, i) => {
          const own = code.match(/^import .*$/gm) ?? []
          const body = code.replaceAll(/^import .*$/gm, "").trim()
          const { after, before, place = (excerpt) => excerpt, start } = around[i]!
          assert.ok(body.startsWith(start), `nothing is known of what stands around ${code}`)
          const program = `${own.join("\n")}${imports}
            export const shown = Effect.gen(function* () {
              ${before}
              ${place(body)}
              ${after}
            })`
          writeFileSync(join(cwd, `shown${i}.ts`), program)
        })
        const numbers = shown.map((_, i) => i)
        const locks = transactions.length - 1
        const others = numbers.filter((i) => i !== locks)
        writeFileSync(join(cwd, "main.ts"), main(locks, others))
        // An excerpt leaves much of what it imports to the rest of its file.
        const compilerOptions = { rootDir: "..", noUnusedLocals: false }
        const config = { extends: "../tsconfig.json", compilerOptions, include: ["*.ts"] }
        writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify(config))
        const compiled = runIn(cwd, ...compile)
        assert.equal(compiled.status, 0, compiled.stdout)
        const ran = runIn(cwd, "--conditions=@ai-core/source", "main.ts")
        assert.equal(ran.status, 0, ran.stdout + ran.stderr)
        assert.match(ran.stdout, /all ran/)
      }),
    240_000
  )
})
