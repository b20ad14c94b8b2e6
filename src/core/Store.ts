import * as Schema from "effect/Schema"

/** The four stores, named as OpenTelemetry names them in `db.system.name`. */
export const Store = Schema.Literals(["postgresql", "clickhouse", "mongodb", "redis"])
export type Store = typeof Store.Type

/** How a store is written where a person reads it. */
export const displayName: Record<Store, string> = {
  postgresql: "PostgreSQL",
  clickhouse: "ClickHouse",
  mongodb: "MongoDB",
  redis: "Redis"
}
