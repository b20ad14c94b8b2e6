import { posix } from "node:path"
import { type Import, importsOf } from "./imports.ts"

/** A part of the house: a folder of `src`, or one of the files at its root. */
type Part =
  | "core"
  | Store
  | "migrations"
  | "health"
  | "telemetry"
  | "coordination"
  | "platform"
  | "live"
  | "embedded"
  | "memory"
  | "testing"
  | "cli"
  | "dashboard"
  | "Capabilities"
  | "index"

type Store = "postgres" | "clickhouse" | "mongodb" | "redis"

const stores: ReadonlyArray<Store> = ["postgres", "clickhouse", "mongodb", "redis"]
const concerns: ReadonlyArray<Part> = ["migrations", "health", "telemetry"]
const capabilities: ReadonlyArray<Part> = ["core", ...stores, ...concerns]
const repositories: ReadonlyArray<Part> = ["coordination", "platform"]
const compositions: ReadonlyArray<Part> = ["live", "embedded", "memory", "testing"]
/** Tags, schemas and errors only; they load no driver. */
const doors: ReadonlyArray<Part> = ["Capabilities", "index"]
const everything: ReadonlyArray<Part> = [
  ...capabilities,
  ...repositories,
  ...compositions,
  ...doors,
  "cli",
  "dashboard"
]

/** Who may import whom; every part may import itself. */
const mayImport: Record<Part, ReadonlyArray<Part>> = {
  core: [],
  postgres: ["core"],
  clickhouse: ["core"],
  mongodb: ["core"],
  redis: ["core"],
  migrations: ["core"],
  health: ["core"],
  telemetry: ["core"],
  coordination: capabilities,
  platform: capabilities,
  live: [...capabilities, ...repositories, "Capabilities"],
  embedded: [...capabilities, ...repositories, "Capabilities"],
  memory: [...capabilities, ...repositories, "Capabilities"],
  testing: [...capabilities, ...repositories, "Capabilities"],
  Capabilities: [...capabilities, ...repositories],
  cli: everything,
  dashboard: everything,
  index: everything
}

/** Packages that talk to a store, or are one. */
const drivers: Record<Store, RegExp> = {
  postgres: /^(@effect\/sql-pg|pg|postgres|libpg-query|@electric-sql\/.+)(\/|$)/,
  clickhouse: /^(@clickhouse\/.+|@chdb\/.+|chdb|ffi-rs)(\/|$)/,
  mongodb: /^(mongodb|bson|mingo)(\/|$)/,
  redis: /^(ioredis|redis|@redis\/.+)(\/|$)/
}

/** The platform's subpaths that are of one store, and the drivers that each may load. */
const faces: Readonly<Record<string, ReadonlyArray<Store>>> = {
  "platform/postgres.ts": ["postgres"],
  "platform/clickhouse.ts": ["clickhouse"],
  "platform/mongodb.ts": ["mongodb"],
  "platform/postgresMemory.ts": []
}

const driverOf = (specifier: string): Store | undefined => stores.find((store) => drivers[store].test(specifier))

const isEffect = (specifier: string): boolean => /^effect(\/|$)/.test(specifier)
const isNode = (specifier: string): boolean => specifier.startsWith("node:")

/** Whether a part may import a package. */
const mayUse = (part: Part, specifier: string): boolean => {
  if (isEffect(specifier)) return true
  if (part === "core") return false
  if (isNode(specifier)) return true
  const driver = driverOf(specifier)
  if (driver !== undefined) return driver === part || part === "testing" || part === "cli" || part === "dashboard"
  return compositions.includes(part) || part === "cli" || part === "dashboard"
}

const isPart = (name: string): name is Part => Object.hasOwn(mayImport, name)

const partOf = (path: string): Part | undefined => {
  const name = path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "")
  return isPart(name) ? name : undefined
}

/** A module that defines a capability's tag, and is neither its implementation nor a driver's client. */
const definesTag = (path: string, source: string): boolean =>
  /\bContext\.Service</.test(source) && !/(Live|Client|Memory|Embedded)\.ts$/.test(path)

export interface Violation {
  readonly file: string
  readonly problem: string
}

interface Module {
  readonly part: Part
  readonly source: string
  readonly imports: ReadonlyArray<Import>
}

const resolve = (from: string, specifier: string): string => posix.join(posix.dirname(from), specifier)

/** The first driver that a module reaches for which `forbidden` holds, with the way to it. */
const wayToDriver = (
  modules: ReadonlyMap<string, Module>,
  start: string,
  forbidden: (driver: Store) => boolean
): string | undefined => {
  const ways = new Map<string, ReadonlyArray<string>>([[start, [start]]])
  for (const [path, way] of ways) {
    for (const { kind, specifier } of modules.get(path)?.imports ?? []) {
      if (kind === "dynamic") continue
      if (!specifier.startsWith(".")) {
        const driver = driverOf(specifier)
        if (driver !== undefined && forbidden(driver)) return [...way, specifier].join(" → ")
        continue
      }
      const next = resolve(path, specifier)
      if (!ways.has(next)) ways.set(next, [...way, next])
    }
  }
  return undefined
}

/**
 * Checks the import graph of `src` against the house's rules; paths are relative to `src`.
 *
 * A dynamic import counts as an import, and not as loading: an embedded engine is loaded when it is asked for. Imports of
 * types count as both, because a user's compiler reads the declarations.
 */
export const checkDependencies = (files: ReadonlyMap<string, string>): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  const report = (file: string, problem: string) => violations.push({ file, problem })
  const modules = new Map<string, Module>()

  for (const [path, source] of files) {
    const part = partOf(path)
    if (part === undefined) report(path, "belongs to no part of the house")
    else modules.set(path, { part, source, imports: importsOf(path, source) })
  }

  for (const [path, { imports, part }] of modules) {
    for (const { specifier } of imports) {
      if (!specifier.startsWith(".")) {
        if (!mayUse(part, specifier)) report(path, `${part} may not use ${specifier}`)
        continue
      }
      const target = resolve(path, specifier)
      const other = partOf(target)
      if (!files.has(target)) report(path, `imports ${specifier}, which is not there`)
      else if (other !== undefined && other !== part && !mayImport[part].includes(other)) {
        report(path, `${part} may not import ${other} (${target})`)
      }
    }
  }

  for (const [path, { part, source }] of modules) {
    const isDoor = doors.includes(part)
    if (isDoor || definesTag(path, source)) {
      const way = wayToDriver(modules, path, () => true)
      if (way !== undefined) {
        report(path, `${isDoor ? "the front door" : "a module that defines a tag"} reaches a driver: ${way}`)
      }
    }
    if (path.endsWith("/index.ts") && stores.some((store) => store === part)) {
      const way = wayToDriver(modules, path, (driver) => driver !== part)
      if (way !== undefined) report(path, `a store's subpath loads another store's driver: ${way}`)
    }
    const own = Object.hasOwn(faces, path) ? faces[path] : undefined
    if (own !== undefined) {
      const way = wayToDriver(modules, path, (driver) => !own.includes(driver))
      if (way !== undefined) report(path, `a subpath of the platform loads a driver that is not its own: ${way}`)
    }
  }
  return violations
}
