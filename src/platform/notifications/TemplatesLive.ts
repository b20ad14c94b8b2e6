import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion } from "../../core/Version.ts"
import { writeOrExplain } from "../../postgres/repository/Attempts.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import {
  bestTemplate,
  defaultLocale,
  NotificationTemplate,
  renderTemplate,
  type TemplateCursor,
  templateCursorAfter,
  TemplateExists,
  TemplateId,
  TemplateNotFound,
  TemplateUnknown
} from "./NotificationTemplate.ts"
import { lookupById } from "../tables/lookupById.ts"

const templateRows = rowReader(
  NotificationTemplate.mapFields((fields) => ({ ...fields, createdAt: Timestamp, updatedAt: Timestamp }))
)

type Service = Notifications["Service"]

/** Templates on PostgreSQL. */
export const makeTemplates = (client: PostgresClient["Service"], transaction: Transaction["Service"]) => {
  const { keyed, query, sql } = client
  const contained = makeContained(client, transaction)
  const nextId = makeIdsOf(TemplateId)
  const columns = sql`t.id, t.key, t.channel, t.locale, t.subject, t.body, t.version, t.created_at as "createdAt",
    t.updated_at as "updatedAt"`

  const createTemplate: Service["createTemplate"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.createTemplate"
    const { body, subject = "", ...place } = yield* NotificationsInput.createTemplate(given)
    const id = yield* nextId
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* contained(
      query(
        { operation, kind: "write" },
        keyed<object>`insert into ai_core.notification_templates as t
          (id, key, channel, locale, subject, body, created_at, updated_at)
          values (${id}, ${place.key}, ${place.channel}, ${place.locale}, ${subject}, ${body}, ${now}, ${now})
          returning ${columns}`
      )
    ).pipe(
      Effect.mapError(onConstraint({ notification_templates_key_channel_locale_key: () => new TemplateExists(place) }))
    )
    return yield* templateRows.one(operation, rows)
  })

  const byId = lookupById(client, {
    operation: "Notifications.findTemplate",
    id: sql`t.id`,
    select: (condition) =>
      keyed<{ readonly id: TemplateId }>`select ${columns} from ai_core.notification_templates as t where ${condition}`,
    rows: templateRows
  })

  const findTemplate: Service["findTemplate"] = (given) =>
    Effect.flatMap(NotificationsInput.template("findTemplate", given), ({ id }) => byId.find(id))

  /** The templates of a key, in every channel and language. */
  const templatesOf = Effect.fnUntraced(function* (operation: string, key: string) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${columns} from ai_core.notification_templates as t where t.key = ${key}`
    )
    return yield* templateRows.all(operation, rows)
  })

  /** Says why a write of a template at this version found nothing. */
  const explain = (operation: string, id: TemplateId, expectedVersion: number) =>
    Effect.flatMap(
      query(
        { operation, kind: "write" },
        keyed<{ readonly version: number }>`select version from ai_core.notification_templates
          where id = ${id} for update`
      ),
      ([found]) =>
        Effect.fromResult(
          expectVersion(id, expectedVersion, Option.fromUndefinedOr(found), () => new TemplateNotFound({ id }))
        )
    )

  const updateTemplate: Service["updateTemplate"] = Effect.fnUntraced(function* (givenId, givenVersion, given) {
    const operation = "Notifications.updateTemplate"
    const { changes, expectedVersion, id } = yield* NotificationsInput.updateTemplate(givenId, givenVersion, given)
    const { body = null, subject = null } = changes
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const write = query(
      { operation, kind: "write" },
      keyed<object>`update ai_core.notification_templates as t set
        subject = coalesce(${subject}::text, t.subject), body = coalesce(${body}::text, t.body),
        version = t.version + 1, updated_at = greatest(t.updated_at, ${now})
        where t.id = ${id}::uuid and t.version = ${expectedVersion}::int returning ${columns}`
    )
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => templateRows.option(operation, rows)),
      explain(operation, id, expectedVersion)
    )
  })

  const deleteTemplate: Service["deleteTemplate"] = Effect.fnUntraced(function* (givenId, givenVersion) {
    const operation = "Notifications.deleteTemplate"
    const { expectedVersion, id } = yield* NotificationsInput.deleteTemplate(givenId, givenVersion)
    const write = query(
      { operation, kind: "write" },
      keyed<object>`delete from ai_core.notification_templates
        where id = ${id}::uuid and version = ${expectedVersion}::int returning id`
    )
    yield* writeOrExplain(
      operation,
      transaction,
      Effect.map(write, ([row]) => Option.fromUndefinedOr(row)),
      explain(operation, id, expectedVersion)
    )
  })

  const listTemplates: Service["listTemplates"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notifications.listTemplates", kind: "read" } as const
    const { after, channel, key, limit = defaultPageSize, locale } = yield* NotificationsInput.listTemplates(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const conditions = [
      page.behind,
      ...(channel === undefined ? [] : [sql`t.channel = ${channel}`]),
      ...(key === undefined ? [] : [sql`t.key = ${key}`]),
      ...(locale === undefined ? [] : [sql`t.locale = ${locale}`])
    ]
    const rows = yield* query(
      call,
      sql<object>`select ${columns} from ai_core.notification_templates as t
        where ${sql.and(conditions)} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* templateRows.all(call, rows), limit, templateCursorAfter)
  })

  const render: Service["render"] = Effect.fnUntraced(function* (given) {
    const { channel, key, locale = defaultLocale, variables = {} } = yield* NotificationsInput.render(given)
    const template = bestTemplate(yield* templatesOf("Notifications.render", key), channel, locale)
    if (template === undefined) return yield* new TemplateUnknown({ key, channel })
    return yield* Effect.fromResult(renderTemplate(template, variables))
  })

  const service = {
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

  return { service, templatesOf }
}
