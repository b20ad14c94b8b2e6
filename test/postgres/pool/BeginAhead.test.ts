import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Scope } from "effect"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import { PoolInstrumentation } from "../../../src/core/Instrumentation.ts"
import { isStoreError } from "../../../src/core/StoreError.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { until } from "../../until.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const clientOf = (url: string, maxConnections: number) =>
  TransactionLive.layer.pipe(
    Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections }))
  )

interface State {
  readonly id: string
  readonly begun: string
  readonly isolation: string
}

/** A pool of one connection through a proxy, whose transactions can take long to commit, and a client beside it that looks on. */
const scene = (maxConnections = 1, acquired: (waitedMillis: number) => void = () => undefined) =>
  Effect.gen(function* () {
    const url = yield* freshPostgres
    const proxy = yield* TcpProxy.forUrl(url)
    const scope = yield* Effect.scope
    const build = (url: string, size: number) => Scope.provide(Layer.build(clientOf(url, size)), scope)
    const beside = Effect.provide(yield* build(url, 2))
    const { client, transaction } = yield* Effect.gen(function* () {
      return { client: yield* PostgresClient.PostgresClient, transaction: yield* Transaction }
    }).pipe(
      Effect.provide(
        yield* Effect.provideService(build(proxy.url, maxConnections), PoolInstrumentation, () => ({ acquired }))
      )
    )
    const { query, sql } = client
    yield* sql`CREATE TABLE slow (id int)`
    yield* sql`CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_sleep(NEW.id / 1000.0); RETURN NULL; END'`
    yield* sql`CREATE CONSTRAINT TRIGGER dozes AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION doze()`
    const looking = Effect.map(PostgresClient.PostgresClient, ({ sql }) => ({
      open: Effect.map(
        sql`SELECT pid FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'`,
        (rows) => rows.length
      ),
      committing: Effect.map(
        sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = 'COMMIT'`,
        (rows) => rows.length
      ),
      time: Effect.map(sql<{ at: string }>`SELECT clock_timestamp()::text AS at`, ([row]) => row?.at ?? ""),
      stored: Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM slow`, ([row]) => row?.n)
    })).pipe(beside)
    const state = Effect.map(
      query(
        read,
        sql<State>`SELECT txid_current()::text AS id, now()::text AS begun, current_setting('transaction_isolation') AS isolation`
      ),
      ([row]) => row
    )
    /** Holds the connection for so many milliseconds within COMMIT. */
    const committing = (millis: number) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          transaction.run(
            Effect.andThen(
              query(write, sql`INSERT INTO slow VALUES (${millis})`),
              // Those behind have joined the line by the time COMMIT is sent.
              Effect.repeat(client.stats, { until: ({ waiting }) => waiting > 0 })
            )
          )
        )
        yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 1 })
        return fiber
      })
    const { committing: inCommit, ...look } = yield* looking
    const untilInCommit = Effect.repeat(inCommit, { until: (n) => n === 1 })
    return { client, transaction, proxy, state, committing, untilInCommit, look }
  })

