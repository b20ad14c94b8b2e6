import { connect, createServer, type Server, type Socket } from "node:net"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** The proxy could not listen, or the URL to be proxied is none. */
export class TcpProxyError extends Schema.TaggedError<TcpProxyError>("@ai-core/database/testing/TcpProxyError")(
  "TcpProxyError",
  { problem: Schema.String }
) {
  override get message(): string {
    return this.problem
  }
}

/**
 * A TCP proxy in this process that stands between a client and its server, and breaks their connection as it is told.
 *
 * It begins in `pass`. Each of `pass`, `refuse`, `hang` and `delay` ends the others; `reset` and `dropReplies` come on top.
 */
export interface TcpProxy {
  /** Port of 127.0.0.1 that it listens on, the same for as long as it lives. */
  readonly port: number
  /** The same URL, by way of the proxy; a MongoDB driver is told to ask this one host only. */
  readonly rewrite: (url: string) => string
  /** Forwards everything, what `hang` held back included. */
  readonly pass: Effect.Effect<void>
  /** Nobody listens any more: new connections are refused. Open ones live on; `reset` ends them. */
  readonly refuse: Effect.Effect<void>
  /** Accepts connections and forwards nothing in either direction. */
  readonly hang: Effect.Effect<void>
  /** Forwards every piece of data this much later, in both directions. */
  readonly delay: (duration: Duration.Input) => Effect.Effect<void>
  /** Resets every open connection (RST); with `alsoNew`, every new one too, until `pass`. */
  readonly reset: (options?: { readonly alsoNew?: boolean | undefined }) => Effect.Effect<void>
  /** Forwards a request, throws away its reply and resets the connection: the server did it, and the client cannot know. */
  readonly dropReplies: (options?: DropReplies) => Effect.Effect<void>
  /** Connections open now, and accepted since the start; and replies thrown away. */
  readonly counts: Effect.Effect<{ readonly open: number; readonly accepted: number; readonly dropped: number }>
}

/** Which replies `dropReplies` throws away. */
export interface DropReplies {
  /** Only on a connection that has sent this; any request by default. */
  readonly afterRequestMatching?: string | Uint8Array | undefined
  /** Replies pass until one has this in it, where a server answers in steps; the first piece of data by default. */
  readonly replyMatching?: string | Uint8Array | undefined
  /** How often; 1, so that a client that connects anew is served. */
  readonly times?: number | undefined
}

const defaultPorts: Record<string, number> = {
  "postgresql:": 5432,
  "postgres:": 5432,
  "redis:": 6379,
  "rediss:": 6379,
  "mongodb:": 27017,
  "http:": 80,
  "https:": 443
}

const rewriteTo = (port: number) => (url: string) => {
  const other = new URL(url)
  other.hostname = "127.0.0.1"
  other.port = String(port)
  if (other.protocol === "mongodb:") {
    other.searchParams.delete("replicaSet")
    other.searchParams.set("directConnection", "true")
  }
  return other.href
}

/** Looks for a byte sequence in data that comes in pieces. */
const makeMatcher = (pattern: string | Uint8Array | undefined): ((chunk: Buffer) => boolean) => {
  if (pattern === undefined) return () => true
  const wanted = Buffer.from(pattern)
  let tail = Buffer.alloc(0)
  let found = false
  return (chunk) => {
    if (found) return true
    const seen = Buffer.concat([tail, chunk])
    found = seen.includes(wanted)
    tail = seen.subarray(Math.max(0, seen.length - wanted.length + 1))
    return found
  }
}

type Mode =
  { readonly _tag: "Pass" | "Refuse" | "Hang" | "Reset" } | { readonly _tag: "Delay"; readonly millis: number }

interface Dropping {
  readonly options: DropReplies
  left: number
}

/** One connection of a client and, once data may flow, ours to the server. */
interface Link {
  readonly client: Socket
  readonly upstream: Socket
  /** Looks at requests and replies where `dropReplies` is on. */
  watch: { readonly request: (chunk: Buffer) => boolean; readonly reply: (chunk: Buffer) => boolean } | undefined
  /** A request that `dropReplies` waits for has been sent. */
  armed: boolean
}

interface Piece {
  readonly chunk: Buffer
  readonly at: number
}

const highWater = 1024 * 1024

/**
 * Starts a proxy to one server; it and all its connections end with the scope.
 *
 * Waiting is by the Clock of the fiber that makes it. Fails with `TcpProxyError` where it cannot listen.
 *
 * @example
 * ```ts
 * const proxy = yield* TcpProxy.make({ target: { host: "127.0.0.1", port: 6379 } })
 * const redis = yield* RedisClient.make({ url: Redacted.make(proxy.rewrite("redis://127.0.0.1:6379")) })
 * yield* proxy.dropReplies({ afterRequestMatching: "INCR" })
 * ```
 */
