import { it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Redacted, Result } from "effect"
import * as assert from "node:assert/strict"
import { Notifications } from "../../src/platform/notifications/Notifications.ts"
import * as NotificationsLive from "../../src/platform/notifications/NotificationsLive.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { type UserId, UserNotFound, Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import {
  category,
  claim,
  claimOne,
  queued,
  ready,
  template
} from "../../src/testing/contracts/notifications/fixtures.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { behind, healthy, tally } from "./manyCallers.ts"

type Client = Notifications | Users | Transaction | PostgresClient.PostgresClient

/** A process of its own, as the server sees it. */
const client = (url: string, maxConnections: number) =>
  Layer.fresh(
    Layer.mergeAll(UsersLive.layer, NotificationsLive.layer).pipe(
      Layer.provideMerge(TransactionLive.layer),
      Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections }))
    )
  )

/** A second client beside the one that the tests have. */
class Ground extends Context.Service<Ground, { readonly other: Context.Context<Client> }>()("test/Ground") {}

const ground = (maxConnections: number) =>
  Layer.unwrap(
    Effect.map(freshPostgres, (url) => {
      const other = Effect.map(Layer.build(client(url, maxConnections)), (other) => Ground.of({ other }))
      return Layer.effect(Ground, other).pipe(
        Layer.provideMerge(PlatformMigrations.layerPostgres),
        Layer.provideMerge(client(url, maxConnections))
      )
    })
  )

const times = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

/** Runs an effect many times at once, every second time by the other client. */
const race = <A, E, R>(n: number, run: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Ground, ({ other }) =>
    Effect.forEach(times(n), (i) => Effect.exit(i % 2 === 0 ? run(i) : Effect.provide(run(i), other)), {
      concurrency: n
    })
  )

/** What the winners gave; fails where one lost. */
const allWon = <A, E>(exits: ReadonlyArray<Exit.Exit<A, E>>): ReadonlyArray<A> =>
  exits.map((exit) => {
    if (Exit.isFailure(exit)) return assert.fail(Cause.pretty(exit.cause))
    return exit.value
  })

/** Takes deliveries and tells them as sent until none is left; tells which. */
const work = (limit: number) =>
  Effect.gen(function* () {
    const notifications = yield* Notifications
    const sent: Array<string> = []
    for (;;) {
      const claimed = yield* notifications.claimDeliveries({ limit, lease: "30 seconds", worker: "worker" })
      for (const { delivery, token } of claimed) {
        yield* notifications.delivered(delivery.id, token, delivery.id)
        sent.push(delivery.id)
      }
      if (claimed.length > 0) continue
      const { queued, sending } = yield* notifications.countDeliveries()
      if (queued + sending === 0) return sent
      yield* Effect.sleep("5 millis")
    }
  })

