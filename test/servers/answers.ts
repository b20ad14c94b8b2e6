import { connect } from "node:net"
import { Effect } from "effect"
import type { Store } from "../../src/core/Store.ts"
import { ServerError } from "./ServerError.ts"

const attempt = (store: Store, ask: (signal: AbortSignal) => Promise<unknown>): Effect.Effect<void, ServerError> =>
  Effect.tryPromise({
    try: ask,
    catch: (cause) => new ServerError({ store, problem: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(
    Effect.timeoutOrElse({
      duration: "5 seconds",
      orElse: () => Effect.fail(new ServerError({ store, problem: "accepts connections and does not answer" }))
    }),
    Effect.asVoid
  )

const askRedis = (url: string, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const { hostname, password, port, username } = new URL(url)
    const socket = connect(Number(port || 6379), hostname, () => {
      const login =
        password === "" ? "" : `AUTH ${decodeURIComponent(username || "default")} ${decodeURIComponent(password)}\r\n`
      socket.write(`${login}PING\r\n`)
    })
    signal.addEventListener("abort", () => socket.destroy())
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk.toString("utf8")
      if (!answer.includes("+PONG") && !answer.startsWith("-")) return
      socket.destroy()
      if (answer.includes("+PONG")) resolve()
      else reject(new Error(answer.trim()))
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("the connection was closed")))
  })

const askPostgres = async (url: string): Promise<void> => {
  const { default: pg } = await import("pg")
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 4000 })
  client.on("error", () => {})
  try {
    await client.connect()
    await client.query("SELECT 1")
  } finally {
    await client.end().catch(() => {})
  }
}

const askMongo = async (url: string): Promise<void> => {
  const { MongoClient } = await import("mongodb")
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 4000 })
  try {
    await client.db("admin").command({ ping: 1 })
  } finally {
    await client.close()
  }
}

const askClickHouse = async (url: string, signal: AbortSignal): Promise<void> => {
  const response = await fetch(new URL("/ping", url), { signal })
  if (!response.ok) throw new Error(`/ping answered ${response.status}`)
}

/** One round trip to a server; fails where it is not there, or not ready yet. */
export const answers = (store: Store, url: string): Effect.Effect<void, ServerError> => {
  switch (store) {
    case "postgresql":
      return attempt(store, () => askPostgres(url))
    case "redis":
      return attempt(store, (signal) => askRedis(url, signal))
    case "mongodb":
      return attempt(store, () => askMongo(url))
    case "clickhouse":
      return attempt(store, (signal) => askClickHouse(url, signal))
  }
}
