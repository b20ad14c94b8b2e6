import * as Effect from "effect/Effect"
import * as assert from "node:assert/strict"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import type { UserId } from "../../../platform/users/Users.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import { failsWith, refuses, untyped } from "../../Expectations.ts"
import { nobody, someUser } from "../users.ts"
import { type Cases, category, ready } from "./fixtures.ts"

const preference = (userId: UserId, slug: string) =>
  Effect.gen(function* () {
    const all = yield* (yield* Notifications).preferencesOf(userId)
    return all.find((one) => one.category === slug)
  })

export const preferences: Cases = {
  "a category is made, and made anew": Effect.gen(function* () {
    const notifications = yield* Notifications
    const slug = yield* unique("category")
    const first = yield* notifications.setCategory({ slug, channels: ["sms", "in-app", "sms"] })
    assert.deepEqual(first, { slug, description: "", channels: ["in-app", "sms"], mandatory: [] })
    const second = yield* notifications.setCategory({
      slug,
      description: "Bills",
      channels: [],
      mandatory: ["email"]
    })
    const all = yield* notifications.listCategories
    assert.deepEqual(
      all.filter((one) => one.slug === slug),
      [second]
    )
    assert.deepEqual(
      all.map((one) => one.slug),
      all.map((one) => one.slug).sort()
    )
  }),
  "a user has a category's channels until others are chosen": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id } = yield* someUser()
    const slug = yield* category(["in-app", "email"], ["push"])
    const own = { category: slug, channels: ["in-app", "email", "push"], mandatory: ["push"], chosen: false }
    assert.deepEqual(yield* preference(id, slug), own)
    const chosen = yield* notifications.setPreference(id, slug, ["webhook", "sms"])
    assert.deepEqual(chosen, { ...own, channels: ["sms", "push", "webhook"], chosen: true })
    assert.deepEqual(yield* preference(id, slug), chosen)
    const muted = yield* notifications.setPreference(id, slug, [])
    assert.deepEqual(muted, { ...own, channels: ["push"], chosen: true })
    yield* notifications.resetPreference(id, slug)
    yield* notifications.resetPreference(id, slug)
    assert.deepEqual(yield* preference(id, slug), own)
    yield* notifications.setPreference(id, slug, [])
    const other = yield* someUser()
    assert.deepEqual(yield* preference(other.id, slug), own)
  }),
  "an erased user keeps no address, settings, choice or message": Effect.gen(function* () {
    const notifications = yield* Notifications
    const users = yield* Users
    const { about, user: neighbour } = yield* ready()
    const { id } = yield* someUser()
    const slug = about.category
    for (const userId of [id, neighbour.id]) {
      yield* notifications.setAddress({ userId, channel: "email", address: "a@example.com", verified: true })
      yield* notifications.changeSettings(userId, { locale: "de" })
      yield* notifications.notify({ ...about, userId })
      yield* notifications.setPreference(userId, slug, [])
    }
    const before = yield* notifications.list(neighbour.id)
    assert.equal((yield* notifications.list(id)).items.length, 1)
    yield* users.erase(id)
    assert.deepEqual(yield* notifications.addressesOf(id), [])
    assert.equal((yield* notifications.settingsOf(id)).locale, null)
    assert.equal((yield* preference(id, slug))?.chosen, false)
    assert.deepEqual((yield* notifications.list(id)).items, [])
    assert.equal((yield* notifications.addressesOf(neighbour.id)).length, 1)
    assert.equal((yield* notifications.settingsOf(neighbour.id)).locale, "de")
    assert.equal((yield* preference(neighbour.id, slug))?.chosen, true)
    assert.deepEqual(yield* notifications.list(neighbour.id), before)
  }),
  "an erased user is told nothing, and nothing is stored of it anew": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { run } = yield* Transaction
    const { about, user: other } = yield* ready(["in-app", "email"])
    const { category, template } = about
    const users = yield* Users
    const { id: userId } = yield* users.erase((yield* someUser()).id)
    const refused = Effect.gen(function* () {
      yield* failsWith(notifications.notify({ ...about, userId }), "UserNotFound")
      const recipients = [{ userId: other.id }, { userId }]
      yield* failsWith(notifications.notifyMany({ category, template, recipients }), "UserNotFound")
      yield* failsWith(notifications.setPreference(userId, about.category, []), "UserNotFound")
      yield* failsWith(notifications.changeSettings(userId, { locale: "de" }), "UserNotFound")
      yield* failsWith(notifications.setAddress({ userId, channel: "push", address: "token" }), "UserNotFound")
    })
    yield* refused
    yield* run(Effect.andThen(refused, notifications.changeSettings(other.id, { locale: "de" })))
    assert.deepEqual(yield* notifications.addressesOf(userId), [])
    assert.equal((yield* notifications.settingsOf(userId)).locale, null)
    assert.equal((yield* preference(userId, about.category))?.chosen, false)
    for (const id of [userId, other.id]) assert.deepEqual((yield* notifications.list(id)).items, [])
  }),
  "preferences are those of users and categories that there are": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id } = yield* someUser()
    const slug = yield* category()
    yield* failsWith(notifications.setPreference(nobody, slug, []), "UserNotFound")
    yield* failsWith(notifications.setPreference(id, "no.such.category", []), "CategoryNotFound")
    yield* failsWith(notifications.changeSettings(nobody, { locale: "de" }), "UserNotFound")
    yield* failsWith(notifications.setAddress({ userId: nobody, channel: "push", address: "token" }), "UserNotFound")
    assert.deepEqual(yield* notifications.settingsOf(nobody), { locale: null, quietHours: null })
    assert.deepEqual(yield* notifications.addressesOf(nobody), [])
  }),
  "settings change by field; null takes one away": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id } = yield* someUser()
    const quietHours = { start: "22:00", end: "07:00", timeZone: "Europe/Vienna", channels: ["sms", "push"] } as const
    assert.deepEqual(yield* notifications.settingsOf(id), { locale: null, quietHours: null })
    yield* notifications.changeSettings(id, { locale: "de-AT" })
    const both = yield* notifications.changeSettings(id, {
      quietHours: { ...quietHours, channels: ["push", "sms", "push"] }
    })
    assert.deepEqual(both, { locale: "de-AT", quietHours })
    assert.deepEqual(yield* notifications.settingsOf(id), both)
    assert.deepEqual(yield* notifications.changeSettings(id, { locale: null }), { locale: null, quietHours })
    const later = { ...quietHours, start: "23:30" }
    assert.deepEqual(yield* notifications.changeSettings(id, { quietHours: later, locale: "en" }), {
      locale: "en",
      quietHours: later
    })
    assert.deepEqual(yield* notifications.changeSettings(id, { quietHours: null }), { locale: "en", quietHours: null })
  }),
  "an address is verified as it is, and another one is not": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    const address = { userId, channel: "sms", address: "+436601234567" } as const
    const first = yield* notifications.setAddress(address)
    assert.deepEqual(first, { channel: "sms", address: "+436601234567", verifiedAt: null })
    yield* failsWith(notifications.verifyAddress(userId, "sms", "+436601234568"), "AddressNotFound")
    yield* failsWith(notifications.verifyAddress(userId, "push", "+436601234567"), "AddressNotFound")
    const verified = yield* notifications.verifyAddress(userId, "sms", "+436601234567")
    assert.notEqual(verified.verifiedAt, null)
    yield* passTime("5 millis")
    assert.deepEqual(yield* notifications.verifyAddress(userId, "sms", "+436601234567"), verified)
    assert.deepEqual(yield* notifications.setAddress(address), verified)
    assert.deepEqual(yield* notifications.setAddress({ ...address, verified: true }), verified)
    const other = yield* notifications.setAddress({ ...address, address: "+436601234569" })
    assert.equal(other.verifiedAt, null)
    yield* failsWith(notifications.verifyAddress(userId, "sms", "+436601234567"), "AddressNotFound")
    const known = yield* notifications.setAddress({ ...address, address: "+436601234560", verified: true })
    assert.notEqual(known.verifiedAt, null)
  }),
  "addresses are one per channel, in the order of the channels, and may be taken away": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    yield* notifications.setAddress({ userId, channel: "webhook", address: "https://example.com/hook?a=b" })
    yield* notifications.setAddress({ userId, channel: "push", address: "token-1" })
    yield* notifications.setAddress({ userId, channel: "push", address: "token-2" })
    yield* notifications.setAddress({ userId, channel: "email", address: "zoë@example.com" })
    const list = Effect.map(notifications.addressesOf(userId), (all) =>
      all.map(({ address, channel }) => `${channel} ${address}`)
    )
    assert.deepEqual(yield* list, ["email zoë@example.com", "push token-2", "webhook https://example.com/hook?a=b"])
    yield* notifications.removeAddress(userId, "push")
    yield* notifications.removeAddress(userId, "push")
    assert.deepEqual(yield* list, ["email zoë@example.com", "webhook https://example.com/hook?a=b"])
  }),
  "fields of preferences that are none are refused, each named": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    yield* refuses(
      notifications.setCategory(untyped({ slug: "A", description: 1, channels: ["fax"], mandatory: "all" })),
      "Notifications.setCategory",
      ["slug", "description", "channels[0]", "mandatory"]
    )
    yield* refuses(notifications.setPreference(untyped("x"), "A", untyped(["fax"])), "Notifications.setPreference", [
      "userId",
      "category",
      "channels[0]"
    ])
    yield* refuses(notifications.verifyAddress(userId, "push", "\0"), "Notifications.verifyAddress", ["address"])
    yield* refuses(notifications.changeSettings(userId, {}), "Notifications.changeSettings", ["changes"])
    const quietHours = untyped({ start: "24:00", end: "7:00", timeZone: "Europe/Atlantis", channels: ["in-app"] })
    yield* refuses(
      notifications.changeSettings(userId, { locale: "de_AT", quietHours }),
      "Notifications.changeSettings",
      [
        "changes.locale",
        "changes.quietHours.start",
        "changes.quietHours.end",
        "changes.quietHours.timeZone",
        "changes.quietHours.channels[0]"
      ]
    )
    const always = { start: "07:00", end: "07:00", timeZone: "UTC", channels: ["sms"] } as const
    yield* refuses(notifications.changeSettings(userId, { quietHours: always }), "Notifications.changeSettings", [
      "changes.quietHours.end"
    ])
    const none = { ...always, end: "08:00", channels: [] }
    yield* refuses(notifications.changeSettings(userId, { quietHours: none }), "Notifications.changeSettings", [
      "changes.quietHours.channels"
    ])
    for (const [channel, address] of [
      ["email", "nobody"],
      ["sms", "0660 1234567"],
      ["webhook", "ftp://example.com"],
      ["webhook", "https://"],
      ["webhook", "https://example.com/a\r\nHost: internal\r\n\r\nGET /"],
      ["webhook", "https://user:pw@example.com/hook"],
      ["webhook", "http://169.254.169.254\t/latest"],
      ["webhook", "https://good.example\\@evil.example/"],
      ["webhook", "https://example.com/#part"],
      ["push", "token\r\nTo: others"],
      ["push", "token\u0085"],
      ["push", "token\u2028"],
      ["sms", "+436601234567\n"],
      ["email", "alice@example.com\r\nBcc:bob@example.com"],
      ["email", "alice\u0000@example.com"],
      ["push", ""]
    ] as const) {
      yield* refuses(notifications.setAddress({ userId, channel, address }), "Notifications.setAddress", ["address"])
    }
  }),
  "what is kept of a user goes with the user": Effect.gen(function* () {
    const notifications = yield* Notifications
    const users = yield* Users
    const { id: userId } = yield* someUser()
    const slug = yield* category()
    yield* notifications.setPreference(userId, slug, [])
    yield* notifications.changeSettings(userId, { locale: "de" })
    yield* notifications.setAddress({ userId, channel: "push", address: "token" })
    yield* users.delete(userId)
    assert.equal((yield* preference(userId, slug))?.chosen, false)
    assert.deepEqual(yield* notifications.settingsOf(userId), { locale: null, quietHours: null })
    assert.deepEqual(yield* notifications.addressesOf(userId), [])
  })
}
