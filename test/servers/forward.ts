import { Effect, type Scope } from "effect"
import { connect, createServer, type ListenOptions, type Socket } from "node:net"
import { networkInterfaces } from "node:os"

/** Whether this machine has the IPv6 address `::1`. */
export const hasIpv6 = Object.values(networkInterfaces()).some((those) =>
  those?.some(({ address }) => address === "::1")
)

/** Has what comes in at another address, an IPv6 one or a Unix socket, go to a server; gives the port. Ends with the scope. */
export const forward = (port: number, from: ListenOptions): Effect.Effect<number, unknown, Scope.Scope> => {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1")
    for (const [one, other] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      open.add(one)
      one
        .on("error", () => undefined)
        .on("close", () => {
          open.delete(one)
          other.destroy()
        })
        .pipe(other)
    }
  })
  const listening = Effect.callback<number, unknown>((resume) => {
    server
      .on("error", (cause) => resume(Effect.fail(cause)))
      .listen(from, () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
  })
  return Effect.acquireRelease(listening, () =>
    Effect.sync(() => {
      server.close()
      for (const socket of open) socket.destroy()
    })
  )
}

/** The URL by which a server is reached at the address `::1`, for as long as the scope. */
export const overIpv6 = (url: string): Effect.Effect<string, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const other = new URL(url)
    const port = yield* forward(Number(other.port), { host: "::1", port: 0, ipv6Only: true })
    other.hostname = "[::1]"
    other.port = String(port)
    return other.href
  })
