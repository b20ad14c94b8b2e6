import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"

/** Why a folder could not be had. */
export interface FolderRefused {
  readonly detail: string
  readonly cause?: unknown
}

const lockFile = (folder: string): string => `${path.resolve(folder)}.lock`

/** Asks the system whether a process is there, without sending it anything; one of another user's is there too. */
const runs = (pid: number): boolean =>
  Result.match(
    Result.try({
      try: () => process.kill(pid, 0),
      catch: (cause) => cause instanceof Error && "code" in cause && cause.code
    }),
    { onSuccess: () => true, onFailure: (code) => code === "EPERM" }
  )

/** Takes the lock, or says who has it. */
const take = (folder: string): string | undefined => {
  fs.mkdirSync(folder, { recursive: true })
  const file = lockFile(folder)
  if (fs.existsSync(file)) {
    const pid = Number(fs.readFileSync(file, "utf8"))
    if (pid > 0 && runs(pid)) return pid === process.pid ? "this process" : `process ${pid}`
    fs.rmSync(file, { force: true })
  }
  fs.writeFileSync(file, String(process.pid), { flag: "wx" })
  return undefined
}

/**
 * Keeps a data folder to one user at a time, of this process or of another, for as long as the scope.
 *
 * A file beside the folder, `<folder>.lock`, names the process that holds it; one left behind by a process that is gone is taken
 * over. The folder is made where it is missing, its parents too.
 */
export const lockFolder = (folder: string): Effect.Effect<void, FolderRefused, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.flatMap(
      Effect.try({
        try: () => take(folder),
        catch: (cause): FolderRefused => ({ detail: `${folder} cannot be made or locked`, cause })
      }),
      (holder) =>
        holder === undefined
          ? Effect.void
          : Effect.fail<FolderRefused>({ detail: `${folder} is in use by ${holder}, says ${lockFile(folder)}` })
    ),
    () => Effect.sync(() => fs.rmSync(lockFile(folder), { force: true }))
  )
