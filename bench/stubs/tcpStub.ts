import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"

/**
 * Listens on a free port of this machine, in this process, for as long as the scope.
 *
 * `answer` is given what has come and not been answered yet; it returns how many bytes it has answered, and the answer.
 */
export const tcpStub = (
  answer: (received: Buffer) => { readonly taken: number; readonly reply: Buffer | string }
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer({ noDelay: true }, (socket) => {
          sockets.add(socket)
          let received: Buffer = Buffer.alloc(0)
          socket.on("error", () => undefined)
          socket.on("close", () => sockets.delete(socket))
          socket.on("data", (chunk) => {
            received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
            const { reply, taken } = answer(received)
            received = received.subarray(taken)
            if (reply.length > 0) socket.write(reply)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          if (address === null || typeof address === "string") throw new Error("a stub has no port")
          const close = () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
          resume(Effect.succeed({ port: address.port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ port }) => port
  )