export const make = (options: {
  readonly target: { readonly host: string; readonly port: number }
}): Effect.Effect<TcpProxy, TcpProxyError, Scope.Scope> =>
  Effect.gen(function* () {
    const { target } = options
    const clock = yield* Clock.Clock
    const run = yield* FiberSet.makeRuntime<never>()
    const gate = Latch.makeUnsafe(true)
    const links = new Set<Link>()
    let mode: Mode = { _tag: "Pass" }
    let dropping: Dropping | undefined
    let accepted = 0
    let dropped = 0

    const cut = (link: Link) => {
      links.delete(link)
      link.client.resetAndDestroy()
      link.upstream.destroy()
    }

    const watchFor = (on: Dropping): Link["watch"] => ({
      request: makeMatcher(on.options.afterRequestMatching),
      reply: makeMatcher(on.options.replyMatching)
    })

    /** Whether this reply is to be thrown away. */
    const dropsReply = (link: Link, chunk: Buffer): boolean => {
      if (dropping === undefined || !link.armed || link.watch?.reply(chunk) !== true) return false
      dropped++
      if (--dropping.left <= 0) dropping = undefined
      return true
    }

    const noteRequest = (link: Link, chunk: Buffer): void => {
      if (dropping === undefined) return
      link.watch ??= watchFor(dropping)
      if (link.watch?.request(chunk) === true) link.armed = true
    }

    /** Carries data from one socket to the other in order, held back by `hang` and `delay`. */
    const pump = (link: Link, from: Socket, to: Socket, isRequest: boolean) => {
      const pieces = Effect.runSync(Queue.unbounded<Piece | "end">())
      let waiting = 0
      from.on("data", (chunk: Buffer) => {
        waiting += chunk.length
        if (waiting > highWater) from.pause()
        Queue.offerUnsafe(pieces, { chunk, at: clock.currentTimeMillisUnsafe() })
      })
      from.on("end", () => Queue.offerUnsafe(pieces, "end"))
      const step = Effect.gen(function* () {
        const piece = yield* Queue.take(pieces)
        yield* gate.await
        if (piece === "end") {
          to.end()
          return
        }
        if (mode._tag === "Delay") {
          const left = piece.at + mode.millis - clock.currentTimeMillisUnsafe()
          if (left > 0) yield* Effect.sleep(left)
        }
        waiting -= piece.chunk.length
        if (from.isPaused() && waiting < highWater) from.resume()
        if (isRequest) noteRequest(link, piece.chunk)
        else if (dropsReply(link, piece.chunk)) return cut(link)
        if (to.writable) to.write(piece.chunk)
      })
      return Effect.forever(step)
    }

    const accept = (client: Socket) => {
      accepted++
      client.on("error", () => {})
      if (mode._tag === "Reset") {
        client.resetAndDestroy()
        return
      }
      const upstream = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true })
      const link: Link = { client, upstream, watch: undefined, armed: false }
      links.add(link)
      upstream.on("error", () => cut(link))
      const flows = run(
        Effect.all([pump(link, client, upstream, true), pump(link, upstream, client, false)], {
          concurrency: "unbounded",
          discard: true
        })
      )
      upstream.on("close", () => {
        if (!client.writableEnded) client.destroy()
      })
      client.on("close", () => {
        links.delete(link)
        upstream.destroy()
        flows.interruptUnsafe()
      })
    }

    const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, accept)
    server.on("error", () => {})

    const listen = (port: number): Effect.Effect<number, TcpProxyError> =>
      Effect.callback((resume) => {
        if (server.listening) return resume(Effect.succeed(port))
        const failed = (cause: Error) =>
          resume(Effect.fail(new TcpProxyError({ problem: `cannot listen on port ${port}: ${cause.message}` })))
        server.once("error", failed)
        server.listen(port, "127.0.0.1", () => {
          server.off("error", failed)
          const address = server.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
        })
      })

    const stopListening = Effect.sync(() => {
      if (server.listening) server.close()
    })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const link of links) cut(link)
        if (server.listening) server.close()
      })
    )
    const port = yield* listen(0)

    const become = (next: Mode): Effect.Effect<void> =>
      Effect.gen(function* () {
        mode = next
        if (next._tag === "Hang") gate.closeUnsafe()
        else gate.openUnsafe()
        if (next._tag === "Refuse") yield* stopListening
        else yield* Effect.orDie(listen(port))
      })

    const resetAll = Effect.sync(() => {
      for (const link of links) cut(link)
    })

    return {
      port,
      rewrite: rewriteTo(port),
      pass: Effect.andThen(
        Effect.sync(() => {
          dropping = undefined
        }),
        become({ _tag: "Pass" })
      ),
      refuse: become({ _tag: "Refuse" }),
      hang: become({ _tag: "Hang" }),
      delay: (duration) => become({ _tag: "Delay", millis: Duration.toMillis(duration) }),
      reset: (how) => (how?.alsoNew === true ? Effect.andThen(become({ _tag: "Reset" }), resetAll) : resetAll),
      dropReplies: (how = {}) =>
        Effect.sync(() => {
          dropping = { options: how, left: how.times ?? 1 }
          for (const link of links) {
            link.watch = undefined
            link.armed = false
          }
        }),
      counts: Effect.sync(() => ({ open: links.size, accepted, dropped }))
    }
  })

/** Starts a proxy to the server that a connection URL names, and gives the URL to use in its place. */
export const forUrl = (url: string): Effect.Effect<TcpProxy & { readonly url: string }, TcpProxyError, Scope.Scope> =>
  Effect.gen(function* () {
    const parsed = URL.parse(url)
    const port = parsed === null ? undefined : Number(parsed.port) || defaultPorts[parsed.protocol]
    if (parsed === null || port === undefined) {
      return yield* new TcpProxyError({ problem: "the URL to be proxied names no host and port" })
    }
    const proxy = yield* make({ target: { host: parsed.hostname.replace(/^\[|\]$/g, ""), port } })
    return { ...proxy, url: proxy.rewrite(url) }
  })