describeLive("postgresql", "a BEGIN that is sent along with the COMMIT before it", () => {
  it.live("each transaction is its own, and its time is not before it was asked for", () =>
    Effect.gen(function* () {
      const { client, look, state, transaction } = yield* scene(2)
      const asked = yield* look.time
      const seen = yield* Effect.forEach(
        Array.from({ length: 40 }),
        () => transaction.run(Effect.tap(state, client.query(write, client.sql`INSERT INTO slow VALUES (0)`))),
        { concurrency: "unbounded" }
      )
      assert.equal(new Set(seen.map((row) => row?.id)).size, 40)
      assert.ok(seen.every((row) => row !== undefined && row.begun >= asked && row.isolation === "read committed"))
      assert.equal(yield* look.stored, 40)
      assert.equal(yield* look.open, 0)
      assert.equal((yield* client.stats).inUse, 0)
    })
  )

  it.live("whoever waited for it and has gone leaves no transaction open", () =>
    Effect.gen(function* () {
      const { client, committing, look, state, transaction, untilInCommit } = yield* scene()
      const first = yield* committing(1000)
      const waiter = yield* Effect.forkChild(transaction.run(state))
      yield* untilInCommit
      yield* Fiber.interrupt(waiter)
      yield* Fiber.join(first)
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* until(look.open, (n) => n === 0), 0)
      // A statement of its own is not taken into what was begun for another.
      const [before] = yield* client.query(read, client.sql<{ id: string }>`SELECT txid_current()::text AS id`)
      const [after] = yield* client.query(read, client.sql<{ id: string }>`SELECT txid_current()::text AS id`)
      assert.notEqual(before?.id, after?.id)
    })
  )

  it.live("one that comes later begins later, however long the answer lay unread", () =>
    Effect.gen(function* () {
      const { client, committing, look, state, transaction, untilInCommit } = yield* scene()
      const begun = client.query(
        read,
        client.sql<{ at: number }>`SELECT extract(epoch FROM now())::float8 * 1000 AS at`
      )
      const first = yield* committing(500)
      const waiter = yield* Effect.forkChild(transaction.run(state))
      yield* untilInCommit
      yield* Fiber.interrupt(waiter)
      const asked = yield* Effect.sync(() => {
        // The server ends COMMIT and begins, and this process, which is busy, has yet to hear of it.
        const end = Date.now() + 1500
        while (Date.now() < end);
        return Date.now()
      })
      const [late] = yield* transaction.run(begun)
      assert.ok(late !== undefined && late.at >= asked, `${late?.at} is before ${asked}`)
      yield* Fiber.join(first)
      assert.equal(yield* look.open, 0)
    })
  )

  it.live("one with options of its own gets them", () =>
    Effect.gen(function* () {
      const { committing, look, state, transaction, untilInCommit } = yield* scene()
      const first = yield* committing(1000)
      const plain = yield* Effect.forkChild(transaction.run(state))
      const strict = yield* Effect.forkChild(transaction.run(state, { isolation: "serializable" }))
      yield* untilInCommit
      yield* Fiber.join(first)
      assert.equal((yield* Fiber.join(plain))?.isolation, "read committed")
      assert.equal((yield* Fiber.join(strict))?.isolation, "serializable")
      assert.equal(yield* look.open, 0)
    })
  )

  it.live("whoever gets it after his deadline leaves no transaction open", () =>
    Effect.gen(function* () {
      // The process pauses in the moment of lending, until the deadline of the one who has waited is past.
      const pause = (waitedMillis: number) => {
        if (waitedMillis > 100) for (const end = Date.now() + 3000; Date.now() < end;);
      }
      const { client, committing, look, state, transaction, untilInCommit } = yield* scene(1, pause)
      const first = yield* committing(1000)
      const waiter = yield* Effect.forkChild(Effect.flip(transaction.run(state).pipe(within("3 seconds"))))
      yield* untilInCommit
      yield* Fiber.join(first)
      const error = yield* Fiber.join(waiter)
      assert.ok(isStoreError(error) && error.reason._tag === "Timeout", String(error))
      assert.equal((yield* client.stats).inUse, 0)
      yield* client.query(write, client.sql`INSERT INTO slow VALUES (0)`)
      assert.equal(yield* look.open, 0)
      assert.equal(yield* look.stored, 2)
    })
  )

  it.live("a COMMIT that fails takes nobody with it", () =>
    Effect.gen(function* () {
      const { client, look, state, transaction } = yield* scene()
      yield* client.sql`CREATE TABLE twins (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)`
      const insert = client.query(write, client.sql`INSERT INTO twins VALUES (1), (1)`)
      const both = Effect.all([Effect.flip(transaction.run(insert)), transaction.run(state)], {
        concurrency: "unbounded"
      })
      const [error, next] = yield* both
      assert.ok(isStoreError(error) && error.reason._tag === "ConstraintViolated", String(error))
      assert.ok(next !== undefined)
      assert.equal(yield* look.open, 0)
    })
  )

  it.live("the reply to COMMIT is lost: whoever waits begins on another connection", () =>
    Effect.gen(function* () {
      const { client, committing, look, proxy, state, transaction } = yield* scene()
      yield* proxy.dropReplies({ afterRequestMatching: "COMMIT", replyMatching: "COMMIT" })
      const first = yield* committing(50)
      const waiter = yield* Effect.forkChild(transaction.run(state))
      const error = yield* Effect.flip(Fiber.join(first))
      assert.ok(isStoreError(error) && error.reason._tag === "CommitUnknown", String(error))
      assert.ok((yield* Fiber.join(waiter)) !== undefined)
      assert.equal(yield* look.stored, 1)
      assert.equal((yield* client.stats).inUse, 0)
    })
  )
})
