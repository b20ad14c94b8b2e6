import { Effect } from "effect"
import { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import { TemplateCursor, type TemplateId } from "../../../../src/platform/notifications/NotificationTemplate.ts"
import { noTemplate } from "../../../../src/testing/contracts/notifications/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, nothing, slug, time } from "../samples.ts"

const filter = { key: "nothing", channel: "email", locale: "en" } as const
const after = TemplateCursor.make(
  cursorText("notification-templates", { createdAt: time.epochMilliseconds, id: nothing })
)

const newTemplate = Effect.map(slug("template"), (key) => ({
  key,
  channel: "email" as const,
  locale: "en",
  subject: "Hello",
  body: "Hello {{name}}"
}))

const some = Effect.gen(function* () {
  return yield* (yield* Notifications).createTemplate(yield* newTemplate)
})

const stored = ({ id }: { readonly id: TemplateId }) =>
  Effect.flatMap(Notifications, ({ findTemplate }) => findTemplate(id))

type Templates = Pick<
  Notifications["Service"],
  | "createTemplate"
  | "findTemplate"
  | "updateTemplate"
  | "deleteTemplate"
  | "listTemplates"
  | "streamTemplates"
  | "render"
>

export const templates: Attempts<Templates, Notifications> = {
  createTemplate: { parameters: [""], samples: [Effect.map(newTemplate, (template) => [template])], keeps: stored },
  findTemplate: { parameters: ["id"], samples: [Effect.succeed([noTemplate])] },
  updateTemplate: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [Effect.map(some, ({ id, version }) => [id, version, { subject: "Hi", body: "Hi" }])],
    keeps: stored
  },
  deleteTemplate: {
    parameters: ["id", "expectedVersion"],
    samples: [Effect.map(some, ({ id, version }) => [id, version])]
  },
  listTemplates: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  streamTemplates: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  render: {
    parameters: [""],
    samples: [Effect.map(some, ({ channel, key, locale }) => [{ key, channel, locale, variables: { name: "Alice" } }])],
    keeps: ({ body }) => Effect.succeed(body.slice("Hello ".length)),
    // A variable that no text names is left out.
    passing: ["variables"]
  }
}
