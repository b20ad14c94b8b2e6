import * as Schema from "effect/Schema"
import { Slug, textOf, withoutControls } from "../../core/Text.ts"
import { ServiceUrl } from "../federation/ServiceUrl.ts"
import { Email, UserId } from "../users/Users.ts"
import { Channel, OutsideChannel } from "./Channel.ts"
import { Locale } from "./NotificationTemplate.ts"
import { QuietHours } from "./quietHours.ts"

/** A kind of notifications that users choose channels for. */
export const NotificationCategory = Schema.Struct({
  slug: Slug,
  /** Empty where nothing is said. */
  description: textOf(0, 1000),
  /** On for users who have not chosen. */
  channels: Schema.Array(Channel),
  /** On whatever a user chooses: security alerts. */
  mandatory: Schema.Array(Channel)
})
export type NotificationCategory = typeof NotificationCategory.Type

/** What a category is made of. */
export const NewCategory = NotificationCategory.mapFields((fields) => ({
  ...fields,
  description: Schema.optionalKey(fields.description),
  mandatory: Schema.optionalKey(fields.mandatory)
}))
export type NewCategory = typeof NewCategory.Type

/** What a user gets of a category. */
export interface NotificationPreference {
  readonly category: string
  /** The channels that are on, the mandatory ones among them. */
  readonly channels: ReadonlyArray<Channel>
  readonly mandatory: ReadonlyArray<Channel>
  /** The user chose; otherwise these are the category's own. */
  readonly chosen: boolean
}

export const PreferenceChoice = Schema.Struct({ userId: UserId, category: Slug, channels: Schema.Array(Channel) })

/** A user's language, and when the user wants quiet. */
export const NotificationSettings = Schema.Struct({
  /** `null` where the user has not chosen one. */
  locale: Schema.NullOr(Locale),
  quietHours: Schema.NullOr(QuietHours)
})
export type NotificationSettings = typeof NotificationSettings.Type

/** What is changed of a user's settings: at least one field; what is left out stays as it is, `null` takes it away. */
export const SettingsChanges = NotificationSettings.mapFields((fields) => ({
  locale: Schema.optionalKey(fields.locale),
  quietHours: Schema.optionalKey(fields.quietHours)
})).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type SettingsChanges = typeof SettingsChanges.Type

/** Where a user is reached on a channel. */
export const NotificationAddress = Schema.Struct({
  channel: OutsideChannel,
  address: Schema.String,
  /** When the user proved to own it; nothing is sent to it before. */
  verifiedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type NotificationAddress = typeof NotificationAddress.Type

const isOne: Record<OutsideChannel, (address: string) => boolean> = {
  email: Schema.is(Email),
  sms: (address) => /^\+[1-9][0-9]{6,14}$/.test(address),
  push: () => true,
  webhook: Schema.is(ServiceUrl)
}

const kindOf: Record<OutsideChannel, string> = {
  email: "an e-mail address",
  sms: "a number with its country, + and digits alone",
  push: "a push token",
  webhook: "an http or https URL as a URL parser reads it, without credentials and fragment"
}

/** An address that a user gave. */
export const NewAddress = Schema.Struct({
  userId: UserId,
  channel: OutsideChannel,
  /** An e-mail address, a number such as `+436601234567`, a push token, a URL as `ServiceUrl` takes it; on one line. */
  address: textOf(1, 4096).check(withoutControls),
  /** The user is known to own it; no where nothing is said. */
  verified: Schema.optionalKey(Schema.Boolean)
}).check(
  Schema.makeFilter(({ address, channel }: { readonly address: string; readonly channel: OutsideChannel }) =>
    isOne[channel](address) ? undefined : { path: ["address"], issue: `Expected ${kindOf[channel]}` }
  )
)
export type NewAddress = typeof NewAddress.Type

/** There is no category with this name. */
export class CategoryNotFound extends Schema.TaggedError<CategoryNotFound>("@ai-core/database/CategoryNotFound")(
  "CategoryNotFound",
  { category: Schema.String }
) {
  override get message(): string {
    return `there is no notification category ${this.category}`
  }
}

/** The user has no such address on this channel (any more). */
export class AddressNotFound extends Schema.TaggedError<AddressNotFound>("@ai-core/database/AddressNotFound")(
  "AddressNotFound",
  { userId: UserId, channel: OutsideChannel }
) {
  override get message(): string {
    return `user ${this.userId} has no such address for ${this.channel}`
  }
}
