import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import type { UserId } from "../users/Users.ts"
import { presentUser } from "../users/UsersMemory.ts"
import { Channel, OutsideChannel, sorted } from "./Channel.ts"
import {
  AddressNotFound,
  type NotificationAddress,
  type NotificationCategory,
  CategoryNotFound,
  type NotificationPreference,
  type NotificationSettings
} from "./NotificationPreferences.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput } from "./NotificationsInput.ts"
import {
  addressesTable,
  categoriesTable,
  ofUser,
  preferencesTable,
  settingsTable,
  type StoredAddress
} from "./NotificationTables.ts"
import { channelsOn } from "./planNotification.ts"

const bySlug: Order.Order<NotificationCategory> = Order.mapInput(Order.String, ({ slug }) => slug)

const addressOf = ({ address, channel, verifiedAt }: StoredAddress): NotificationAddress => ({
  channel,
  address,
  verifiedAt
})

/** A user's settings as they are in memory. */
export const settingsIn = (db: MemoryReader, userId: UserId): NotificationSettings =>
  Option.match(db.get(settingsTable, userId), {
    onNone: () => ({ locale: null, quietHours: null }),
    onSome: ({ locale, quietHours }) => ({ locale, quietHours })
  })

/** A user's addresses as they are in memory, in the order of the channels. */
export const addressesIn = (db: MemoryReader, userId: UserId): ReadonlyArray<NotificationAddress> =>
  OutsideChannel.literals.flatMap((channel) =>
    Option.toArray(Option.map(db.get(addressesTable, ofUser(userId, channel)), addressOf))
  )

type Service = Notifications["Service"]

/** What users want, in memory. */
export const makePreferences = ({ read, write }: PostgresMemory["Service"]) => {
  const setCategory: Service["setCategory"] = Effect.fnUntraced(function* (given) {
    const { channels, description = "", mandatory = [], slug } = yield* NotificationsInput.setCategory(given)
    const category: NotificationCategory = {
      slug,
      description,
      channels: sorted(Channel, channels),
      mandatory: sorted(Channel, mandatory)
    }
    return yield* write("Notifications.setCategory", (db) =>
      Result.map(db.replace(categoriesTable, category), () => category)
    )
  })

  const listCategories: Service["listCategories"] = read("Notifications.listCategories", (db) =>
    db.rows(categoriesTable).sort(bySlug)
  )

  const setPreference: Service["setPreference"] = Effect.fnUntraced(function* (givenUser, givenCategory, given) {
    const { category, channels, userId } = yield* NotificationsInput.setPreference(givenUser, givenCategory, given)
    return yield* write("Notifications.setPreference", (db) =>
      Result.gen(function* () {
        yield* presentUser(db, userId)
        const chosen = sorted(Channel, channels)
        yield* db.replace(preferencesTable, { userId, category, channels: chosen })
        const found = yield* Result.fromOption(
          db.get(categoriesTable, category),
          () => new CategoryNotFound({ category })
        )
        return {
          category,
          channels: channelsOn(found, chosen),
          mandatory: found.mandatory,
          chosen: true
        } satisfies NotificationPreference
      })
    ).pipe(
      Effect.mapError(
        onConstraint({ notification_preferences_category_fkey: () => new CategoryNotFound({ category }) })
      )
    )
  })

  const resetPreference: Service["resetPreference"] = Effect.fnUntraced(function* (givenUser, givenCategory) {
    const { category, userId } = yield* NotificationsInput.resetPreference(givenUser, givenCategory)
    return yield* write("Notifications.resetPreference", (db) => db.remove(preferencesTable, ofUser(userId, category)))
  })

  const preferencesOf: Service["preferencesOf"] = Effect.fnUntraced(function* (given) {
    const { userId } = yield* NotificationsInput.user("preferencesOf", given)
    return yield* read("Notifications.preferencesOf", (db) =>
      db
        .rows(categoriesTable)
        .sort(bySlug)
        .map((category): NotificationPreference => {
          const chosen = Option.getOrNull(db.get(preferencesTable, ofUser(userId, category.slug)))
          return {
            category: category.slug,
            channels: channelsOn(category, chosen && chosen.channels),
            mandatory: category.mandatory,
            chosen: chosen !== null
          }
        })
    )
  })

  const changeSettings: Service["changeSettings"] = Effect.fnUntraced(function* (givenUser, given) {
    const { changes, userId } = yield* NotificationsInput.changeSettings(givenUser, given)
    return yield* write("Notifications.changeSettings", (db) => {
      const before = settingsIn(db, userId)
      const { locale = before.locale, quietHours = before.quietHours } = changes
      const settings: NotificationSettings = {
        locale,
        quietHours: quietHours && { ...quietHours, channels: sorted(OutsideChannel, quietHours.channels) }
      }
      return Result.gen(function* () {
        yield* presentUser(db, userId)
        yield* db.replace(settingsTable, { userId, ...settings })
        return settings
      })
    })
  })

  const settingsOf: Service["settingsOf"] = Effect.fnUntraced(function* (given) {
    const { userId } = yield* NotificationsInput.user("settingsOf", given)
    return yield* read("Notifications.settingsOf", (db) => settingsIn(db, userId))
  })

  const setAddress: Service["setAddress"] = Effect.fnUntraced(function* (given) {
    const { address, channel, userId, verified = false } = yield* NotificationsInput.setAddress(given)
    const now = yield* DateTime.now
    return yield* write("Notifications.setAddress", (db) => {
      const before = Option.getOrUndefined(db.get(addressesTable, ofUser(userId, channel)))
      const verifiedBefore = before?.address === address ? before.verifiedAt : null
      const stored = { channel, address, verifiedAt: verifiedBefore ?? (verified ? now : null) }
      return Result.gen(function* () {
        yield* presentUser(db, userId)
        yield* db.replace(addressesTable, { userId, ...stored })
        return stored
      })
    })
  })

  const verifyAddress: Service["verifyAddress"] = Effect.fnUntraced(function* (givenUser, givenChannel, given) {
    const { address, channel, userId } = yield* NotificationsInput.verifyAddress(givenUser, givenChannel, given)
    const now = yield* DateTime.now
    return yield* write("Notifications.verifyAddress", (db) =>
      Result.gen(function* () {
        const found = Option.getOrUndefined(db.get(addressesTable, ofUser(userId, channel)))
        if (found?.address !== address) return yield* Result.fail(new AddressNotFound({ userId, channel }))
        const verified = { ...found, verifiedAt: found.verifiedAt ?? now }
        yield* db.replace(addressesTable, verified)
        return addressOf(verified)
      })
    )
  })

  const removeAddress: Service["removeAddress"] = Effect.fnUntraced(function* (givenUser, givenChannel) {
    const { channel, userId } = yield* NotificationsInput.removeAddress(givenUser, givenChannel)
    return yield* write("Notifications.removeAddress", (db) => db.remove(addressesTable, ofUser(userId, channel)))
  })

  const addressesOf: Service["addressesOf"] = Effect.fnUntraced(function* (given) {
    const { userId } = yield* NotificationsInput.user("addressesOf", given)
    return yield* read("Notifications.addressesOf", (db) => addressesIn(db, userId))
  })

  return {
    setCategory,
    listCategories,
    setPreference,
    resetPreference,
    preferencesOf,
    changeSettings,
    settingsOf,
    setAddress,
    verifyAddress,
    removeAddress,
    addressesOf
  } satisfies Partial<Service>
}
