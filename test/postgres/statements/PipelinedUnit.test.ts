import type { PgConnection, Result } from "@effect/sql-pg/PgConnection"
import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import { makeRetryBudget, retrying } from "../../../src/core/Retry.ts"
import { makeConflictRetry } from "../../../src/postgres/transactions/ConflictRetry.ts"
import { makeUnit } from "../../../src/postgres/statements/PipelinedUnit.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import { fromSqlError } from "../../../src/postgres/PostgresError.ts"
import * as Tenant from "../../../src/postgres/Tenant.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { until } from "../../until.ts"
import { untilAsleep, untilIdle } from "../activity.ts"
import { freshClient } from "../freshClient.ts"

const write = { operation: "Test.unit", kind: "write" } as const

const accounts = Effect.gen(function* () {
  const client = yield* Postgres.PostgresClient
  yield* client.sql`create table t (id integer primary key, n integer check (n >= 0) not null)`
  const add = (id: number, n = 0) => client.keyed<{ id: number }>`insert into t values (${id}, ${n}) returning id`
  const ids = Effect.map(client.sql<{ id: number }>`select id from t order by id`, (rows) => rows.map(({ id }) => id))
  return { client, add, ids }
})

describeLive("postgresql", "PostgresClient.unit", () => {
  const live = Effect.provide(freshClient(2))

  it.live("applies all its statements and gives the rows of each", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const results = yield* client.unit(write, [
        add(1),
        client.keyed<{ n: number }>`select count(*)::int as n from t`,
        add(2),
        client.keyed`update t set n = 7`
      ])
      assert.deepEqual(results, [
        { rows: [{ id: 1 }], count: 1 },
        { rows: [{ n: 1 }], count: 1 },
        { rows: [{ id: 2 }], count: 1 },
        { rows: [], count: 2 }
      ])
      assert.deepEqual(yield* ids, [1, 2])
      assert.deepEqual(yield* client.unit(write, []), [])
    }).pipe(live)
  )

  it.live("is one transaction, and one that others run beside it is another", () =>
    Effect.gen(function* () {
      const { client } = yield* accounts
      const id = () => client.keyed<{ id: string }>`select txid_current()::text as id`
      const units = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => client.unit(write, [id(), id()]), {
        concurrency: "unbounded"
      })
      for (const [first, second] of units) assert.deepEqual(first, second)
      assert.equal(new Set(units.map(([{ rows }]) => rows[0]?.id)).size, 6)
    }).pipe(live)
  )

  it.live("a statement that fails undoes those before and after it, and is the one that is told", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      for (let round = 0; round < 2; round++) {
        const error = yield* Effect.flip(client.unit(write, [add(1), add(2, -1), add(3)]))
        assert.equal(error.operation, "Test.unit")
        assert.equal(error.outcome, "not-applied")
        assert.ok(error.reason._tag === "ConstraintViolated" && error.reason.kind === "check", error.message)
        assert.match(error.statement?.text ?? "", /^insert into t/)
        assert.deepEqual(yield* ids, [])
      }
      yield* client.unit(write, [add(1), add(2)])
      assert.deepEqual(yield* ids, [1, 2])
      assert.equal((yield* client.stats).inUse, 0)
    }).pipe(live)
  )

  it.live("a rule that is looked at only by COMMIT undoes all of it", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      yield* client.sql`alter table t add constraint later unique (n) deferrable initially deferred`
      const error = yield* Effect.flip(client.unit(write, [add(1, 5), add(2, 5)]))
      assert.ok(error.reason._tag === "ConstraintViolated" && error.reason.constraint === "later", error.message)
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(yield* ids, [])
    }).pipe(live)
  )

  it.live("a value that cannot be written undoes all of it", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const error = yield* Effect.flip(client.unit(write, [add(1), client.keyed`select ${Symbol("x")}`, add(2)]))
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(yield* ids, [])
      assert.equal((yield* client.stats).inUse, 0)
    }).pipe(live)
  )

  it.live("a prepared statement that the server gave up is applied once, within the transaction", () =>
    Effect.gen(function* () {
      const { client, ids } = yield* accounts
      const all = (id: number) => client.keyed`insert into t (id, n) values (${id}, 0) returning *`
      // Prepared on both connections, so that the next unit finds it whichever it gets.
      yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (id) => client.unit(write, [all(id)]), {
        concurrency: "unbounded"
      })
      yield* client.sql`alter table t add column more text default 'x'`
      const results = yield* client.unit(write, [all(11), all(12)])
      assert.deepEqual(
        results.flatMap(({ rows }) => rows),
        [
          { id: 11, n: 0, more: "x" },
          { id: 12, n: 0, more: "x" }
        ]
      )
      yield* client.sql`alter table t add column last text`
      const error = yield* Effect.flip(client.unit(write, [all(13), client.keyed`insert into t values (14, -1)`]))
      assert.equal(error.reason._tag, "ConstraintViolated")
      assert.deepEqual((yield* ids).slice(8), [11, 12])
    }).pipe(live)
  )

  it.live(
    "prepared statements that were all given up, COMMIT's among them: it is applied once, and leaves nothing open",
    () =>
      Effect.gen(function* () {
        const { add, client, ids } = yield* accounts
        const forgetting = client.keyed`deallocate all`
        yield* client.unit(write, [add(1)])
        // Forgets them in the middle of the unit, so that COMMIT is the first that is missed.
        yield* client.unit(write, [add(2), forgetting])
        yield* client.unit(write, [add(3)])
        yield* forgetting
        yield* client.unit(write, [add(4)])
        assert.deepEqual(yield* ids, [1, 2, 3, 4])
        assert.equal((yield* client.stats).inUse, 0)
      }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("prepared statements that the server has forgotten: all is applied, or nothing", () =>
    Effect.gen(function* () {
      const { client, ids } = yield* accounts
      const add = (id: number) => client.keyed`insert into t (id, n) values (${id}, 0)`
      const forget = client.sql`deallocate all`.unprepared
      yield* client.unit(write, [add(1)])
      yield* forget
      // One that the server has yet to learn works all the same: it must not be alone with that.
      const fresh = client.keyed`insert into t (id, n) values (4, ${0}::int)`
      yield* Effect.flip(client.unit(write, [fresh, client.keyed`insert into t values (5, -1)`]))
      yield* client.unit(write, [add(2)])
      yield* forget
      yield* client.unit(write, [add(3)])
      assert.deepEqual(yield* ids, [1, 2, 3])
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("what the server has forgotten takes none of those with it that share its connection", () =>
    Effect.gen(function* () {
      const { client, ids } = yield* accounts
      const add = (id: number) => client.keyed`insert into t (id, n) values (${id}, 0)`
      yield* client.unit(write, [add(1)])
      yield* client.sql`deallocate all`.unprepared
      // The first one's COMMIT is refused, so that all behind it meet a transaction that has failed.
      yield* Effect.forEach([2, 3, 4, 5, 6, 7, 8, 9], (id) => client.unit(write, [add(id)]), {
        concurrency: "unbounded"
      })
      assert.deepEqual(yield* ids, [1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.equal((yield* client.stats).inUse, 0)
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("those of keyed statements share a connection, with each other alone; any other has one to itself", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const shares = yield* Effect.forEach(
        [
          client.unit(write, [add(1)]),
          client.unit(write, [add(2), client.sql`select 1`]),
          client.query({ operation: "Test.read", kind: "read" }, client.keyed`select 1`)
        ],
        (other) =>
          Effect.gen(function* () {
            const slow = yield* Effect.forkChild(client.unit(write, [client.keyed`select pg_sleep(1)::text`]))
            yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 1 })
            const fiber = yield* Effect.forkChild(other)
            yield* Effect.yieldNow
            const { waiting } = yield* client.stats
            yield* Fiber.joinAll([slow, fiber])
            return waiting === 0
          })
      )
      assert.deepEqual(shares, [true, false, false])
      assert.deepEqual(yield* ids, [1, 2])
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("one that passes its deadline leaves those alone that share its connection, and runs to its end", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      yield* client.unit(write, [add(1)])
      const { behind, error } = yield* Effect.scoped(
        Effect.gen(function* () {
          const holder = yield* client.sql.reserve
          yield* holder.executeRaw("begin", [])
          yield* holder.executeRaw("update t set n = 1 where id = 1", [])
          const late = yield* Effect.forkChild(
            Effect.flip(
              client.unit(write, [client.keyed`update t set n = n + 1 where id = 1`]).pipe(within("2 seconds"))
            )
          )
          yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 2 })
          const behind = yield* Effect.forkChild(client.unit(write, [add(2)]))
          const error = yield* Fiber.join(late)
          yield* Effect.sleep("100 millis")
          assert.equal((yield* client.stats).inUse, 2, "it still runs")
          yield* holder.executeRaw("commit", [])
          return { behind, error }
        })
      )
      assert.deepEqual([error.reason._tag, error.operation, error.outcome], ["Timeout", "Test.unit", "unknown"])
      yield* Fiber.join(behind)
      assert.deepEqual(yield* ids, [1, 2])
      yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 0 })
      assert.deepEqual(yield* client.sql`select n from t where id = 1`, [{ n: 2 }])
    }).pipe(Effect.provide(freshClient(2)))
  )

  /** A statement that is refused so often, as in a failover, and how often it was tried. */
  const refused = (times: number) =>
    Effect.gen(function* () {
      const { client } = yield* accounts
      yield* client.sql`create sequence tries`
      yield* client.sql`create function fail_over(times integer) returns integer language plpgsql as $$ begin
        if nextval('tries') <= times then raise exception using errcode = '25006'; end if;
        return 1; end $$`
      const tries = Effect.map(
        client.sql<{ n: number }>`select case when is_called then last_value::int else 0 end as n from tries`,
        ([row]) => row?.n
      )
      return { client, tries, statement: () => client.keyed`select fail_over(${times}) as n` }
    })

  it.live("one that was refused for a while is sent again, under a tenant too", () =>
    Effect.gen(function* () {
      const { client, statement, tries } = yield* refused(2)
      assert.deepEqual(yield* client.unit(write, [statement()]), [{ rows: [{ n: 1 }], count: 1 }])
      assert.equal(yield* tries, 3)
      yield* client.sql`alter sequence tries restart`
      yield* client.unit(write, [statement()]).pipe(Tenant.within("acme"))
      assert.equal(yield* tries, 3)
    }).pipe(live)
  )

  it.live("two that wait for each other both end, under a tenant too", () =>
    Effect.gen(function* () {
      const { add, client } = yield* accounts
      yield* client.unit(write, [add(1), add(2)])
      // Each has a connection to itself, or the second would wait behind the first without a lock.
      const one = (...[first, second]: readonly [number, number]) =>
        client.unit(write, [
          client.sql`update t set n = n + 1 where id = ${first}`,
          client.sql`select pg_sleep(0.5)::text`,
          client.sql`update t set n = n + 1 where id = ${second}`
        ])
      const both = Effect.all([one(1, 2), one(2, 1)], { concurrency: 2 })
      // Both connections are open, so that neither begins long before the other.
      yield* Effect.scoped(Effect.andThen(client.sql.reserve, client.sql.reserve))
      yield* both
      yield* both.pipe(Tenant.within("acme"))
      assert.deepEqual(yield* client.sql`select n from t`, [{ n: 4 }, { n: 4 }])
      const told = client.sql<{ n: number }>`select deadlocks::int as n from pg_stat_database
        where datname = current_database()`
      // The session that was refused tells of it some seconds later.
      const [row] = yield* until(told, ([row]) => (row?.n ?? 0) >= 1)
      assert.ok((row?.n ?? 0) >= 1, "nothing waited for each other")
    }).pipe(live)
  )

  it.live("one that conflicts each time is given up, and says how often it was tried", () =>
    Effect.gen(function* () {
      const { client } = yield* accounts
      yield* client.sql`create sequence tries`
      yield* client.sql.unsafe(`create function conflict() returns int language plpgsql as $$
        begin perform nextval('tries'); raise exception 'no' using errcode = '40001'; end $$`)
      const error = yield* Effect.flip(client.unit(write, [client.keyed`select conflict() as n`]))
      assert.ok(error.reason._tag === "Conflict")
      assert.deepEqual([error.reason.code, error.reason.attempts, error.outcome], ["40001", 10, "not-applied"])
      const [tries] = yield* client.sql`select last_value::int as n from tries`
      assert.deepEqual(tries, { n: 10 })
      const { run } = yield* Transaction
      yield* client.sql`alter sequence tries restart`
      yield* run(Effect.flip(client.unit(write, [client.keyed`select conflict() as n`])))
      const [inside] = yield* client.sql`select last_value::int as n from tries`
      assert.deepEqual(inside, { n: 1 })
    }).pipe(live)
  )

  it.live("inside a transaction one that was refused is not sent again", () =>
    Effect.gen(function* () {
      const { client, statement, tries } = yield* refused(1000)
      const { run } = yield* Transaction
      const error = yield* run(Effect.flip(client.unit(write, [statement()])))
      assert.deepEqual([error.reason._tag, error.operation, error.outcome], ["NotPrimary", "Test.unit", "not-applied"])
      assert.equal(yield* tries, 1)
    }).pipe(live)
  )

  it.live("interrupted after it was sent it runs to its end; its connection is not lost", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const unit = yield* Effect.forkChild(client.unit(write, [add(1), client.keyed`select pg_sleep(2)::text`, add(2)]))
      yield* untilAsleep(client.sql)
      yield* Fiber.interrupt(unit)
      assert.equal((yield* client.stats).inUse, 1, "it still runs")
      yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 0 })
      assert.deepEqual(yield* ids, [1, 2])
    }).pipe(live)
  )

  it.live("interrupted while it waits for a connection it is not sent", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* client.sql.reserve
          yield* client.sql.reserve
          const unit = yield* Effect.forkChild(client.unit(write, [add(1)]))
          yield* Effect.repeat(client.stats, { until: ({ waiting }) => waiting === 1 })
          yield* Fiber.interrupt(unit)
          assert.equal((yield* client.stats).waiting, 0)
          const error = yield* Effect.flip(client.unit(write, [add(1)]).pipe(within("50 millis")))
          assert.deepEqual([error.operation, error.outcome], ["Test.unit", "not-applied"])
        })
      )
      assert.deepEqual(yield* ids, [])
    }).pipe(live)
  )

  it.live("is over soon after its deadline", () =>
    Effect.gen(function* () {
      const { add, client } = yield* accounts
      const error = yield* Effect.flip(
        client.unit(write, [add(1), client.sql`select pg_sleep(20)::text`]).pipe(within("1 second"))
      )
      assert.equal(error.outcome, "unknown")
      assert.equal((yield* client.stats).inUse, 0)
      assert.deepEqual(yield* client.sql`select 1 as n`, [{ n: 1 }])
    }).pipe(live)
  )

  it.live("inside a transaction it is a savepoint", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const transaction = yield* Transaction
      yield* transaction.run(
        Effect.gen(function* () {
          assert.deepEqual(yield* client.unit(write, [add(1), add(2)]), [
            { rows: [{ id: 1 }], count: 1 },
            { rows: [{ id: 2 }], count: 1 }
          ])
          const error = yield* Effect.flip(client.unit(write, [add(3), add(4, -1)]))
          assert.equal(error.reason._tag, "ConstraintViolated")
          yield* client.unit(write, [add(5)])
        })
      )
      assert.deepEqual(yield* ids, [1, 2, 5])
      yield* Effect.ignore(transaction.run(Effect.andThen(client.unit(write, [add(6)]), Effect.fail("stop"))))
      assert.deepEqual(yield* ids, [1, 2, 5])
    }).pipe(live)
  )

  it.live("under a tenant all its statements are the tenant's", () =>
    Effect.gen(function* () {
      const { add, client, ids } = yield* accounts
      const tenant = () => client.keyed<{ tenant: string }>`select current_setting('ai_core.tenant', true) as tenant`
      const [first, , last] = yield* client.unit(write, [tenant(), add(1), tenant()]).pipe(Tenant.within("acme"))
      assert.deepEqual([...first.rows, ...last.rows], [{ tenant: "acme" }, { tenant: "acme" }])
      yield* Effect.flip(client.unit(write, [add(2), add(3, -1)]).pipe(Tenant.within("acme")))
      assert.deepEqual(yield* ids, [1])
    }).pipe(live)
  )

  const scene = Effect.gen(function* () {
    const url = yield* freshPostgres
    const proxy = yield* TcpProxy.forUrl(url)
    const layer = (url: string) =>
      Layer.build(
        Postgres.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 2, shutdownTimeout: "1 second" })
      )
    const { add, client: beside, ids } = yield* Effect.provide(accounts, yield* layer(url))
    const client = yield* Effect.provide(Postgres.PostgresClient, yield* layer(proxy.url))
    return { add, beside, client, ids, proxy }
  })

  it.live("the reply is lost: CommitUnknown, and all or nothing is there", () =>
    Effect.gen(function* () {
      const { add, beside, client, ids, proxy } = yield* scene
      yield* proxy.dropReplies({ afterRequestMatching: "COMMIT" })
      const error = yield* Effect.flip(client.unit(write, [add(1), add(2)]))
      assert.equal(error.reason._tag, "CommitUnknown")
      assert.equal(error.outcome, "unknown")
      assert.equal(error.operation, "Test.unit")
      // The server may have heard of the lost connection before it came to COMMIT.
      yield* untilIdle(beside.sql)
      const stored = yield* ids
      assert.ok(stored.length === 0 || stored.length === 2, `${stored.length} of 2 rows`)
      yield* client.unit(write, [add(3)])
      assert.deepEqual(yield* ids, [...stored, 3])
    })
  )

  it.live("the connection is lost in the middle: unknown, and all or nothing is there", () =>
    Effect.gen(function* () {
      const { add, beside, client, ids, proxy } = yield* scene
      const sleep = client.keyed`select pg_sleep(2)::text`
      const unit = yield* Effect.forkChild(Effect.flip(client.unit(write, [add(1), sleep, add(2)])))
      yield* untilAsleep(beside.sql)
      yield* proxy.reset()
      const error = yield* Fiber.join(unit)
      assert.deepEqual([error.reason._tag, error.outcome], ["CommitUnknown", "unknown"])
      yield* untilIdle(beside.sql)
      const stored = yield* ids
      assert.ok(stored.length === 0 || stored.length === 2, `${stored.length} of 2 rows`)
      yield* client.unit(write, [add(3)])
      assert.deepEqual(yield* ids, [...stored, 3])
      assert.equal((yield* client.stats).inUse, 0)
    })
  )

  it.live("the reply is lost, and it only reads: it is asked again", () =>
    Effect.gen(function* () {
      const { client, proxy } = yield* scene
      yield* proxy.dropReplies({ afterRequestMatching: "COMMIT" })
      const read = client.keyed<{ n: number }>`select 1 as n`
      const [{ rows }] = yield* client.unit({ operation: "Test.unit", kind: "read" }, [read])
      assert.deepEqual(rows, [{ n: 1 }])
      assert.equal((yield* proxy.counts).dropped, 1)
    })
  )

  it.live("the reply is lost, and it is harmless twice: it is sent again", () =>
    Effect.gen(function* () {
      const { client, ids, proxy } = yield* scene
      yield* proxy.dropReplies({ afterRequestMatching: "COMMIT" })
      yield* client.unit({ ...write, idempotent: true }, [
        client.keyed`insert into t values (1, 0) on conflict do nothing`,
        client.keyed`insert into t values (2, 0) on conflict do nothing`
      ])
      assert.deepEqual(yield* ids, [1, 2])
      assert.equal((yield* proxy.counts).dropped, 1)
    })
  )
})

