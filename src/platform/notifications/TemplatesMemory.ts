import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import { templatesTable } from "./NotificationTables.ts"
import {
  bestTemplate,
  defaultLocale,
  type NotificationTemplate,
  renderTemplate,
  type TemplateCursor,
  templateCursorAfter,
  TemplateExists,
  TemplateId,
  TemplateNotFound,
  TemplateUnknown
} from "./NotificationTemplate.ts"

type Place = Pick<NotificationTemplate, "createdAt" | "id">

const newestFirst: Order.Order<Place> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
    Order.mapInput(Order.String, ({ id }: Place) => id)
  )
)

type Service = Notifications["Service"]

/** Templates in memory. */
export const makeTemplates = ({ read, write }: PostgresMemory["Service"]) => {
  const nextId = makeIdsOf(TemplateId)

  const createTemplate: Service["createTemplate"] = Effect.fnUntraced(function* (given) {
    const { subject = "", ...fields } = yield* NotificationsInput.createTemplate(given)
    const now = yield* DateTime.now
    const template: NotificationTemplate = {
      id: yield* nextId,
      ...fields,
      subject,
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    return yield* write("Notifications.createTemplate", (db) =>
      Result.map(db.insert(templatesTable, template), () => template)
    ).pipe(
      Effect.mapError(
        onConstraint({
          notification_templates_key_channel_locale_key: () =>
            new TemplateExists(Struct.pick(fields, ["key", "channel", "locale"]))
        })
      )
    )
  })

  const findTemplate: Service["findTemplate"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotificationsInput.template("findTemplate", given)
    return yield* read("Notifications.findTemplate", (db) => db.get(templatesTable, id))
  })

  const atVersion = (db: MemoryReader, id: TemplateId, expected: number) =>
    Result.flatMap(
      Result.fromOption(db.get(templatesTable, id), () => new TemplateNotFound({ id })),
      (template): Result.Result<NotificationTemplate, VersionConflict> =>
        template.version === expected
          ? Result.succeed(template)
          : Result.fail(new VersionConflict({ id, expected, actual: template.version }))
    )

  const updateTemplate: Service["updateTemplate"] = Effect.fnUntraced(function* (givenId, givenVersion, given) {
    const { changes, expectedVersion, id } = yield* NotificationsInput.updateTemplate(givenId, givenVersion, given)
    const now = yield* DateTime.now
    return yield* write("Notifications.updateTemplate", (db) =>
      Result.gen(function* () {
        const template = yield* atVersion(db, id, expectedVersion)
        const changed = {
          ...template,
          ...changes,
          version: template.version + 1,
          updatedAt: DateTime.max(template.updatedAt, now)
        }
        yield* db.replace(templatesTable, changed)
        return changed
      })
    )
  })

  const deleteTemplate: Service["deleteTemplate"] = Effect.fnUntraced(function* (givenId, givenVersion) {
    const { expectedVersion, id } = yield* NotificationsInput.deleteTemplate(givenId, givenVersion)
    return yield* write("Notifications.deleteTemplate", (db) =>
      Result.gen(function* () {
        yield* atVersion(db, id, expectedVersion)
        yield* db.remove(templatesTable, id)
      })
    )
  })

  const listTemplates: Service["listTemplates"] = Effect.fnUntraced(function* (given) {
    const { after, channel, key, limit = defaultPageSize, locale } = yield* NotificationsInput.listTemplates(given)
    return yield* read("Notifications.listTemplates", (db) => {
      const found = db
        .rows(
          templatesTable,
          (template) =>
            (key === undefined || template.key === key) &&
            (channel === undefined || template.channel === channel) &&
            (locale === undefined || template.locale === locale)
        )
        .sort(newestFirst)
      return pageOfSorted(found, newestFirst, after, limit, templateCursorAfter)
    })
  })

  const render: Service["render"] = Effect.fnUntraced(function* (given) {
    const { channel, key, locale = defaultLocale, variables = {} } = yield* NotificationsInput.render(given)
    const templates = yield* read("Notifications.render", (db) =>
      db.rows(templatesTable, (template) => template.key === key)
    )
    const template = Option.fromUndefinedOr(bestTemplate(templates, channel, locale))
    if (Option.isNone(template)) return yield* new TemplateUnknown({ key, channel })
    return yield* Effect.fromResult(renderTemplate(template.value, variables))
  })

  return {
    createTemplate,
    findTemplate,
    updateTemplate,
    deleteTemplate,
    listTemplates,
    streamTemplates: ({ pageSize, ...filter } = {}) =>
      streamOf<NotificationTemplate, TemplateCursor>("streamTemplates", pageSize, (page) =>
        listTemplates({ ...filter, ...page })
      ),
    render
  } satisfies Partial<Service>
}
