import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { present } from "../users/UserRow.ts"
import { type UserId, UserNotFound } from "../users/Users.ts"
import { Channel, OutsideChannel, sorted } from "./Channel.ts"
import {
  AddressNotFound,
  CategoryNotFound,
  NotificationAddress,
  NotificationCategory,
  type NotificationPreference,
  NotificationSettings
} from "./NotificationPreferences.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput } from "./NotificationsInput.ts"
import { channelsOn } from "./planNotification.ts"

const channels = Schema.Array(Channel)

const categoryRows = rowReader(NotificationCategory)

const preferenceRows = rowReader(
  Schema.Struct({ category: Schema.String, channels, mandatory: channels, chosen: Schema.NullOr(channels) })
)

const preferenceOf = ({
  category,
  channels,
  chosen,
  mandatory
}: {
  readonly category: string
  readonly channels: ReadonlyArray<Channel>
  readonly mandatory: ReadonlyArray<Channel>
  readonly chosen: ReadonlyArray<Channel> | null
}): NotificationPreference => ({
  category,
  channels: channelsOn({ channels, mandatory }, chosen),
  mandatory,
  chosen: chosen !== null
})

const settingsRows = rowReader(NotificationSettings)

const addressRows = rowReader(NotificationAddress.mapFields((fields) => ({ ...fields, verifiedAt: NullableTimestamp })))

const byChannel: Order.Order<NotificationAddress> = Order.mapInput(Order.Number, ({ channel }) =>
  OutsideChannel.literals.indexOf(channel)
)

type Service = Notifications["Service"]

/** What was stored of a user; nothing was where there is none, or it is erased. */
const ofPresent = <A, E>(id: UserId, stored: Effect.Effect<Option.Option<A>, E>): Effect.Effect<A, E | UserNotFound> =>
  Effect.flatMap(stored, Option.match({ onNone: () => Effect.fail(new UserNotFound({ id })), onSome: Effect.succeed }))

/** Selects the quiet hours of settings `s`, as JSON; null where there are none. */
export const quietColumn = (sql: PostgresClient["Service"]["sql"]) => sql`case when s.quiet_start is not null then
  jsonb_build_object('start', s.quiet_start, 'end', s.quiet_end, 'timeZone', s.time_zone, 'channels', s.quiet_channels)
  end as "quietHours"`

