/**
 * The process of the embedded engine: loads `libchdb.so` and runs the clickhouse-local in it, which carries ClickHouse's
 * own HTTP server (`SYSTEM START LISTEN HTTP`). `ClickHouseEmbedded.ts` starts it; nothing imports it.
 *
 * It answers with tab-separated lines on descriptor 3, which the statements of `--query` write, and it ends when its parent
 * says so or is gone.
 */
import fs from "node:fs"
import { DataType, load, open } from "ffi-rs"

const [library, folder, ...engineArguments] = process.argv.slice(2)
open({ library: "chdb", path: String(library) })
open({ library: "c", path: "libc.so.6" })

const libc = (funcName: string, ...args: Array<number>): number => {
  const result = load({
    library: "c",
    funcName,
    retType: DataType.I32,
    paramsType: args.map(() => DataType.I32),
    paramsValue: args
  })
  if (result < 0) throw new Error(`${funcName} failed`)
  return result
}

// Not through the library's own teardown, which aborts. What was acknowledged is in the file system by then.
const exit = (code: number): number => libc("_exit", code)

// A pseudo-terminal as standard input makes clickhouse-local interactive; only then does it leave out the handler that ends
// the whole process when one client resets its connection.
const openForTerminal = 0o2 | 0o400 // O_RDWR | O_NOCTTY
const terminal = libc("posix_openpt", openForTerminal)
libc("grantpt", terminal)
libc("unlockpt", terminal)
const name = load({
  library: "c",
  funcName: "ptsname",
  retType: DataType.String,
  paramsType: [DataType.I32],
  paramsValue: [terminal]
})
const prompt = fs.openSync(name, openForTerminal)
libc("dup2", prompt, 0)
fs.closeSync(prompt)
// The prompt's echo would block it if nobody read it.
fs.createReadStream("", { fd: terminal, autoClose: false })
  .on("data", () => {})
  .on("error", () => {})

process.on("message", () => exit(0))
const orphaned = () => {
  try {
    // The parent died without tidying up; its folder for this start is of no use to anybody.
    fs.rmSync(String(folder), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  } finally {
    // The engine may still write there, and its folder then cannot be removed; the process ends all the same.
    exit(1)
  }
}
process.on("disconnect", orphaned)
// Node's own way out waits for the engine's thread, which never ends.
process.on("uncaughtException", (error) => {
  fs.writeSync(2, `${error.stack ?? error.message}\n`)
  exit(1)
})
// The event does not come again for a parent that was gone before anybody listened.
if (!process.connected) orphaned()

const args = [
  "clickhouse-local",
  "--interactive",
  "--ignore-error",
  "--progress",
  "off",
  "--progress-table",
  "off",
  "--enable-progress-table-toggle",
  "0",
  "--disable_suggestion",
  ...engineArguments
]
const result = await load({
  library: "chdb",
  funcName: "chdb_query_cmdline",
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [args.length, args],
  runInNewThread: true
})
const error = load({
  library: "chdb",
  funcName: "chdb_result_error",
  retType: DataType.String,
  paramsType: [DataType.External],
  paramsValue: [result]
})
if (error !== "") process.stderr.write(`${error}\n`)
exit(error === "" ? 0 : 1)
