/**
 * Ends servers whose test run is gone, so that none is left behind when a run is killed outright.
 *
 * Its standard input is held open by the run; lines say `watch PID SIGNAL FOLDER` and `forget PID`. When the input ends,
 * what is still watched is asked to end, killed where it does not, and its folder removed.
 */
import { rmSync } from "node:fs"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { isRunning, signalTree } from "./processTree.ts"

const watched = new Map<number, { readonly signal: NodeJS.Signals; readonly folder: string }>()

process.on("SIGINT", () => {})
process.on("SIGTERM", () => {})
process.on("SIGHUP", () => {})

const end = async (pid: number, signal: NodeJS.Signals, folder: string): Promise<void> => {
  signalTree(pid, "SIGCONT")
  try {
    process.kill(pid, signal)
  } catch {
    return
  }
  for (let i = 0; i < 100 && isRunning(pid); i++) await pause(100)
  signalTree(pid, "SIGKILL")
  if (folder !== "") rmSync(folder, { recursive: true, force: true })
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, pid = "", signal = "SIGTERM", ...folder] = line.split(" ")
  if (verb === "watch") watched.set(Number(pid), { signal: signal as NodeJS.Signals, folder: folder.join(" ") })
  else watched.delete(Number(pid))
}
await Promise.all([...watched].map(([pid, { folder, signal }]) => end(pid, signal, folder)))