/** What users want, on PostgreSQL. */
export const makePreferences = (client: PostgresClient["Service"], transaction: Transaction["Service"]) => {
  const { keyed, query, sql } = client
  const contained = makeContained(client, transaction)
  const categoryColumns = sql`c.slug, c.description, c.channels, c.mandatory`
  const settingsColumns = sql`s.locale, ${quietColumn(sql)}`
  const addressColumns = sql`a.channel, a.address, a.verified_at as "verifiedAt"`

  const setCategory: Service["setCategory"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.setCategory"
    const { channels, description = "", mandatory = [], slug } = yield* NotificationsInput.setCategory(given)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`insert into ai_core.notification_categories as c (slug, description, channels, mandatory)
        values (${slug}, ${description}, ${sorted(Channel, channels)}::text[], ${sorted(Channel, mandatory)}::text[])
        on conflict (slug) do update set
          description = excluded.description, channels = excluded.channels, mandatory = excluded.mandatory
        returning ${categoryColumns}`
    )
    return yield* categoryRows.one(operation, rows)
  })

  const listCategories: Service["listCategories"] = Effect.gen(function* () {
    const call = { operation: "Notifications.listCategories", kind: "read" } as const
    const rows = yield* query(
      call,
      sql<object>`select ${categoryColumns} from ai_core.notification_categories as c order by c.slug`
    )
    return yield* categoryRows.all(call, rows)
  })

  const setPreference: Service["setPreference"] = Effect.fnUntraced(function* (givenUser, givenCategory, given) {
    const operation = "Notifications.setPreference"
    const { category, channels, userId } = yield* NotificationsInput.setPreference(givenUser, givenCategory, given)
    const rows = yield* contained(
      query(
        { operation, kind: "write", idempotent: true },
        keyed<object>`with chosen as (
            insert into ai_core.notification_preferences as p (user_id, category, channels)
            select id, ${category}::text, ${sorted(Channel, channels)}::text[]
            from ai_core.users where ${present(sql, userId)}
            on conflict (user_id, category) do update set channels = excluded.channels
            returning p.category, p.channels
          )
          select chosen.category, chosen.channels as chosen, c.channels, c.mandatory
          from chosen join ai_core.notification_categories as c on c.slug = chosen.category`
      )
    ).pipe(
      Effect.mapError(
        onConstraint({ notification_preferences_category_fkey: () => new CategoryNotFound({ category }) })
      )
    )
    return preferenceOf(yield* ofPresent(userId, preferenceRows.option(operation, rows)))
  })

  const resetPreference: Service["resetPreference"] = Effect.fnUntraced(function* (givenUser, givenCategory) {
    const { category, userId } = yield* NotificationsInput.resetPreference(givenUser, givenCategory)
    yield* query(
      { operation: "Notifications.resetPreference", kind: "write", idempotent: true },
      keyed`delete from ai_core.notification_preferences where user_id = ${userId}::uuid and category = ${category}`
    )
  })

  const preferencesOf: Service["preferencesOf"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notifications.preferencesOf", kind: "read" } as const
    const { userId } = yield* NotificationsInput.user("preferencesOf", given)
    const rows = yield* query(
      call,
      keyed<object>`select c.slug as category, c.channels, c.mandatory, p.channels as chosen
        from ai_core.notification_categories as c
        left join ai_core.notification_preferences as p on p.user_id = ${userId}::uuid and p.category = c.slug
        order by c.slug`
    )
    return (yield* preferenceRows.all(call, rows)).map(preferenceOf)
  })

  const changeSettings: Service["changeSettings"] = Effect.fnUntraced(function* (givenUser, given) {
    const operation = "Notifications.changeSettings"
    const { changes, userId } = yield* NotificationsInput.changeSettings(givenUser, given)
    const { locale, quietHours } = changes
    const quietStays = quietHours === undefined
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`insert into ai_core.notification_settings as s
          (user_id, locale, quiet_start, quiet_end, time_zone, quiet_channels)
          select id, ${locale ?? null}::text, ${quietHours?.start ?? null}::text, ${quietHours?.end ?? null}::text,
            ${quietHours?.timeZone ?? null}::text,
            ${quietHours ? sorted(OutsideChannel, quietHours.channels) : null}::text[]
          from ai_core.users where ${present(sql, userId)}
          on conflict (user_id) do update set
            locale = case when ${locale === undefined}::boolean then s.locale else excluded.locale end,
            quiet_start = case when ${quietStays}::boolean then s.quiet_start else excluded.quiet_start end,
            quiet_end = case when ${quietStays}::boolean then s.quiet_end else excluded.quiet_end end,
            time_zone = case when ${quietStays}::boolean then s.time_zone else excluded.time_zone end,
            quiet_channels = case when ${quietStays}::boolean then s.quiet_channels else excluded.quiet_channels end
          returning ${settingsColumns}`
    )
    return yield* ofPresent(userId, settingsRows.option(operation, rows))
  })

  const settingsOf: Service["settingsOf"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notifications.settingsOf", kind: "read" } as const
    const { userId } = yield* NotificationsInput.user("settingsOf", given)
    const rows = yield* query(
      call,
      keyed<object>`select ${settingsColumns} from ai_core.notification_settings as s where s.user_id = ${userId}`
    )
    return Option.getOrElse(yield* settingsRows.option(call, rows), (): NotificationSettings => ({
      locale: null,
      quietHours: null
    }))
  })

  const setAddress: Service["setAddress"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.setAddress"
    const { address, channel, userId, verified = false } = yield* NotificationsInput.setAddress(given)
    const verifiedAt = verified ? DateTime.toDateUtc(yield* DateTime.now) : null
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`insert into ai_core.notification_addresses as a (user_id, channel, address, verified_at)
          select id, ${channel}::text, ${address}::text, ${verifiedAt}::timestamptz
          from ai_core.users where ${present(sql, userId)}
          on conflict (user_id, channel) do update set
            address = excluded.address,
            verified_at = case when a.address = excluded.address then coalesce(a.verified_at, excluded.verified_at)
              else excluded.verified_at end
          returning ${addressColumns}`
    )
    return yield* ofPresent(userId, addressRows.option(operation, rows))
  })

  const verifyAddress: Service["verifyAddress"] = Effect.fnUntraced(function* (givenUser, givenChannel, given) {
    const operation = "Notifications.verifyAddress"
    const { address, channel, userId } = yield* NotificationsInput.verifyAddress(givenUser, givenChannel, given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.notification_addresses as a
        set verified_at = coalesce(a.verified_at, ${now}::timestamptz)
        where a.user_id = ${userId}::uuid and a.channel = ${channel} and a.address = ${address}
        returning ${addressColumns}`
    )
    const found = yield* addressRows.option(operation, rows)
    return Option.isSome(found) ? found.value : yield* new AddressNotFound({ userId, channel })
  })

  const removeAddress: Service["removeAddress"] = Effect.fnUntraced(function* (givenUser, givenChannel) {
    const { channel, userId } = yield* NotificationsInput.removeAddress(givenUser, givenChannel)
    yield* query(
      { operation: "Notifications.removeAddress", kind: "write", idempotent: true },
      keyed`delete from ai_core.notification_addresses where user_id = ${userId}::uuid and channel = ${channel}`
    )
  })

  const addressesOf: Service["addressesOf"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notifications.addressesOf", kind: "read" } as const
    const { userId } = yield* NotificationsInput.user("addressesOf", given)
    const rows = yield* query(
      call,
      keyed<object>`select ${addressColumns} from ai_core.notification_addresses as a where a.user_id = ${userId}`
    )
    return [...(yield* addressRows.all(call, rows))].sort(byChannel)
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
