/** The parts of README that are made from the source, so that they cannot drift from it. */
import type { Settings } from "../../src/core/Setting.ts"
import { crateMap } from "./crateMap.ts"
import { defaultText, type Setting, titledSections } from "./settings.ts"

const units = { seconds: " s", milliseconds: " ms", connections: "" } as const

const defaultOf = (setting: Setting): string => {
  const text = defaultText(setting)
  if (text === undefined) return "required"
  return text === "" ? "none" : `${text}${setting.unit === undefined ? "" : units[setting.unit]}`
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

const hasEffect = ({ does }: Setting): boolean => !does.toLowerCase().includes("accepted without effect")

const only = (settings: Settings, keep: (setting: Setting) => boolean): Settings =>
  Object.fromEntries(Object.entries<Setting>(settings).filter(([, setting]) => keep(setting)))

/** What works, by store; what is only accepted so far stands last. */
const configuration = (): string => {
  const working = titledSections.map(([title, settings]) => [title, only(settings, hasEffect)] as const)
  const waiting = Object.assign({}, ...titledSections.map(([, settings]) => only(settings, (one) => !hasEffect(one))))
  return [...working, ["Accepted, without effect yet", waiting] as const]
    .filter(([, settings]) => Object.keys(settings).length > 0)
    .map(([title, settings]) => `**${title}**\n\n${settingsTable(settings)}`)
    .join("\n\n")
}

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
