import { Command } from "ioredis"
import type { StoreCall } from "../core/StoreCall.ts"

/** A call to Redis. */
export interface RedisCall extends StoreCall {
  /** Whether a failed call is sent again where that is safe; yes by default. */
  readonly retry?: boolean | undefined
}

/** An argument of a command. */
export type Argument = string | number | Buffer

const text = { replyEncoding: "utf8" } as const
const binary = { replyEncoding: null } as const

// One request, one answer: stands in for a command that nobody waits for any more.
const ping = "*1\r\n$4\r\nPING\r\n"

/**
 * A command that knows whether its bytes left, and that never runs once it was abandoned.
 *
 * The driver may hold a command back (a cluster node that is still connecting, a redirection). Where its caller has given up
 * meanwhile, a PING goes out in its place, so that answers still match requests.
 */
export class RedisCommand extends Command {
  written = false
  abandoned = false
  // Made at once, so that one that cannot be made fails its caller, and not those that it leaves with.
  private bytes: string | Buffer | undefined = super.toWritable(this)

  /** @param settled called once, with the decoded answer or with the failure */
  constructor(
    name: string,
    args: ReadonlyArray<Argument>,
    settled: (failure: Error | undefined, reply: unknown) => void,
    encoding: "text" | "binary" = "text"
  ) {
    super(name, [...args], encoding === "text" ? text : binary)
    // By the promise, which lets go of whoever waited. Setting `resolve` instead would make a call cost twice as much: a
    // command outlives its use, and with it all that it can reach.
    this.promise.then(
      (reply) => settled(undefined, reply),
      (failure) => settled(failure, undefined)
    )
  }

  override toWritable(socket: object): string | Buffer {
    if (this.abandoned) return ping
    this.written = true
    const bytes = this.bytes ?? super.toWritable(socket)
    this.bytes = undefined
    return bytes
  }
}