const endpoint = { store: "postgresql", host: "db.example", port: 5432 } as const

/** Fails as the server does: with its code. */
const refusal = (code: string) =>
  new SqlError({
    reason: new UnknownError({
      cause: Object.assign(new Error("refused"), { code, severity: code === "57P01" ? "FATAL" : "ERROR" }),
      message: "refused"
    })
  })

const lost = new SqlError({ reason: new ConnectionError({ cause: new Error("closed"), message: "closed" }) })

const done = Effect.succeed({ command: "", rowCount: 1, oid: null, rows: [], fields: [] })

/** A unit over a connection that answers as it is told, where no server can be made to. */
const answered = (answers: Readonly<Record<string, Effect.Effect<Result, SqlError>>>) =>
  Effect.gen(function* () {
    const { sql } = yield* Postgres.PostgresClient
    const sent: Array<string> = []
    const query = (text: string) =>
      Effect.suspend(() => {
        sent.push(text)
        return Effect.delay(answers[text] ?? done, 1)
      })
    const unit = makeUnit({
      // All of a connection that a unit uses.
      pool: {
        shared: () => Effect.die("a unit lends for itself"),
        unit: (send) =>
          Effect.callback((resume) => send({ query } as PgConnection, (answer) => resume(Effect.succeed(answer))))
      },
      sql,
      retry: retrying(makeRetryBudget(), { attempts: 1, base: 1, cap: 1 }),
      repeated: makeConflictRetry(makeRetryBudget()),
      storeError: (call, error) =>
        fromSqlError(error, call, { endpoint, elapsedMillis: 0, statementMillis: Number.POSITIVE_INFINITY })
    })
    return { sent, run: unit(write, [sql`one`, sql`two`]) }
  })

