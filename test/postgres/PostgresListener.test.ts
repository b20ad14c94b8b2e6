import { it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Queue, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import { unavailable } from "../../src/core/StartUp.ts"
import { StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { type ListenEvent, makePostgresListener } from "../../src/postgres/PostgresListener.ts"
import { sessionOpener } from "../../src/postgres/session/PostgresSession.ts"
import { sections } from "../../src/core/DatabaseConfig.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { until } from "../until.ts"
import { sharedEngine } from "./sharedEngine.ts"

/** Everything that happens to a listener, one event after the other. */
const events = (stream: Stream.Stream<ListenEvent, StoreError>) =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<ListenEvent>()
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (event) => Queue.offer(queue, event)))
    return { next: Effect.timeout(Queue.take(queue), "20 seconds"), fiber }
  })

const clientOf = (url: string) =>
  Effect.map(
    Layer.build(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 2 })),
    (made) => Context.get(made, PostgresClient.PostgresClient)
  )

describeLive("postgresql", "listening to PostgreSQL", () => {
  it.live("hears what is notified once it listens, in order, on its own channel only", () =>
    Effect.gen(function* () {
      const { listen, sql } = yield* clientOf(yield* freshPostgres)
      const jobs = yield* events(listen("jobs"))
      const other = yield* events(listen(`an "odd" Name`))
      assert.deepEqual(yield* jobs.next, { _tag: "Listening" })
      assert.deepEqual(yield* other.next, { _tag: "Listening" })
      yield* sql.notify("jobs", "one")
      yield* sql.notify(`an "odd" Name`, "aside")
      yield* sql.notify("jobs", "two")
      const heard = [yield* jobs.next, yield* jobs.next]
      assert.deepEqual(
        heard.map((event) => (event._tag === "Notification" ? event.payload : event._tag)),
        ["one", "two"]
      )
      const aside = yield* other.next
      assert.ok(aside._tag === "Notification" && aside.payload === "aside")
    })
  )

  it.live("has one connection beside the pool, for all channels, and none when nobody listens", () =>
    Effect.gen(function* () {
      const { listen, sql, stats } = yield* clientOf(yield* freshPostgres)
      const listeners = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
      yield* Effect.scoped(
        Effect.gen(function* () {
          const channels = yield* Effect.forEach(["a", "b", "c"], (name) => events(listen(name)))
          for (const { next } of channels) yield* next
          // The pool gives out all that it may have, whoever listens.
          yield* Effect.scoped(
            Effect.andThen(
              sql.reserve,
              Effect.map(listeners, ([row]) => assert.equal(row?.n, 2))
            )
          )
          assert.equal((yield* stats).max, 2)
        })
      )
      const gone = until(listeners, ([row]) => (row?.n ?? 9) <= 1)
      assert.ok(((yield* gone)[0]?.n ?? 9) <= 1)
    })
  )

  it.live("a connection that is lost is told, opened anew, and told again; both channels hear on", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const proxy = yield* TcpProxy.forUrl(url)
      const { sql } = yield* clientOf(url)
      const { listen } = yield* clientOf(proxy.url)
      const a = yield* events(listen("a"))
      const b = yield* events(listen("b"))
      yield* Effect.all([a.next, b.next])
      yield* proxy.refuse
      yield* proxy.reset()
      for (const { next } of [a, b]) {
        const lost = yield* next
        assert.ok(lost._tag === "Lost", lost._tag)
        assert.equal(lost.failure.reason._tag, "ConnectionLost")
      }
      yield* sql.notify("a", "unheard")
      yield* Effect.sleep("300 millis")
      yield* proxy.pass
      for (const { next } of [a, b]) {
        const back = yield* next
        assert.ok(back._tag === "Reconnected", back._tag)
        assert.ok(back.deafMillis >= 300, `${back.deafMillis} ms`)
      }
      yield* sql.notify("a", "again")
      yield* sql.notify("b", "also")
      const heard = [yield* a.next, yield* b.next].map((e) => (e._tag === "Notification" ? e.payload : e._tag))
      assert.deepEqual(heard, ["again", "also"])
      // One connection for both.
      assert.equal((yield* proxy.counts).open, 1)
    })
  )

  it.live("a connection that fell silent is found out by its heartbeat", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const proxy = yield* TcpProxy.forUrl(url)
      const config = yield* sections.postgresql.make({ url: Redacted.make(proxy.url), connectTimeout: "3 seconds" })
      const endpoint = { store: "postgresql", host: "127.0.0.1", port: proxy.port } as const
      const listener = yield* makePostgresListener({
        openSession: sessionOpener({ endpoint, url: config.url, applicationName: "test" }, config)(),
        failure: () =>
          new StoreError({
            store: "postgresql",
            operation: "listen",
            outcome: "not-applied",
            reason: unavailable(endpoint)
          }),
        heartbeat: "100 millis",
        patience: "200 millis"
      })
      const { next } = yield* events(listener.listen("jobs"))
      assert.equal((yield* next)._tag, "Listening")
      yield* proxy.hang
      assert.equal((yield* next)._tag, "Lost")
      yield* proxy.pass
      assert.equal((yield* next)._tag, "Reconnected")
    })
  )

  it.live("where it cannot begin it fails, typed: a channel that is none, a server that is down", () =>
    Effect.gen(function* () {
      const proxy = yield* TcpProxy.forUrl(yield* freshPostgres)
      const { listen } = yield* clientOf(proxy.url)
      for (const channel of ["", "é".repeat(32), "a\0b"]) {
        const { reason } = yield* Effect.flip(Stream.runDrain(listen(channel)))
        assert.ok(reason._tag === "InvalidData" && reason.problems[0]?.field === "channel")
      }
      yield* proxy.refuse
      const down = yield* Effect.flip(Stream.runDrain(listen("jobs")))
      assert.equal(down.reason._tag, "Unavailable")
    })
  )

  it.live("Effect's own listen fails its queue when the connection goes, and has a connection beside the pool", () =>
    Effect.gen(function* () {
      const { sql, stats } = yield* clientOf(yield* freshPostgres)
      const queue = yield* sql.listen("jobs")
      yield* sql.notify("jobs", "heard")
      assert.equal((yield* Queue.take(queue)).payload, "heard")
      assert.equal((yield* stats).inUse, 0)
      const taking = yield* Effect.forkChild(Effect.flip(Queue.take(queue)))
      yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`
      assert.equal((yield* Fiber.join(taking))._tag, "SqlError")
    })
  )
})

it.live("the embedded engine has one session, and says that nobody can listen in it", () =>
  Effect.gen(function* () {
    const { listen } = yield* PostgresClient.PostgresClient
    const { outcome, reason } = yield* Effect.flip(Stream.runDrain(listen("jobs")))
    assert.equal(outcome, "not-applied")
    assert.ok(reason._tag === "InvalidData")
    assert.match(reason.problems[0]!.problem, /^the embedded engine has one session/)
  }).pipe(Effect.provide(sharedEngine))
)
