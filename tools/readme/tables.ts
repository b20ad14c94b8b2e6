/** The parts of README that are made from the source, so that they cannot drift from it. */
import { Duration, Redacted } from "effect"
import { sections } from "../../src/core/DatabaseConfig.ts"
import type { Settings } from "../../src/core/Setting.ts"
import { crateMap } from "./crateMap.ts"

type Setting = Settings[string]

const defaultOf = ({ fallback, unit }: Setting): string => {
  if (fallback === undefined) return "required"
  if (Redacted.isRedacted(fallback)) return "none"
  if (Duration.isDuration(fallback)) {
    return unit === "seconds" ? `${Duration.toSeconds(fallback)} s` : `${Duration.toMillis(fallback)} ms`
  }
  return String(fallback)
}

const titles: Record<keyof typeof sections, string> = {
  postgresql: "PostgreSQL",
  clickhouse: "ClickHouse",
  mongodb: "MongoDB",
  redis: "Redis",
  migrations: "Migrations",
  health: "Health checks",
  monitoring: "Monitoring"
}

const settingsTable = (settings: Settings): string =>
  [
    "| option | variable | default | what it does |",
    "| --- | --- | --- | --- |",
    ...Object.entries<Setting>(settings).map(
      ([option, setting]) =>
        `| \`${option}\` | \`${setting.variable}\` | ${defaultOf(setting)} | ${setting.does}; ${setting.expected} |`
    )
  ].join("\n")

const configuration = (): string =>
  Object.entries(sections)
    .map(([name, { settings }]) => `**${titles[name as keyof typeof titles]}**\n\n${settingsTable(settings)}`)
    .join("\n\n")

const crate = (): string =>
  [
    "| the Rust crate | here |",
    "| --- | --- |",
    ...crateMap.map(({ crate, here }) => `| \`${crate}\` | ${here} |`)
  ].join("\n")

/** The text between `<!-- made: NAME -->` and `<!-- end: NAME -->`, by name. */
export const made: Readonly<Record<string, () => string>> = { configuration, crate }

/** README with its made parts as the source has them now. */
export const withMadeParts = (readme: string): string =>
  Object.entries(made).reduce((text, [name, make]) => {
    const begin = `<!-- made: ${name} -->`
    const end = `<!-- end: ${name} -->`
    const from = text.indexOf(begin)
    const to = text.indexOf(end)
    if (from < 0 || to < from) throw new Error(`README lacks ${begin} … ${end}`)
    return `${text.slice(0, from + begin.length)}\n\n${make()}\n\n${text.slice(to)}`
  }, readme)
