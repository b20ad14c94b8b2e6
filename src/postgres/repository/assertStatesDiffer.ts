import type { WorkStates } from "./WorkItem.ts"

/** Throws where two of the states have one name: what was taken would look as if it waited, and two workers would get it. */
export const assertStatesDiffer = (table: string, { dead, running, waiting }: WorkStates<string>): void => {
  if (new Set([waiting, running, dead]).size === 3) return
  throw new Error(
    `the work of "${table}" needs three different states, and its waiting is "${waiting}", its running "${running}" and ` +
      `its dead "${dead}". Does the row have a state of another kind too? Then keep that in a column of its own.`
  )
}
