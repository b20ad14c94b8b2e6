import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { Slug, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { Channel } from "./Channel.ts"

/** A template's id: a UUIDv7 in lower case. */
export const TemplateId = TimeOrderedId.pipe(Schema.brand("TemplateId"))
export type TemplateId = typeof TemplateId.Type

/** A language, and where it matters a script and a region: `de`, `de-AT`, `zh-Hant-TW`. */
export const Locale = Schema.String.check(
  Schema.isPattern(/^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$/, {
    expected: "a language tag such as de or de-AT"
  })
)

/** The language of those who have not chosen one, and of texts that there are in no other. */
export const defaultLocale = "en"

/** The languages to look for a text in, the best first: `de-AT`, `de`, `en`. */
export const localesFor = (locale: string): ReadonlyArray<string> => {
  const parts = locale.split("-")
  const known = parts.map((_, i) => parts.slice(0, parts.length - i).join("-"))
  return known.includes(defaultLocale) ? known : [...known, defaultLocale]
}

const placeholder = /\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}/g

const wellPlaced = Schema.makeFilter((text: string) => !text.replace(placeholder, "").includes("{{"), {
  expected: "text in which every {{ begins a placeholder such as {{name}}"
})

/** The values of placeholders; numbers and booleans are written as JavaScript writes them. */
export const Variables = Schema.Record(
  Schema.String,
  Schema.Union([textOf(0, 100_000), Schema.Finite, Schema.Boolean])
).check(
  Schema.makeFilter((variables: object) => Object.keys(variables).length <= 200, { expected: "at most 200 variables" })
)
export type Variables = typeof Variables.Type

/**
 * Puts the variables in the places of their names; fails with the first name that has no value.
 *
 * Plain text into plain text: what a channel gives a meaning (HTML, Markdown) is escaped by whoever sends it, and a value that
 * looks like a placeholder is left as it is.
 */
export const fill = (text: string, variables: Variables): Result.Result<string, string> => {
  let missing: string | undefined
  const filled = text.replace(placeholder, (_, name: string) => {
    if (Object.hasOwn(variables, name)) return String(variables[name])
    missing ??= name
    return ""
  })
  return missing === undefined ? Result.succeed(filled) : Result.fail(missing)
}

