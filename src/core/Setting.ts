import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Credential } from "./Credential.ts"

/**
 * One setting: where it is read, what it is where nothing is said, and how it is checked.
 *
 * `A` is the setting's value, `I` what a program may write for it.
 */
export interface Setting<A, I = A> {
  /** Environment variable. */
  readonly variable: string
  /** Undefined where the setting must be given. */
  readonly fallback: A | undefined
  readonly unit: "seconds" | "milliseconds" | "connections" | undefined
  /** End of the sentence "DB_MAX_CONNECTIONS must be …". */
  readonly expected: string
  /** What the setting does to the driver, or why it is accepted without effect. */
  readonly does: string
  /** Secrets are never printed. */
  readonly secret: boolean
  /** Reads the text of the variable; undefined where it is wrong. */
  readonly parse: (text: string) => A | undefined
  /** Checks what a program wrote; undefined where it is wrong. */
  readonly check: (input: I) => A | undefined
}

/** A wrong or missing setting, told without its value. */
export const SettingProblem = Schema.Struct({
  /** Environment variable. */
  variable: Schema.String,
  /** What a program writes for it. */
  option: Schema.String,
  problem: Schema.String,
  fix: Schema.String
})
export type SettingProblem = typeof SettingProblem.Type

/** The configuration is not usable; every wrong or missing setting is listed. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>("@ai-core/database/ConfigInvalid")(
  "ConfigInvalid",
  { problems: Schema.Array(SettingProblem) }
) {
  override get message(): string {
    const lines = this.problems.map(
      ({ fix, option, problem, variable }) => `  ${variable} (${option}) ${problem}. ${fix}`
    )
    return [`${lines.length === 1 ? "A setting is" : `${lines.length} settings are`} wrong or missing:`, ...lines].join(
      "\n"
    )
  }
}

/** A setting that must be given. */
export interface RequiredSetting<A, I = A> extends Setting<A, I> {
  readonly fallback: undefined
}

interface Told {
  readonly does: string
}

const wholeNumber = (text: string): number | undefined => (/^-?\d+$/.test(text.trim()) ? Number(text) : undefined)

const notBlank = (s: string): string | undefined => (s.trim() === "" ? undefined : s)

/** A whole number of at least `min`. */
export const count = (
  variable: string,
  fallback: number,
  options: Told & { readonly min: number; readonly unit?: "connections" | undefined }
): Setting<number> => {
  const check = (n: number) => (Number.isSafeInteger(n) && n >= options.min ? n : undefined)
  return {
    variable,
    fallback,
    unit: options.unit,
    expected: `a whole number, ${options.min} or more`,
    does: options.does,
    secret: false,
    check,
    parse: (text) => {
      const n = wholeNumber(text)
      return n === undefined ? undefined : check(n)
    }
  }
}

/** What a timer of Node holds, and a timeout of PostgreSQL or MongoDB; milliseconds. */
export const longestTimer = 2_147_483_647

/**
 * A length of time; the variable holds a number of `unit`s. `zero` says what 0 means, where it is allowed; `most` bounds it, in
 * milliseconds.
 */
export const time = (
  variable: string,
  unit: "seconds" | "milliseconds",
  fallback: number,
  options: Told & { readonly zero?: string | undefined; readonly most?: number | undefined }
): Setting<Duration.Duration, Duration.Input> => {
  const of = unit === "seconds" ? Duration.seconds : Duration.millis
  const longest =
    options.most === undefined ? "" : `, ${unit === "seconds" ? options.most / 1000 : options.most} at most`
  const allowed = (d: Duration.Duration): Duration.Duration | undefined => {
    const millis = Duration.toMillis(d)
    if (millis > (options.most ?? Number.MAX_VALUE)) return undefined
    return millis > 0 || (millis === 0 && options.zero !== undefined) ? d : undefined
  }
  return {
    variable,
    fallback: of(fallback),
    unit,
    expected: `a number of ${unit} ${options.zero === undefined ? "above 0" : `from 0 (${options.zero})`}${longest}`,
    does: options.does,
    secret: false,
    parse: (text) => (/^\d+(\.\d+)?$/.test(text.trim()) ? allowed(of(Number(text))) : undefined),
    check: (input) => {
      const parsed = Duration.fromInput(input)
      return parsed._tag === "Some" ? allowed(parsed.value) : undefined
    }
  }
}

/** On or off; `true`, `yes`, `on`, `1` and their opposites. */
export const flag = (variable: string, fallback: boolean, options: Told): Setting<boolean> => ({
  variable,
  fallback,
  unit: undefined,
  expected: "true or false",
  does: options.does,
  secret: false,
  check: (b) => b,
  parse: (text) => {
    const word = text.trim().toLowerCase()
    if (["true", "yes", "on", "1"].includes(word)) return true
    if (["false", "no", "off", "0"].includes(word)) return false
    return undefined
  }
})

/** One of these words. */
export const choice = <const W extends string>(
  variable: string,
  words: ReadonlyArray<W>,
  fallback: NoInfer<W>,
  options: Told
): Setting<W> => {
  const known = (word: string): W | undefined => words.find((one) => one === word)
  return {
    variable,
    fallback,
    unit: undefined,
    expected: `one of ${words.join(", ")}`,
    does: options.does,
    secret: false,
    check: known,
    parse: (s) => known(s.trim().toLowerCase())
  }
}

