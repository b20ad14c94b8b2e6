import type { Settings } from "../../src/core/Setting.ts"
import { defaultText, type Setting, titledSections } from "../../tools/readme/settings.ts"

/** What .env.example says otherwise than the default: the servers of docker-compose.yml. */
const composeServers: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgresql://ai_core:ai_core_dev@127.0.0.1:5432/ai_core",
  CLICKHOUSE_URL: "http://127.0.0.1:8123",
  CLICKHOUSE_USER: "ai_core",
  CLICKHOUSE_PASSWORD: "ai_core_dev",
  MONGODB_URL: "mongodb://ai_core:ai_core_dev@127.0.0.1:27017/?authSource=admin&directConnection=true",
  REDIS_URL: "redis://default:ai_core_dev@127.0.0.1:6379/0"
}

const defaultSaid = (setting: Setting): string => {
  const text = defaultText(setting)
  if (text === undefined) return "Required."
  if (text === "") return "Default: none."
  const unit = setting.unit === undefined ? "" : ` ${setting.unit}`
  return `Default: ${text}${unit}.`
}

const entry = (setting: Setting): string => {
  const value = composeServers[setting.variable] ?? defaultText(setting) ?? ""
  return `# ${setting.does}. ${defaultSaid(setting)}\n${setting.variable}=${value}`
}

const head = `# Every setting, with its default, for the servers of docker-compose.yml. Copy it to .env to change something.
# A variable that is not set has its default; one of the environment wins over this file.
# Made from src/core/DatabaseConfig.ts: npx vitest run test/compose -u
`

const part = (name: string, settings: Settings): string =>
  [`# ---- ${name}\n`, ...Object.values<Setting>(settings).map((setting) => `${entry(setting)}\n`)].join("\n")

/** The text of .env.example. */
export const envExample = (): string =>
  [head, ...titledSections.map(([title, settings]) => part(title, settings))].join("\n")
