import { execFileSync } from "node:child_process"
import { accessSync, chownSync, constants, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import type { Store } from "../../src/core/Store.ts"

export interface User {
  readonly uid: number
  readonly gid: number
}

/** How a server is run by its binary. */
export interface Recipe {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly url: string
  readonly user?: User | undefined
  readonly endSignal?: NodeJS.Signals | undefined
  /** Done once, after the first start. */
  readonly afterStart?: (() => Promise<void>) | undefined
}

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const onPath = (name: string): string | undefined =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable)

/** Folders in which distributions put PostgreSQL without adding them to PATH; the newest version first. */
const postgresFolders = (): ReadonlyArray<string> =>
  ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"].flatMap((root) =>
    !existsSync(root)
      ? []
      : readdirSync(root)
          .filter((name) => /^(postgresql@?)?\d*$/.test(name))
          .sort((a, b) => Number(b.replace(/\D/g, "")) - Number(a.replace(/\D/g, "")))
          .map((name) => join(root, name, "bin"))
  )

const postgresBinary = (name: "postgres" | "initdb"): string | undefined =>
  onPath(name) ??
  postgresFolders()
    .map((folder) => join(folder, name))
    .find(isExecutable)

/** PostgreSQL and PgBouncer refuse to run as root: then they run as `postgres`, or as `nobody`. */
export const unprivileged = (): User | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync("/etc/passwd", "utf8").split("\n")
  const line = lines.find((l) => l.startsWith("postgres:")) ?? lines.find((l) => l.startsWith("nobody:"))
  const [, , uid = "65534", gid = "65534"] = (line ?? "").split(":")
  return { uid: Number(uid), gid: Number(gid) }
}

const postgres = (folder: string, port: number): Recipe => {
  const user = unprivileged()
  const data = join(folder, "data")
  if (!existsSync(data)) {
    mkdirSync(data, { mode: 0o700 })
    if (user !== undefined) chownSync(data, user.uid, user.gid)
    execFileSync(
      postgresBinary("initdb")!,
      ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
      { stdio: "pipe", cwd: folder, ...user }
    )
  }
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 200,
    max_prepared_transactions: 20,
    fsync: "off",
    full_page_writes: "off",
    wal_level: "logical"
  }
  return {
    command: postgresBinary("postgres")!,
    args: ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    user,
    endSignal: "SIGINT"
  }
}

const redis = (folder: string, port: number): Recipe => ({
  command: onPath("redis-server")!,
  args: ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"],
  url: `redis://127.0.0.1:${port}`
})

const mongod = (folder: string, port: number): Recipe => ({
  command: onPath("mongod")!,
  args: ["--port", String(port), "--bind_ip", "127.0.0.1", "--dbpath", folder, "--replSet", "rs0"],
  url: `mongodb://127.0.0.1:${port}/?replicaSet=rs0`,
  afterStart: async () => {
    const { MongoClient } = await import("mongodb")
    const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`)
    try {
      await client
        .db("admin")
        .command({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: `127.0.0.1:${port}` }] } })
    } finally {
      await client.close()
    }
  }
})

const clickhouseBinary = (): string | undefined => onPath("clickhouse") ?? onPath("clickhouse-server")

const clickhouse = (folder: string, port: number): Recipe => {
  const command = clickhouseBinary()!
  return {
    command,
    args: [
      ...(command.endsWith("-server") ? [] : ["server"]),
      "--",
      `--path=${folder}/`,
      `--http_port=${port}`,
      "--listen_host=127.0.0.1",
      "--mysql_port=0",
      "--postgresql_port=0",
      "--interserver_http_port=0",
      "--tcp_port=0",
      "--logger.console=1"
    ],
    url: `http://127.0.0.1:${port}`
  }
}

/** The recipe for a store whose binary is here; preparing its data folder is part of it. */
export const binaryRecipe = (store: Store): ((folder: string, port: number) => Recipe) | undefined => {
  switch (store) {
    case "postgresql":
      return postgresBinary("postgres") === undefined || postgresBinary("initdb") === undefined ? undefined : postgres
    case "redis":
      return onPath("redis-server") === undefined ? undefined : redis
    case "mongodb":
      return onPath("mongod") === undefined ? undefined : mongod
    case "clickhouse":
      return clickhouseBinary() === undefined ? undefined : clickhouse
  }
}
