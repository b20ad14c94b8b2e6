import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import type { TemplateCursor } from "../../../platform/notifications/NotificationTemplate.ts"
import { passTime, unique } from "../../Contract.ts"
import { failsWith, pages, refuses, untyped } from "../../Expectations.ts"
import { type Cases, failing, noTemplate } from "./fixtures.ts"

const created = Effect.gen(function* () {
  const key = yield* unique("template")
  return yield* (yield* Notifications).createTemplate({
    key,
    channel: "email",
    locale: "en",
    subject: "Hi {{name}}",
    body: "Dear {{name}}"
  })
})

const rendered = (body: string, variables: Record<string, string | number | boolean>, subject = "") =>
  Effect.gen(function* () {
    const notifications = yield* Notifications
    const key = yield* unique("template")
    yield* notifications.createTemplate({ key, channel: "email", locale: "en", subject, body })
    return yield* notifications.render({ key, channel: "email", variables })
  })

export const templates: Cases = {
  "a template is kept as it was given, at version 1": Effect.gen(function* () {
    const notifications = yield* Notifications
    const template = yield* created
    assert.deepEqual(
      [template.channel, template.locale, template.subject, template.body, template.version],
      ["email", "en", "Hi {{name}}", "Dear {{name}}", 1]
    )
    assert.deepEqual(template.createdAt, template.updatedAt)
    assert.deepEqual(yield* notifications.findTemplate(template.id), Option.some(template))
    assert.deepEqual(yield* notifications.findTemplate(noTemplate), Option.none())
  }),
  "there is one template for a key, a channel and a language": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { key } = yield* created
    const again = { key, channel: "email", locale: "en", body: "x" } as const
    const error = yield* failing(notifications.createTemplate(again), "TemplateExists")
    assert.deepEqual([error.key, error.channel, error.locale], [key, "email", "en"])
    yield* notifications.createTemplate({ ...again, locale: "en-GB" })
    const sms = yield* notifications.createTemplate({ ...again, channel: "sms" })
    assert.equal(sms.subject, "")
  }),
  "an edit of the version that was read counts, another one is told": Effect.gen(function* () {
    const notifications = yield* Notifications
    const template = yield* created
    yield* passTime("5 millis")
    const edited = yield* notifications.updateTemplate(template.id, 1, { body: "Bye {{name}}" })
    assert.deepEqual({ ...edited, updatedAt: template.updatedAt }, { ...template, body: "Bye {{name}}", version: 2 })
    assert.notDeepEqual(edited.updatedAt, template.updatedAt)
    assert.deepEqual(yield* notifications.findTemplate(template.id), Option.some(edited))
    const conflict = yield* failing(notifications.updateTemplate(template.id, 1, { body: "x" }), "VersionConflict")
    assert.deepEqual([conflict.expected, conflict.actual], [1, 2])
    yield* failsWith(notifications.updateTemplate(noTemplate, 1, { body: "x" }), "TemplateNotFound")
    const cleared = yield* notifications.updateTemplate(template.id, 2, { subject: "" })
    assert.deepEqual([cleared.subject, cleared.body, cleared.version], ["", "Bye {{name}}", 3])
  }),
  "a template is deleted at the version that was read": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { channel, id, key, locale } = yield* created
    yield* failsWith(notifications.deleteTemplate(id, 2), "VersionConflict")
    yield* notifications.deleteTemplate(id, 1)
    assert.deepEqual(yield* notifications.findTemplate(id), Option.none())
    yield* failsWith(notifications.deleteTemplate(id, 1), "TemplateNotFound")
    yield* notifications.createTemplate({ key, channel, locale, body: "again" })
  }),
  "templates are listed newest first, each once, by what they are for": Effect.gen(function* () {
    const notifications = yield* Notifications
    const key = yield* unique("template")
    const ids: Array<string> = []
    for (const locale of ["en", "de", "fr"]) {
      for (const channel of ["email", "sms"] as const) {
        ids.unshift((yield* notifications.createTemplate({ key, channel, locale, body: "x" })).id)
      }
    }
    const read = yield* pages((after: TemplateCursor | undefined) =>
      notifications.listTemplates({ key, limit: 4, after })
    )
    assert.deepEqual(
      read.map((page) => page.map(({ id }) => id)),
      [ids.slice(0, 4), ids.slice(4)]
    )
    const some = yield* notifications.listTemplates({ key, channel: "sms", locale: "de" })
    assert.deepEqual(
      some.items.map(({ channel, locale }) => [channel, locale]),
      [["sms", "de"]]
    )
    const streamed = yield* Stream.runCollect(notifications.streamTemplates({ key, pageSize: 2 }))
    assert.deepEqual(
      streamed.map(({ id }) => id),
      ids
    )
  }),
  "a text is found in the nearest language there is": Effect.gen(function* () {
    const notifications = yield* Notifications
    const key = yield* unique("template")
    for (const locale of ["en", "de", "de-CH", "zh-Hant"]) {
      yield* notifications.createTemplate({ key, channel: "sms", locale, body: locale })
    }
    const found: Array<string> = []
    for (const locale of ["de-AT", "de-CH", "de", "zh-Hant-TW", "zh", "fr-FR", "en-GB", undefined]) {
      const { body, locale: used } = yield* notifications.render({ key, channel: "sms", locale })
      assert.equal(body, used)
      found.push(used)
    }
    assert.deepEqual(found, ["de", "de-CH", "de", "zh-Hant", "en", "en", "en", "en"])
    const unknown = yield* failing(notifications.render({ key, channel: "push" }), "TemplateUnknown")
    assert.deepEqual([unknown.key, unknown.channel], [key, "push"])
    const onlyGerman = yield* unique("template")
    yield* notifications.createTemplate({ key: onlyGerman, channel: "sms", locale: "de", body: "Hallo" })
    yield* failsWith(notifications.render({ key: onlyGerman, channel: "sms", locale: "fr" }), "TemplateUnknown")
  }),
  "variables stand in the places of their names, as they are": Effect.gen(function* () {
    const { body, subject } = yield* rendered(
      "{{a}} {{ a }} {{b}} {{n}} {{yes}} {a} {{empty}}.",
      { a: "$& $1 <b>", b: "{{a}}", n: 1.5, yes: true, empty: "" },
      "{{a}}: {{n}}"
    )
    assert.equal(body, "$& $1 <b> $& $1 <b> {{a}} 1.5 true {a} .")
    assert.equal(subject, "$& $1 <b>: 1.5")
  }),
  "a variable that is missing is named": Effect.gen(function* () {
    const error = yield* failing(rendered("{{given}} {{first}} {{second}}", { given: "x" }), "TemplateVariableMissing")
    assert.deepEqual([error.variable, error.channel, error.locale], ["first", "email", "en"])
    for (const name of ["constructor", "toString", "__proto__"]) {
      const inherited = yield* failing(rendered(`{{${name}}}`, {}), "TemplateVariableMissing")
      assert.equal(inherited.variable, name)
    }
  }),
  "a subject stays on one line, whatever the variables hold": Effect.gen(function* () {
    const { body, subject } = yield* rendered("{{a}}", { a: "one\r\nBcc: everybody@example.com\n\ntwo" }, "Re: {{a}}")
    assert.equal(subject, "Re: one Bcc: everybody@example.com two")
    assert.equal(body, "one\r\nBcc: everybody@example.com\n\ntwo")
  }),
  "fields of templates that are none are refused, each named": Effect.gen(function* () {
    const notifications = yield* Notifications
    yield* refuses(
      notifications.createTemplate(untyped({ key: "A", channel: "fax", locale: "DE", subject: "{{", body: "" })),
      "Notifications.createTemplate",
      ["key", "channel", "locale", "subject", "body"]
    )
    const key = yield* unique("template")
    for (const body of ["{{ user name }}", "{{}}", "{{a-b}}", "{{1}}", "a {{b", "x\0"]) {
      yield* refuses(
        notifications.createTemplate({ key, channel: "sms", locale: "en", body }),
        "Notifications.createTemplate",
        ["body"]
      )
    }
    yield* refuses(notifications.updateTemplate(noTemplate, 0, {}), "Notifications.updateTemplate", [
      "expectedVersion",
      "changes"
    ])
    yield* refuses(notifications.deleteTemplate(untyped("x"), 1.5), "Notifications.deleteTemplate", [
      "id",
      "expectedVersion"
    ])
    yield* refuses(
      notifications.listTemplates({ key: "A", limit: 0, after: untyped("bm9uZQ") }),
      "Notifications.listTemplates",
      ["key", "limit", "after"]
    )
    yield* refuses(
      notifications.render({ key, channel: "sms", variables: untyped({ a: null }) }),
      "Notifications.render",
      ["variables.a"]
    )
  })
}
