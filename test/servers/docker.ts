import { execFile } from "node:child_process"
import { Effect, type Scope } from "effect"
import type { Store } from "../../src/core/Store.ts"
import { ServerError } from "./ServerError.ts"

/** Whether a Docker engine answers. */
export const dockerAnswers: Effect.Effect<boolean> = Effect.callback((resume) => {
  execFile("docker", ["version", "--format", "{{.Server.Version}}"], { timeout: 5000 }, (error) =>
    resume(Effect.succeed(error === null))
  )
})

interface Image {
  readonly name: string
  readonly port: number
  readonly environment?: Readonly<Record<string, string>>
  readonly command?: ReadonlyArray<string>
  /** Run in the container once it listens. */
  readonly afterStart?: ReadonlyArray<string>
  readonly url: (host: string, port: number) => string
}

const images: Record<Store, Image> = {
  postgresql: {
    name: "postgres:18",
    port: 5432,
    environment: { POSTGRES_HOST_AUTH_METHOD: "trust" },
    command: ["postgres", "-c", "max_connections=200", "-c", "fsync=off"],
    url: (host, port) => `postgresql://postgres@${host}:${port}/postgres`
  },
  redis: { name: "redis:8", port: 6379, url: (host, port) => `redis://${host}:${port}` },
  mongodb: {
    name: "mongo:8",
    port: 27017,
    command: ["--replSet", "rs0", "--bind_ip_all"],
    afterStart: [
      "mongosh",
      "--quiet",
      "--eval",
      "rs.initiate({ _id: 'rs0', members: [{ _id: 0, host: 'localhost' }] })"
    ],
    url: (host, port) => `mongodb://${host}:${port}/?directConnection=true`
  },
  clickhouse: {
    name: "clickhouse/clickhouse-server:25.8",
    port: 8123,
    environment: { CLICKHOUSE_SKIP_USER_SETUP: "1" },
    url: (host, port) => `http://${host}:${port}`
  }
}

/** Starts a store's image; returns its URL once the port is open. */
export const startContainer = (store: Store): Effect.Effect<string, ServerError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const { GenericContainer, Wait } = await import("testcontainers")
        const { afterStart, command, environment, name, port } = images[store]
        let image = new GenericContainer(name).withExposedPorts(port).withWaitStrategy(Wait.forListeningPorts())
        if (environment !== undefined) image = image.withEnvironment(environment)
        if (command !== undefined) image = image.withCommand([...command])
        const container = await image.start()
        if (afterStart !== undefined) await container.exec([...afterStart])
        return container
      },
      catch: (cause) => new ServerError({ store, problem: `its container did not start: ${String(cause)}` })
    }),
    (container) => Effect.ignore(Effect.tryPromise(() => container.stop()))
  ).pipe(Effect.map((container) => images[store].url(container.getHost(), container.getMappedPort(images[store].port))))