/** A text by key, channel and language. */
export const NotificationTemplate = Schema.Struct({
  id: TemplateId,
  /** What it says, in whatever channel and language: `invoice.paid`. */
  key: Schema.String,
  channel: Channel,
  locale: Schema.String,
  subject: Schema.String,
  body: Schema.String,
  /** 1 when made, one more with every edit. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type NotificationTemplate = typeof NotificationTemplate.Type

/** What is told once the variables are in. */
export interface Rendered {
  /** On one line, whatever the variables hold: a mail's headers end at the end of a line. */
  readonly subject: string
  readonly body: string
  /** The language of the template that was found. */
  readonly locale: string
}

type Texts = Pick<NotificationTemplate, "key" | "channel" | "locale" | "subject" | "body">

/** Renders a template. Fails with `TemplateVariableMissing`, which names the variable. */
export const renderTemplate = (
  { body, channel, key, locale, subject }: Texts,
  variables: Variables
): Result.Result<Rendered, TemplateVariableMissing> =>
  Result.mapError(
    Result.gen(function* () {
      const filled = yield* fill(subject, variables)
      return { subject: filled.replace(/\s*[\r\n\u2028\u2029]+\s*/g, " "), body: yield* fill(body, variables), locale }
    }),
    (variable) => new TemplateVariableMissing({ template: key, channel, locale, variable })
  )

/** The best of a key's templates for a channel and a language, if there is one. */
export const bestTemplate = <One extends Pick<Texts, "channel" | "locale">>(
  templates: ReadonlyArray<One>,
  channel: Channel,
  locale: string
): One | undefined => {
  for (const wanted of localesFor(locale)) {
    const found = templates.find((template) => template.channel === channel && template.locale === wanted)
    if (found !== undefined) return found
  }
  return undefined
}

const Subject = textOf(0, 500).check(wellPlaced)
const Body = textOf(1, 100_000).check(wellPlaced)

/** What a new template is made of. */
export const NewTemplate = Schema.Struct({
  key: Slug,
  channel: Channel,
  locale: Locale,
  /** Empty where nothing is said. */
  subject: Schema.optionalKey(Subject),
  body: Body
})
export type NewTemplate = typeof NewTemplate.Type

/** What an edit changes: at least one field; what is left out stays as it is. */
export const TemplateChanges = Schema.Struct({
  subject: Schema.optionalKey(Subject),
  body: Schema.optionalKey(Body)
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type TemplateChanges = typeof TemplateChanges.Type

/** Which template is meant, and in which language it is wanted. */
export const TemplateChoice = Schema.Struct({
  key: Slug,
  channel: Channel,
  /** `en` where nothing is said. */
  locale: Schema.optional(Locale)
})
export type TemplateChoice = typeof TemplateChoice.Type

/** A template, and what is put into it. */
export const TemplatePreview = Schema.Struct({ ...TemplateChoice.fields, variables: Schema.optional(Variables) })
export type TemplatePreview = typeof TemplatePreview.Type

/** Continues a list of templates. */
export const TemplateCursor = Schema.String.pipe(Schema.brand("TemplateCursor"))
export type TemplateCursor = typeof TemplateCursor.Type

export const templateCursor = cursor(
  "notification-templates",
  TemplateCursor,
  Schema.Struct({ createdAt: MomentFromMillis, id: TemplateId })
)
export const templateCursorAfter = ({ createdAt, id }: NotificationTemplate): TemplateCursor =>
  templateCursor.after({ createdAt, id })

/** Which templates a page lists. */
export const TemplateList = Schema.Struct({
  key: Schema.optional(Slug),
  channel: Schema.optional(Channel),
  locale: Schema.optional(Locale),
  limit: Schema.optional(PageSize),
  after: Schema.optional(templateCursor.key)
})
export interface TemplateFilter {
  readonly key?: string | undefined
  readonly channel?: Channel | undefined
  readonly locale?: string | undefined
}
export interface TemplateListOptions extends TemplateFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: TemplateCursor | undefined
}

/** There is no template with this id. */
export class TemplateNotFound extends Schema.TaggedError<TemplateNotFound>("@ai-core/database/TemplateNotFound")(
  "TemplateNotFound",
  { id: TemplateId }
) {
  override get message(): string {
    return `there is no notification template ${this.id}`
  }
}

/** There is another template with this key, channel and language. */
export class TemplateExists extends Schema.TaggedError<TemplateExists>("@ai-core/database/TemplateExists")(
  "TemplateExists",
  { key: Schema.String, channel: Channel, locale: Schema.String }
) {
  override get message(): string {
    return `there is a template ${this.key} for ${this.channel} in ${this.locale} already`
  }
}

/** There is no template with this key: none at all, or none for the channel that was asked for in a language that would do. */
export class TemplateUnknown extends Schema.TaggedError<TemplateUnknown>("@ai-core/database/TemplateUnknown")(
  "TemplateUnknown",
  { key: Schema.String, channel: Schema.NullOr(Channel) }
) {
  override get message(): string {
    return `there is no template ${this.key}${this.channel === null ? "" : ` for ${this.channel}`}`
  }
}

/** A template names a variable that was not given; nothing was stored. */
export class TemplateVariableMissing extends Schema.TaggedError<TemplateVariableMissing>(
  "@ai-core/database/TemplateVariableMissing"
)("TemplateVariableMissing", {
  template: Schema.String,
  channel: Channel,
  locale: Schema.String,
  variable: Schema.String
}) {
  override get message(): string {
    return `template ${this.template} for ${this.channel} in ${this.locale} wants the variable ${this.variable}`
  }
}
