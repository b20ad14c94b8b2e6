import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"

type Element = string | number | { readonly [name: string]: Element }

const escaped = (text: string): string => text.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`)

const element = (name: string, value: Element): string =>
  `<${name}>${
    typeof value === "object"
      ? Object.entries(value)
          .map(([child, inner]) => element(child, inner))
          .join("")
      : escaped(String(value))
  }</${name}>`

/** Where the engine and its gate listen. */
export const host = "127.0.0.1"

/** A database that must be there before anybody enters, laid down as the server itself does it. */
const layDown = (directory: string, name: string): void => {
  const file = path.join(directory, "metadata", `${name}.sql`)
  if (fs.existsSync(file)) return
  const id = crypto.randomUUID()
  fs.mkdirSync(path.join(directory, "metadata"), { recursive: true })
  fs.mkdirSync(path.join(directory, "store", id.slice(0, 3), id), { recursive: true })
  fs.writeFileSync(file, `ATTACH DATABASE _ UUID '${id}'\nENGINE = Atomic\n`)
}

/**
 * Writes what the engine reads at its start, and returns the path of its configuration.
 *
 * It listens on loopback only, and lets in one user, by password. The user `default` is for the engine's own prompt, which
 * knows no password: ClickHouse asks the gate about it, and the gate lets in the first who comes.
 */
export const writeEngineFiles = (options: {
  /** Folder of this start alone. */
  readonly own: string
  /** Folder of the data, made if it is not there. */
  readonly data: string
  readonly port: number
  readonly gatePort: number
  readonly username: string
  readonly password: string
}): string => {
  const { data, own } = options
  for (const database of ["system", "default"]) layDown(data, database)
  const user = { profile: "default", quota: "default", access_management: 1 }
  const users = {
    profiles: {
      // What clickhouse-local changes, set back to what a server has.
      default: { implicit_select: 0, allow_introspection_functions: 0, storage_file_read_method: "pread" }
    },
    users: {
      default: {
        ...user,
        http_authentication: { server: "gate", scheme: "basic" },
        networks: { ip: host }
      },
      [options.username]: {
        ...user,
        password_sha256_hex: createHash("sha256").update(options.password).digest("hex"),
        networks: { ip: host }
      }
    },
    quotas: { default: {} }
  }
  fs.writeFileSync(path.join(own, "users.xml"), element("clickhouse", users), { mode: 0o600 })
  const config = {
    logger: { log: path.join(own, "server.log"), size: "100M", count: 1 },
    "log-level": "error",
    path: `${data}/`,
    default_database: "",
    database: "default",
    users_config: path.join(own, "users.xml"),
    listen_host: host,
    http_port: options.port,
    http_authentication_servers: { gate: { uri: `http://${host}:${options.gatePort}/` } },
    keep_alive_timeout: 30
  }
  const file = path.join(own, "config.xml")
  fs.writeFileSync(file, element("clickhouse", config))
  return file
}
