import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"

/** Parent of every process, by its id. */
const parents = (): Map<number, number> => {
  const table = new Map<number, number>()
  if (existsSync("/proc/self/stat")) {
    for (const entry of readdirSync("/proc")) {
      if (!/^\d+$/.test(entry)) continue
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, "utf8")
        table.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]))
      } catch {
        // It ended meanwhile.
      }
    }
  } else {
    for (const line of execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).split("\n")) {
      const [pid, parent] = line.trim().split(/\s+/)
      if (pid !== undefined && parent !== undefined) table.set(Number(pid), Number(parent))
    }
  }
  return table
}

const treeOf = (root: number): ReadonlyArray<number> => {
  const children = new Map<number, Array<number>>()
  for (const [pid, parent] of parents()) children.set(parent, [...(children.get(parent) ?? []), pid])
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/**
 * Sends a signal to a process and all that descend from it, the ancestor first; those already gone are passed over.
 *
 * Returns their ids.
 */
export const signalTree = (root: number, signal: NodeJS.Signals): ReadonlyArray<number> => {
  const tree = treeOf(root)
  for (const pid of tree) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended meanwhile.
    }
  }
  return tree
}

/** The first letter of each thread's state; of the whole process where there is no /proc. Nothing where it has ended. */
const statesOf = (pid: number): ReadonlyArray<string> => {
  try {
    if (!existsSync("/proc/self/stat")) {
      return [execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).trim()]
    }
    return readdirSync(`/proc/${pid}/task`).map((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")
      return stat.slice(stat.lastIndexOf(")") + 2)
    })
  } catch {
    return []
  }
}

/** Whether every thread of a process and of all that descend from it has stopped, or ended. */
export const isFrozen = (root: number): boolean =>
  treeOf(root).every((pid) => statesOf(pid).every((state) => /^[TtZXx]/.test(state)))

export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
