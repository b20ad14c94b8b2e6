/** A ClickHouse HTTP interface in this process that gives the same answer to every statement. */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

const headers = { "content-type": "application/x-ndjson; charset=UTF-8", "x-clickhouse-summary": "{}" }

/** Port of a stub whose answer is one row in JSON. */
export const clickhouseStub = (row: string): Effect.Effect<number, never, Scope.Scope> => {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    request.resume()
    request.on("end", () => response.writeHead(200, headers).end(`${row}\n`))
  }
  return Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer({ keepAliveTimeout: 60_000 }, answer)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    (server) => {
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("a stub has no port")
      return address.port
    }
  )
}