/** A name that is not empty. */
export const text = (variable: string, fallback: string, options: Told): Setting<string> => ({
  variable,
  fallback,
  unit: undefined,
  expected: "a name",
  does: options.does,
  secret: false,
  check: notBlank,
  parse: notBlank
})

/** A password; empty means none. */
export const password = (variable: string, options: Told): Setting<Credential> => ({
  variable,
  fallback: Redacted.make(""),
  unit: undefined,
  expected: "a password",
  does: options.does,
  secret: true,
  check: (credential) => credential,
  parse: (s) => Redacted.make(s)
})

/** A URL of one of these schemes, kept secret because it may hold a password. */
export const url = (
  variable: string,
  schemes: ReadonlyArray<string>,
  example: string,
  options: Told
): RequiredSetting<Credential> => {
  const starts = (s: string) => schemes.some((scheme) => s.startsWith(`${scheme}://`) && s.length > scheme.length + 3)
  return {
    variable,
    fallback: undefined,
    unit: undefined,
    expected: `a URL such as ${example}`,
    does: options.does,
    secret: true,
    parse: (s) => (starts(s) ? Redacted.make(s) : undefined),
    check: (credential) =>
      Redacted.isRedacted(credential) && !starts(String(Redacted.value(credential))) ? undefined : credential
  }
}

/** A URL that may be left out: empty means none. */
export const optionalUrl = (
  variable: string,
  schemes: ReadonlyArray<string>,
  example: string,
  options: Told
): Setting<Credential> => {
  const required = url(variable, schemes, example, options)
  const isNone = (credential: Credential) =>
    Redacted.isRedacted(credential) && String(Redacted.value(credential)) === ""
  return {
    ...required,
    fallback: Redacted.make(""),
    expected: `${required.expected}, or nothing`,
    check: (credential) => (isNone(credential) ? credential : required.check(credential))
  }
}

// The widest setting: what a section holds, whatever its values are.
// eslint-disable-next-line typescript/no-explicit-any
type AnySetting = Setting<any, any>

/** The settings of one part of the configuration. */
export type Settings = Record<string, AnySetting>

/** The values of a section: every setting present. */
export type Values<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer A, infer _I> ? A : never
}

type Input<S> = S extends Setting<infer _A, infer I> ? I : never

/** What a program writes for a section: what must be given, and what it wants otherwise than the defaults. */
export type Options<S extends Settings> = {
  readonly [K in keyof S as S[K] extends RequiredSetting<infer _A, infer _I> ? K : never]: Input<S[K]>
} & {
  readonly [K in keyof S as S[K] extends RequiredSetting<infer _A, infer _I> ? never : K]?: Input<S[K]> | undefined
}

/** Other defaults for a section. */
export type Preset<S extends Settings> = { readonly [K in keyof S]?: Input<S[K]> | undefined }

const problem = (option: string, setting: AnySetting, found: "missing" | "wrong"): SettingProblem => ({
  variable: setting.variable,
  option,
  problem: found === "missing" ? "is missing" : `must be ${setting.expected}`,
  fix: found === "missing" ? `Set it to ${setting.expected}` : `What it sets: ${setting.does}`
})

/** One part of the configuration, and the two ways to fill it. */
export interface Section<S extends Settings> {
  readonly settings: S
  /** Checks what a program wrote and fills in the defaults. */
  readonly make: (options: Options<S>) => Effect.Effect<Values<S>, ConfigInvalid>
  /** Reads the variables through Effect's Config; `preset` takes the place of the defaults. */
  readonly fromEnvironment: (preset?: Preset<S>) => Effect.Effect<Values<S>, ConfigInvalid>
}

/** Makes a section; `check` looks at its settings together, of which those that are wrong by themselves are left out. */
export const section = <S extends Settings>(
  settings: S,
  check: (values: Partial<Values<S>>) => ReadonlyArray<SettingProblem> = () => []
): Section<S> => {
  const collect = (
    valueOf: (key: keyof S & string, setting: AnySetting) => unknown,
    given: (key: keyof S & string) => boolean
  ): Effect.Effect<Values<S>, ConfigInvalid> => {
    const found: Record<string, unknown> = {}
    const problems: Array<SettingProblem> = []
    for (const [key, setting] of Object.entries(settings)) {
      const value = valueOf(key, setting)
      if (value === undefined) problems.push(problem(key, setting, given(key) ? "wrong" : "missing"))
      else found[key] = value
    }
    const values = found as Values<S>
    problems.push(...check(values))
    return problems.length === 0 ? Effect.succeed(values) : Effect.fail(new ConfigInvalid({ problems }))
  }
  const written = (options: Preset<S>) => (key: keyof S & string, setting: AnySetting) =>
    options[key] === undefined ? setting.fallback : setting.check(options[key])

  return {
    settings,
    make: (options: Preset<S>) => Effect.suspend(() => collect(written(options), (key) => options[key] !== undefined)),
    fromEnvironment: (preset = {}) =>
      Effect.gen(function* () {
        const provider = yield* ConfigProvider.ConfigProvider
        const texts = new Map<string, string>()
        for (const [key, setting] of Object.entries(settings)) {
          const text = yield* Effect.option(Config.NonEmptyString(setting.variable).parse(provider))
          if (text._tag === "Some") texts.set(key, text.value)
        }
        return yield* collect(
          (key, setting) => {
            const text = texts.get(key)
            return text === undefined ? written(preset)(key, setting) : setting.parse(text)
          },
          (key) => texts.has(key)
        )
      })
  }
}
