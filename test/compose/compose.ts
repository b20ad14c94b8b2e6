import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"

const Service = Schema.Struct({
  image: Schema.String,
  environment: Schema.Record(Schema.String, Schema.String),
  command: Schema.optionalKey(Schema.Array(Schema.String)),
  ports: Schema.Array(Schema.String),
  volumes: Schema.Array(Schema.String),
  healthcheck: Schema.Struct({ test: Schema.Array(Schema.String) })
})

/** What the tests read of a compose file. */
const Compose = Schema.Struct({
  services: Schema.Struct({ postgres: Service, clickhouse: Service, mongodb: Service, redis: Service }),
  volumes: Schema.Record(Schema.String, Schema.Unknown)
})

const file = new URL("../../docker-compose.yml", import.meta.url)

/** The parsed docker-compose.yml, as YAML has it. */
export const readCompose = (): unknown => parse(readFileSync(file, "utf8"))

export const decodeCompose = Schema.decodeUnknownSync(Compose)