describeLive("postgresql", "a unit that is answered so", () => {
  const live = Effect.provide(freshClient(1))

  it.live("BEGIN alone is cancelled, so that the statements were applied one by one: unknown, not sent again", () =>
    Effect.gen(function* () {
      const { run, sent } = yield* answered({ BEGIN: Effect.fail(refusal("57014")) })
      const error = yield* Effect.flip(run)
      assert.deepEqual([error.operation, error.outcome], ["Test.unit", "unknown"])
      assert.deepEqual(sent, ["BEGIN", "one", "two", "COMMIT"])
    }).pipe(live)
  )

  it.live("BEGIN is refused with all that is behind it: not applied, and sent again", () =>
    Effect.gen(function* () {
      const nothing = Effect.fail(lost)
      const { run, sent } = yield* answered({
        BEGIN: Effect.fail(refusal("57P01")),
        one: nothing,
        two: nothing,
        COMMIT: nothing
      })
      const error = yield* Effect.flip(run)
      assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "not-applied"])
      assert.equal(sent.length, 8)
    }).pipe(live)
  )

  it.live("COMMIT is cancelled, perhaps before it began: rolled back, so not applied", () =>
    Effect.gen(function* () {
      const { run, sent } = yield* answered({ COMMIT: Effect.fail(refusal("57014")) })
      const error = yield* Effect.flip(run)
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(sent, ["BEGIN", "one", "two", "COMMIT", "ROLLBACK"])
    }).pipe(live)
  )

  it.live("a statement is refused as the session is ended: not applied, though the answer to COMMIT never came", () =>
    Effect.gen(function* () {
      const { run, sent } = yield* answered({
        two: Effect.fail(refusal("57P01")),
        COMMIT: Effect.fail(lost)
      })
      const error = yield* Effect.flip(run)
      assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "not-applied"])
      assert.equal(sent.length, 8)
    }).pipe(live)
  )
})
