import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Redacted, Stream } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { type NewUser, type User, type UserId, Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { unique } from "../../src/testing/Contract.ts"
import { untilLocked } from "../postgres/activity.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { healthy, settled, tally } from "./manyCallers.ts"

const on = (options: { readonly maxConnections: number }) =>
  Layer.mergeAll(UsersLive.layer, TransactionLive.layer).pipe(
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) =>
          PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, ...options })
        )
      )
    )
  )

const fresh = (given: Partial<NewUser> = {}): Effect.Effect<NewUser> =>
  Effect.map(unique("user"), (name) => ({
    email: `${name}@example.com`,
    username: name,
    passwordHash: Redacted.make("$argon2id$hash"),
    ...given
  }))

type RefusedUpdate = Effect.Error<ReturnType<Users["Service"]["update"]>>

/** Runs an effect many times at once. */
const race = <A, E extends { readonly _tag: string }, R>(times: number, run: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: times }, (_, i) => i),
      (i) => Effect.exit(run(i)),
      { concurrency: times }
    ),
    tally
  )

const rows = (email: string) =>
  Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) =>
    Effect.map(
      sql<{ readonly n: bigint }>`select count(*) as n from ai_core.users where lower(email) = lower(${email})`,
      ([row]) => Number(row?.n)
    )
  )

