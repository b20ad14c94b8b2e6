import { type MongoClient, MongoNetworkTimeoutError } from "mongodb"
import { type PoolStats, poolStats } from "../core/Pool.ts"

/** What the driver tells of its connections, kept up to date by its events; reading it costs no I/O. */
export interface PoolMonitor {
  /** The driver does not tell of a caller that leaves its line, so those are counted elsewhere. */
  readonly stats: (waiting: number) => PoolStats
  /** How many connections were lent so far. */
  readonly lent: () => number
  /** Why no server can be asked now, where one refuses; nothing where one is there, or none has answered yet. */
  readonly refusal: () => { readonly code?: string } | undefined
}

const errno = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  if ("code" in error && typeof error.code === "string") return error.code
  return "cause" in error ? errno(error.cause) : undefined
}

/** Listens to a client's pool and topology; to be called before it connects. */
export const monitorPool = (client: MongoClient, max: number): PoolMonitor => {
  let size = 0
  let inUse = 0
  let lent = 0
  /** What the latest attempt to reach a server met; nothing once one has succeeded, or while none has ended. */
  let refused: { readonly error: unknown } | undefined

  client
    .on("connectionCreated", () => void size++)
    .on("connectionClosed", () => void size--)
    .on("connectionCheckOutFailed", (event) => {
      // The driver takes a refused connection for overload, and tells its topology nothing.
      const error = "error" in event ? event.error : undefined
      if (event.reason === "connectionError" && errno(error) !== undefined) refused = { error }
    })
    .on("connectionCheckedOut", () => {
      inUse++
      lent++
    })
    .on("connectionCheckedIn", () => void inUse--)
    .on("connectionReady", () => {
      refused = undefined
    })
    .on("serverHeartbeatFailed", ({ failure }) => {
      refused = failure instanceof MongoNetworkTimeoutError ? undefined : { error: failure }
    })
    .on("serverHeartbeatSucceeded", () => {
      refused = undefined
    })

  return {
    stats: (waiting) => poolStats({ size, inUse, waiting, max }),
    lent: () => lent,
    refusal: () => {
      if (refused === undefined) return undefined
      const code = errno(refused.error)
      return code === undefined ? {} : { code }
    }
  }
}
