/** How far a run is. */
export type MigrationProgress =
  | { readonly _tag: "WaitingForLock"; readonly waitedMillis: number }
  | { readonly _tag: "BackedUp"; readonly file: string }
  | Of<"Started", { readonly statements: number }>
  | Of<"StatementDone", { readonly statement: number; readonly statements: number; readonly elapsedMillis: number }>
  /** Somebody held a lock on what the migration changes; it was undone, and is tried again after the pause. */
  | Of<"LockBusy", { readonly attempt: number; readonly pauseMillis: number }>
  /** What a killed run left half-done is cleared away before its statement runs again. */
  | Of<"Cleared", { readonly object: string }>
  | Of<"Finished", { readonly elapsedMillis: number }>

interface Which {
  readonly version: bigint
  readonly name: string
  readonly direction: "up" | "down"
}

type Of<Tag extends string, Fields> = { readonly _tag: Tag } & Which & Fields

/** A line for people. */
export const progressText = (progress: MigrationProgress): string => {
  if (progress._tag === "WaitingForLock") {
    return `Waiting for somebody else who migrates, ${Math.round(progress.waitedMillis)} ms so far`
  }
  if (progress._tag === "BackedUp") return `Backed up to ${progress.file}`
  const which = `${progress.version}_${progress.name}`
  const undoing = progress.direction === "down"
  switch (progress._tag) {
    case "Started":
      return `${undoing ? "Undoing" : "Applying"} ${which}, ${progress.statements} statement${progress.statements === 1 ? "" : "s"}`
    case "StatementDone":
      return `${which}: statement ${progress.statement} of ${progress.statements} took ${progress.elapsedMillis} ms`
    case "LockBusy":
      return `${which}: a lock is taken; attempt ${progress.attempt} undone, next one in ${Math.round(progress.pauseMillis)} ms`
    case "Cleared":
      return `${which}: cleared ${progress.object}, which a run that broke off had left`
    case "Finished":
      return `${undoing ? "Undid" : "Applied"} ${which} in ${progress.elapsedMillis} ms`
  }
}