describeLive("postgresql", "Users on a server, many callers at once", () => {
  it.layer(on({ maxConnections: 8 }), { excludeTestServices: true, timeout: "1 minute" })("pool of 8", (it) => {
    it.effect("of 50 who take one e-mail one wins", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const email = `${yield* unique("wanted")}@example.com`
        const outcome = yield* race(50, (i) =>
          Effect.flatMap(fresh({ email: i % 2 === 0 ? email : email.toUpperCase() }), users.create)
        )
        assert.deepEqual(outcome, { won: 1, EmailTaken: 49 })
        assert.equal(yield* rows(email), 1)
        yield* healthy
      })
    )

    it.effect("of 50 who take one name one wins", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const username = yield* unique("wanted")
        const outcome = yield* race(50, () => Effect.flatMap(fresh({ username }), users.create))
        assert.deepEqual(outcome, { won: 1, UsernameTaken: 49 })
        yield* healthy
      })
    )

    it.effect("of 30 updates of one version one wins, and none is lost", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const user = yield* users.create(yield* fresh())
        const outcome = yield* race(30, () =>
          Effect.flatMap(unique("renamed"), (username) => users.update(user.id, 1, { username }))
        )
        assert.deepEqual(outcome, { won: 1, VersionConflict: 29 })
        assert.equal(Option.getOrThrow(yield* users.findById(user.id)).version, 2)
        yield* healthy
      })
    )

    it.effect("20 who read, change and try again after a conflict all get their turn", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { id } = yield* users.create(yield* fresh())
        const rename = Effect.gen(function* () {
          const found = Option.getOrThrow(yield* users.findById(id))
          return yield* users.update(id, found.version, { username: yield* unique("turn") })
        })
        const outcome = yield* race(20, () => Effect.retry(rename, { while: ({ _tag }) => _tag === "VersionConflict" }))
        assert.deepEqual(outcome, { won: 20 })
        assert.equal(Option.getOrThrow(yield* users.findById(id)).version, 21)
        yield* healthy
      })
    )

    it.effect("of 20 who move to one e-mail one wins", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const email = `${yield* unique("wanted")}@example.com`
        const made = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.flatMap(fresh(), users.create))
        const outcome = yield* race(20, (i) => users.update(made[i]!.id, 1, { email }))
        assert.deepEqual(outcome, { won: 1, EmailTaken: 19 })
        assert.equal(yield* rows(email), 1)
        yield* healthy
      })
    )

    it.effect("of 20 who delete one user one wins", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { id } = yield* users.create(yield* fresh())
        assert.deepEqual(yield* race(20, () => users.delete(id)), { won: 1, UserNotFound: 19 })
        yield* healthy
      })
    )

    it.effect("of 20 who erase one user all are told of the same erasure", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { id } = yield* users.create(yield* fresh())
        const exits = yield* Effect.forEach(Array.from({ length: 20 }), () => users.erase(id), { concurrency: 20 })
        assert.equal(new Set(exits.map(({ erasedAt }) => erasedAt?.epochMilliseconds)).size, 1)
        assert.equal(Option.getOrThrow(yield* users.findById(id)).version, 2)
        yield* healthy
      })
    )

    it.effect("a user is changed before it is erased, or not at all", () =>
      Effect.gen(function* () {
        const users = yield* Users
        for (let round = 0; round < 10; round++) {
          const { id } = yield* users.create(yield* fresh())
          const outcome = yield* race(12, (i): Effect.Effect<User, RefusedUpdate> =>
            i === 6 ? users.erase(id) : Effect.flatMap(fresh(), (changes) => users.update(id, 1, changes))
          )
          const { UserErased = 0, VersionConflict = 0, won = 0 } = outcome
          assert.equal(UserErased + VersionConflict + won, 12)
          const stored = Option.getOrThrow(yield* users.findById(id))
          assert.equal(stored.version, 1 + won)
          assert.equal(stored.email, `${id}@erased.invalid`)
        }
        yield* healthy
      })
    )

    it.effect(
      "whatever goes with a user who is deleted goes with one who is erased: every table is looked through",
      () =>
        Effect.gen(function* () {
          const users = yield* Users
          const { sql } = yield* PostgresClient.PostgresClient
          yield* sql`create table ai_core.diaries (id int primary key, writer uuid not null references ai_core.users (id)
          on delete cascade)`
          yield* sql`create table ai_core.walls (id int primary key, painter uuid references ai_core.users (id)
          on delete set null)`
          yield* sql`create table ai_core.debts (id int primary key, debtor uuid not null references ai_core.users (id))`
          const [gone, other] = [yield* users.create(yield* fresh()), yield* users.create(yield* fresh())]
          for (const [i, { id }] of [gone, other].entries()) {
            yield* sql`insert into ai_core.diaries values (${i}, ${id})`
            yield* sql`insert into ai_core.walls values (${i}, ${id})`
            yield* sql`insert into ai_core.debts values (${i}, ${id})`
          }
          yield* users.erase(gone.id)
          assert.deepEqual(yield* sql`select writer from ai_core.diaries`, [{ writer: other.id }])
          assert.deepEqual(yield* sql`select painter from ai_core.walls order by id`, [
            { painter: null },
            { painter: other.id }
          ])
          assert.equal((yield* sql`select from ai_core.debts`).length, 2)
          yield* sql`drop table ai_core.diaries, ai_core.walls, ai_core.debts`
          yield* healthy
        })
    )

    it.effect("an e-mail taken in an open transaction is waited for, and free if that one fails", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const transaction = yield* Transaction
        const { sql } = yield* PostgresClient.PostgresClient
        const email = `${yield* unique("wanted")}@example.com`
        const [created, waited] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const [first, second] = yield* Effect.all(
          [
            Effect.exit(
              transaction.run(
                Effect.gen(function* () {
                  yield* users.create(yield* fresh({ email }))
                  yield* Deferred.succeed(created, undefined)
                  yield* Deferred.await(waited)
                  return yield* Effect.fail({ _tag: "Stop" as const })
                })
              )
            ),
            Effect.exit(Effect.andThen(Deferred.await(created), Effect.flatMap(fresh({ email }), users.create))),
            Deferred.await(created).pipe(
              Effect.andThen(untilLocked(sql)),
              Effect.andThen(Deferred.succeed(waited, undefined))
            )
          ],
          { concurrency: 3 }
        )
        assert.ok(Exit.isFailure(first))
        assert.ok(Exit.isSuccess(second))
        assert.equal(yield* rows(email), 1)
        yield* healthy
      })
    )

    it.effect("what an open transaction has written is seen by nobody else", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const transaction = yield* Transaction
        const given = yield* fresh()
        const [created, looked] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const creating = Effect.andThen(users.create(given), Deferred.succeed(created, undefined))
        const seen = yield* Effect.all(
          [
            transaction.run(Effect.andThen(creating, Deferred.await(looked))),
            Effect.andThen(Deferred.await(created), users.findByEmail(given.email)).pipe(
              Effect.ensuring(Deferred.succeed(looked, undefined))
            )
          ],
          { concurrency: 2 }
        )
        assert.deepEqual(seen[1], Option.none())
        assert.ok(Option.isSome(yield* users.findByEmail(given.email)))
      })
    )

    it.effect("interrupted at random, no user is stored in part and no connection is lost", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const transaction = yield* Transaction
        const pairs = yield* Effect.forEach(Array.from({ length: 60 }), () => Effect.all([fresh(), fresh()]))
        const acknowledged = yield* Effect.forEach(
          pairs,
          (pair, i) =>
            Effect.timeoutOption(
              transaction.run(Effect.forEach(pair, users.create, { discard: true })),
              `${(i % 12) + 1} millis`
            ),
          { concurrency: 12 }
        )
        yield* settled
        for (const [i, pair] of pairs.entries()) {
          const found = yield* Effect.forEach(pair, ({ email }) => users.findByEmail(email))
          assert.equal(Option.isSome(found[0]!), Option.isSome(found[1]!), "one of a pair without the other")
          if (Option.isSome(acknowledged[i]!)) assert.ok(Option.isSome(found[0]!), "acknowledged and not stored")
        }
        yield* healthy
      })
    )

    it.effect("attacks through every parameter change nothing", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { sql } = yield* PostgresClient.PostgresClient
        const count = Effect.map(
          sql<{ readonly n: bigint }>`select count(*) as n from ai_core.users`,
          ([row]) => row?.n
        )
        const user = yield* users.create(yield* fresh())
        const before = yield* count
        const quiet = "a';drop/**/table/**/ai_core.users;--@example.com"
        const attack = "x'; delete from ai_core.users; --"
        yield* Effect.exit(users.findById(attack as UserId))
        yield* Effect.exit(users.delete(attack as UserId))
        yield* Effect.exit(users.update(attack as UserId, 1, { username: attack }))
        yield* Effect.exit(users.findByEmail(`"${attack}"@example.com`))
        yield* users.findByEmail(quiet)
        yield* users.update(user.id, 1, { username: attack, passwordHash: Redacted.make(attack) })
        yield* users.update(user.id, 2, { email: quiet })
        assert.equal(yield* count, before)
        const read = Option.getOrThrow(yield* users.findById(user.id))
        assert.equal(read.username, attack)
        assert.equal(read.email, quiet)
      })
    )

    it.effect("a row that no longer fits its schema is an error that names the field, not a user", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const { sql } = yield* PostgresClient.PostgresClient
        const user = yield* users.create(yield* fresh())
        yield* sql`update ai_core.users set created_at = '-infinity' where id = ${user.id}`
        const error = yield* Effect.flip(users.findById(user.id))
        assert.equal(error.reason._tag, "InvalidData")
        assert.match(error.message, /createdAt/)
        yield* sql`delete from ai_core.users where id = ${user.id}`
        yield* healthy
      })
    )
  })

  it.layer(on({ maxConnections: 1 }), { excludeTestServices: true, timeout: "1 minute" })("pool of 1", (it) => {
    it.effect("a query in the consumer of a stream, and inside a transaction, needs no second connection", () =>
      Effect.gen(function* () {
        const users = yield* Users
        const transaction = yield* Transaction
        yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.flatMap(fresh(), users.create))
        const read = users.stream({ pageSize: 2 }).pipe(
          Stream.mapEffect(({ id }) => users.findById(id)),
          Stream.runCount
        )
        assert.equal(yield* read, 5)
        assert.equal(yield* transaction.run(read), 5)
        yield* healthy
      })
    )
  })
})
