import { Effect } from "effect"
import { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import { someUser } from "../../../../src/testing/contracts/users.ts"
import { category } from "../../../../src/testing/contracts/notifications/fixtures.ts"
import { type Attempts, takesNothing } from "../Attempt.ts"
import { nothing, slug } from "../samples.ts"

const userId = UserId.make(nothing)

const addressed = (channel: "push" | "webhook" | "email", address: string) =>
  Effect.gen(function* () {
    const { id } = yield* someUser()
    const given = { userId: id, channel, address, verified: true }
    yield* (yield* Notifications).setAddress(given)
    return given
  })

const addresses = [
  ["push", "token"],
  ["webhook", "https://example.com/hook"],
  ["email", "alice@example.com"]
] as const

type Preferences = Pick<
  Notifications["Service"],
  | "setCategory"
  | "listCategories"
  | "setPreference"
  | "resetPreference"
  | "preferencesOf"
  | "changeSettings"
  | "settingsOf"
  | "setAddress"
  | "verifyAddress"
  | "removeAddress"
  | "addressesOf"
>

export const preferences: Attempts<Preferences, Notifications | Users> = {
  setCategory: {
    parameters: [""],
    samples: [
      Effect.map(slug("category"), (slug) => [
        { slug, description: "Category", channels: ["email"], mandatory: ["in-app"] }
      ])
    ],
    keeps: () => Effect.flatMap(Notifications, ({ listCategories }) => listCategories)
  },
  listCategories: takesNothing,
  setPreference: {
    parameters: ["userId", "category", "channels"],
    samples: [
      Effect.gen(function* () {
        return [(yield* someUser()).id, yield* category(), ["email"]] as const
      })
    ]
  },
  resetPreference: { parameters: ["userId", "category"], samples: [Effect.succeed([userId, "nothing"])] },
  preferencesOf: { parameters: ["userId"], samples: [Effect.succeed([userId])] },
  changeSettings: {
    parameters: ["userId", "changes"],
    samples: [
      Effect.map(someUser(), ({ id }) => [
        id,
        {
          locale: "de-AT",
          quietHours: { start: "22:00", end: "07:00", timeZone: "Europe/Vienna", channels: ["email"] }
        }
      ])
    ]
  },
  settingsOf: { parameters: ["userId"], samples: [Effect.succeed([userId])] },
  setAddress: {
    parameters: [""],
    samples: addresses.map(([channel, address]) =>
      Effect.map(addressed(channel, address), (address) => [address] as const)
    ),
    keeps: (_, [{ userId }]) => Effect.flatMap(Notifications, ({ addressesOf }) => addressesOf(userId))
  },
  verifyAddress: {
    parameters: ["userId", "channel", "address"],
    samples: [Effect.map(addressed("push", "token"), ({ address, channel, userId }) => [userId, channel, address])],
    refusals: ["AddressNotFound"]
  },
  removeAddress: { parameters: ["userId", "channel"], samples: [Effect.succeed([userId, "push"])] },
  addressesOf: { parameters: ["userId"], samples: [Effect.succeed([userId])] }
}
