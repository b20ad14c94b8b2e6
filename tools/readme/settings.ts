/** How settings are written where people read them: README and .env.example. */
import { Duration, Redacted } from "effect"
import { sections } from "../../src/core/DatabaseConfig.ts"
import type { Settings } from "../../src/core/Setting.ts"

export type Setting = Settings[string]

/** The sections with their titles, in order. */
export const titledSections: ReadonlyArray<readonly [title: string, settings: Settings]> = [
  ["PostgreSQL", sections.postgresql.settings],
  ["ClickHouse", sections.clickhouse.settings],
  ["MongoDB", sections.mongodb.settings],
  ["Redis", sections.redis.settings],
  ["Migrations", sections.migrations.settings],
  ["Health checks", sections.health.settings],
  ["Monitoring", sections.monitoring.settings]
]

/** A default as the variable would hold it: undefined where there is none, empty for "no password". */
export const defaultText = ({ fallback, unit }: Setting): string | undefined => {
  if (fallback === undefined) return undefined
  if (Redacted.isRedacted(fallback)) return ""
  if (Duration.isDuration(fallback)) {
    return String(unit === "seconds" ? Duration.toSeconds(fallback) : Duration.toMillis(fallback))
  }
  return String(fallback)
}