describeLive("postgresql", "Notifications on a server, many callers at once", () => {
  it.layer(ground(8), { excludeTestServices: true, timeout: "2 minutes" })("two clients, pools of 8", (it) => {
    it.effect(
      "16 workers share 300 deliveries: each is sent exactly once",
      () =>
        Effect.gen(function* () {
          const notifications = yield* Notifications
          const users = yield* Effect.forEach(times(100), () => someUser(), { concurrency: 8 })
          const about = { category: yield* category(["email"]), template: yield* template(["email"]) }
          const recipients = users.map(({ id }) => ({ userId: id }))
          for (const _ of times(3)) yield* notifications.notifyMany({ ...about, recipients })
          const sent = allWon(yield* race(16, (i) => work(1 + (i % 4)))).flat()
          assert.equal(sent.length, 300)
          assert.equal(new Set(sent).size, 300)
          const { delivered } = yield* notifications.countDeliveries()
          assert.equal(delivered, 300)
          const { items } = yield* notifications.listDeliveries({ states: ["delivered"], limit: 1000 })
          assert.ok(items.every(({ attempts, id, providerReference }) => attempts === 1 && providerReference === id))
          yield* healthy
        }),
      60_000
    )

    it.effect("a user is told before the erasure, which takes it away, or not at all", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const users = yield* Users
        const { sql } = yield* PostgresClient.PostgresClient
        const { category, template } = (yield* ready(["in-app", "email"])).about
        const about = { category, template }
        const giving = (userId: UserId): ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> => [
          notifications.notify({ ...about, userId }),
          notifications.notify({ ...about, userId, key: "once" }),
          notifications.notifyMany({ ...about, recipients: [{ userId }] }),
          notifications.setAddress({ userId, channel: "push", address: "token" }),
          notifications.changeSettings(userId, { locale: "de" }),
          notifications.setPreference(userId, about.category, [])
        ]
        for (let round = 0; round < 20; round++) {
          const { id } = yield* someUser()
          const given = yield* Effect.all(
            [users.erase(id), ...giving(id), ...giving(id)].map((one) => Effect.result(one)),
            { concurrency: 13 }
          )
          for (const one of given) assert.ok(Result.isSuccess(one) || one.failure._tag === "UserNotFound", String(one))
          const left = yield* sql`select from ai_core.notifications where user_id = ${id}
            union all select from ai_core.notification_addresses where user_id = ${id}
            union all select from ai_core.notification_settings where user_id = ${id}
            union all select from ai_core.notification_preferences where user_id = ${id}`
          assert.equal(left.length, 0)
        }
        const { id } = yield* someUser()
        const [, late] = yield* behind(
          users.erase(id),
          giving(id).map((one) => Effect.flip(one))
        )
        for (const error of late) assert.ok(error instanceof UserNotFound, String(error))
        yield* healthy
      })
    )

    it.effect("the same key from 30 callers is one notification, and all of them get it", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { about, user } = yield* ready(["in-app", "email"])
        const exits = yield* race(30, () =>
          Effect.flatMap(Notifications, (own) => own.notify({ ...about, key: "welcome" }))
        )
        const told = allWon(exits)
        assert.equal(new Set(told.map(({ notification }) => notification.id)).size, 1)
        assert.ok(
          told.every(({ deliveries }) => deliveries.length === 1 && deliveries[0]!.id === told[0]!.deliveries[0]!.id)
        )
        assert.equal(yield* notifications.unreadCount(user.id), 1)
        assert.equal((yield* claim(user)).length, 1)
        yield* healthy
      })
    )

    it.effect("one key for two requests: one of them wins, the others are told", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { about, user } = yield* ready(["in-app"])
        const exits = yield* race(30, (i) =>
          Effect.flatMap(Notifications, (own) =>
            own.notify({ ...about, key: "k", priority: i < 15 ? "low" : "urgent" })
          )
        )
        assert.deepEqual(tally(exits), { won: 15, IdempotencyConflict: 15 })
        assert.equal(yield* notifications.unreadCount(user.id), 1)
        yield* healthy
      })
    )

    it.effect(
      "lists of the same users in every order are told at once without a deadlock, each user once",
      () =>
        Effect.gen(function* () {
          const notifications = yield* Notifications
          const users = yield* Effect.forEach(times(20), () => someUser(), { concurrency: 8 })
          const about = { category: yield* category(["in-app"]), template: yield* template(["in-app"]) }
          const rotated = (i: number) => {
            const turned = [...users.slice(i % 20), ...users.slice(0, i % 20)].map(({ id }) => ({ userId: id }))
            return i % 3 === 0 ? turned.toReversed() : turned
          }
          const exits = yield* race(20, (i) =>
            Effect.flatMap(Notifications, (own) => own.notifyMany({ ...about, key: "news", recipients: rotated(i) }))
          )
          const told = allWon(exits).flat()
          assert.equal(new Set(told.map(({ notification }) => notification.id)).size, 20)
          for (const { id } of users) assert.equal(yield* notifications.unreadCount(id), 1)
          yield* healthy
        }),
      60_000
    )

    it.effect(
      "the unread count is right however many tell and read at once",
      () =>
        Effect.gen(function* () {
          const notifications = yield* Notifications
          const { about, user } = yield* ready(["in-app"])
          const before = yield* Effect.forEach(times(40), () =>
            Effect.map(notifications.notify(about), ({ notification }) => notification.id)
          )
          const exits = yield* race(60, (i) =>
            Effect.gen(function* () {
              const own = yield* Notifications
              if (i % 3 === 0) {
                yield* own.notify(about)
                return 0
              }
              // Twenty callers each read the same ten.
              if (i % 3 === 1) return yield* own.markRead(user.id, before.slice(0, 10))
              if (i % 6 === 2) return yield* own.markRead(user.id, before.slice(5, 20).toReversed())
              return yield* own.archive(user.id, before.slice(30))
            })
          )
          const changed = allWon(exits).reduce((sum, n) => sum + n, 0)
          assert.equal(changed, 20 + 10)
          assert.equal(yield* notifications.unreadCount(user.id), 40 + 20 - 20 - 10)
          const list = yield* notifications.list(user.id, { unread: true, limit: 1000 })
          assert.equal(list.items.length, 30)
          const all = yield* race(10, () => Effect.flatMap(Notifications, (own) => own.markAllRead(user.id)))
          assert.equal(
            allWon(all).reduce((sum, n) => sum + n, 0),
            30
          )
          assert.equal(yield* notifications.unreadCount(user.id), 0)
          yield* healthy
        }),
      60_000
    )

    it.effect("of a delivery's 30 endings one counts", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { delivery, user } = yield* queued()
        const { token } = yield* claimOne(user)
        const exits = yield* race(30, (i) =>
          Effect.flatMap(Notifications, (own) =>
            i < 15
              ? own.delivered(delivery.id, token, "ref")
              : own.failed(delivery.id, token, "no", { permanent: true })
          )
        )
        const { attempts, state } = Option.getOrThrow(yield* notifications.findDelivery(delivery.id))
        assert.equal(attempts, 1)
        assert.deepEqual(
          tally(exits),
          state === "delivered" ? { won: 15, DeliveryLeaseLost: 15 } : { won: 1, DeliveryLeaseLost: 29 }
        )
        yield* healthy
      })
    )

    it.effect("what is canceled while workers take it is either taken or canceled", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { about, user } = yield* ready(["email"])
        const ids = yield* Effect.forEach(times(20), () =>
          Effect.map(notifications.notify(about), ({ deliveries }) => deliveries[0]!.id)
        )
        const exits = yield* race(30, (i) =>
          i < 20
            ? Effect.flatMap(Notifications, (own) => Effect.map(own.cancelDelivery(ids[i]!), () => 0))
            : Effect.map(claim(user), (claimed) => claimed.length)
        )
        const canceled = exits.slice(0, 20).filter(Exit.isSuccess).length
        const taken = allWon(exits.slice(20)).reduce((sum, n) => sum + n, 0)
        assert.equal(canceled + taken, 20)
        const counts = yield* notifications.countDeliveries({ userId: user.id })
        assert.deepEqual([counts.canceled, counts.sending], [canceled, taken])
        yield* healthy
      })
    )

    it.effect("what is withdrawn at the moment in which its worker fails, or it is queued again, is not sent", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const trying = yield* queued()
        const { token } = yield* claimOne(trying.user)
        const [, [failed]] = yield* behind(notifications.withdraw(trying.notification.id), [
          notifications.failed(trying.delivery.id, token, "503", { retryAfter: 0 })
        ])
        assert.equal(failed?.state, "canceled")
        const dead = yield* queued()
        const taken = yield* claimOne(dead.user)
        yield* notifications.failed(dead.delivery.id, taken.token, "550", { permanent: true })
        const [, [refused]] = yield* behind(notifications.withdraw(dead.notification.id), [
          Effect.flip(notifications.requeueDelivery(dead.delivery.id))
        ])
        assert.equal(refused?._tag, "NotificationWithdrawn")
        // The other way round: what goes back to the queue before is canceled there.
        const back = yield* queued()
        const held = yield* claimOne(back.user)
        const [, [withdrawn]] = yield* behind(
          notifications.failed(back.delivery.id, held.token, "503", { retryAfter: 0 }),
          [notifications.withdraw(back.notification.id)]
        )
        assert.equal(withdrawn?.[0]?.state, "canceled")
        for (const { user } of [trying, dead, back]) assert.deepEqual(yield* claim(user), [])
      })
    )

    it.effect("a worker that dies loses its lease, and can finish nothing", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { other } = yield* Ground
        const { delivery, user } = yield* queued()
        const first = yield* Effect.provide(claimOne(user, { lease: "2 seconds" }), other)
        const written = yield* Deferred.make<void>()
        // It dies with its word written and not committed.
        const dying = yield* Effect.forkChild(
          Effect.provide(
            Effect.gen(function* () {
              const { run } = yield* Transaction
              const own = yield* Notifications
              const said = Effect.andThen(own.delivered(delivery.id, first.token), Deferred.succeed(written, undefined))
              yield* run(Effect.andThen(said, Effect.never))
            }),
            other
          )
        )
        yield* Deferred.await(written)
        assert.deepEqual(yield* claim(user), [])
        yield* Fiber.interrupt(dying)
        assert.deepEqual(yield* claim(user), [])
        yield* Effect.sleep("2 seconds")
        const second = yield* claimOne(user)
        assert.equal(second.delivery.attempts, 2)
        const late = yield* Effect.flip(Effect.provide(notifications.delivered(delivery.id, first.token), other))
        assert.equal(late._tag, "DeliveryLeaseLost")
        const done = yield* notifications.delivered(delivery.id, second.token)
        assert.equal(done.state, "delivered")
        yield* healthy
      })
    )

    it.effect("what a transaction has told is sent once it is committed, and not at all if it is not", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const { run } = yield* Transaction
        const { other } = yield* Ground
        const { about, user } = yield* ready(["in-app", "email"])
        const failed = yield* Effect.exit(
          run(
            Effect.gen(function* () {
              yield* notifications.notify({ ...about, key: "k" })
              assert.deepEqual(yield* Effect.provide(claim(user), other), [])
              assert.equal(
                yield* Effect.provide(
                  Effect.flatMap(Notifications, (own) => own.unreadCount(user.id)),
                  other
                ),
                0
              )
              return yield* Effect.fail("stop")
            })
          )
        )
        assert.ok(Exit.isFailure(failed))
        assert.deepEqual(yield* claim(user), [])
        yield* run(notifications.notify({ ...about, key: "k" }))
        assert.equal((yield* Effect.provide(claim(user), other)).length, 1)
        yield* healthy
      })
    )

    it.effect("of 20 edits of a template at one version one wins", () =>
      Effect.gen(function* () {
        const notifications = yield* Notifications
        const key = yield* template(["sms"])
        const [text] = (yield* notifications.listTemplates({ key })).items
        const exits = yield* race(20, (i) =>
          Effect.flatMap(Notifications, (own) => own.updateTemplate(text!.id, 1, { body: `by ${i}` }))
        )
        assert.deepEqual(tally(exits), { won: 1, VersionConflict: 19 })
        assert.equal(Option.getOrThrow(yield* notifications.findTemplate(text!.id)).version, 2)
        yield* healthy
      })
    )
  })
})
