/* oxlint-disable vitest/valid-title, vitest/valid-describe-callback, vitest/no-conditional-tests, vitest/expect-expect -- a wrapper of describe */
/** A PostgreSQL server with a disk beside its data that is soon full. */
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { describe, it } from "vitest"
import { binaryRecipe, unprivileged } from "./binaries.ts"
import { describeOwned } from "./index.ts"
import { ServerError } from "./ServerError.ts"
import { freePort, startBinary, temporaryFolder } from "./startServer.ts"

const megabytes = 8

/** Mounts a file system of its own at `$1`, seen by nobody else and gone with the last process that sees it; then runs the rest. */
const mounting = `folder=$1 options=$2; shift 2; mount -t tmpfs -o "$options" tmpfs "$folder" && exec "$@"`
const inOwnMounts = (folder: string, options: string): ReadonlyArray<string> => [
  "--mount",
  "--propagation",
  "private",
  "sh",
  "-c",
  mounting,
  "sh",
  folder,
  options
]

/** Why no disk can be mounted here; undefined where one can. */
const whyNot = (): string | undefined => {
  if (binaryRecipe("postgresql") === undefined) return "PostgreSQL's own binary"
  if (unprivileged() === undefined) return "root, to mount a small disk"
  try {
    execFileSync("unshare", [...inOwnMounts("/mnt", "size=1m"), "setpriv", "--version"], { stdio: "pipe" })
    return undefined
  } catch (cause) {
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : ""
    return `the right to mount a small disk (CAP_SYS_ADMIN): ${said || String(cause)}`
  }
}

/** `describeOwned` for PostgreSQL where a small disk can be mounted; else one skipped test that says what it lacks. */
export const describeSmallDisk = (title: string, body: () => void): void => {
  const lacking = whyNot()
  if (lacking === undefined) return describeOwned("postgresql", title, body)
  describe.skipIf(true)(title, () => {
    it(`needs ${lacking}`, () => {})
  })
}

/** A server whose data lies where there is room, and a folder for a tablespace on a disk of 8 MB; for as long as the scope. */
export const postgresWithSmallDisk: Effect.Effect<
  { readonly url: string; readonly disk: string },
  ServerError,
  Scope.Scope
> = Effect.gen(function* () {
  const recipe = binaryRecipe("postgresql")
  const user = unprivileged()
  if (recipe === undefined || user === undefined) {
    return yield* new ServerError({ store: "postgresql", problem: "put the suite into describeSmallDisk" })
  }
  const folder = yield* temporaryFolder("postgresql")
  const disk = join(folder, "disk")
  mkdirSync(disk)
  const { args, command, ...others } = recipe(folder, yield* freePort)
  const { gid, uid } = user
  const started = yield* startBinary(
    "postgresql",
    {
      ...others,
      user: undefined,
      command: "unshare",
      args: [
        ...inOwnMounts(disk, `size=${megabytes}m,mode=0700,uid=${uid},gid=${gid}`),
        "setpriv",
        `--reuid=${uid}`,
        `--regid=${gid}`,
        "--clear-groups",
        command,
        ...args
      ]
    },
    folder,
    true
  )
  return { url: started.url, disk }
})
