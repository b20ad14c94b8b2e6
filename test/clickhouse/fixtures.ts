import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import type { ClickHouseOptions } from "../../src/core/DatabaseConfig.ts"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import { freshClickHouse } from "../servers/index.ts"

/** A ClickHouse to test against, with an empty database of its own. */
export class TestServer extends Context.Service<TestServer, { readonly url: string; readonly database: string }>()(
  "test/clickhouse/TestServer"
) {}

/** The embedded engine: a real ClickHouse that every machine with its package can start. */
export const embeddedServer = Layer.effect(
  TestServer,
  Effect.map(ClickHouseEmbedded.start({ database: "test" }), ({ url }) => ({
    url: Redacted.value(url),
    database: "test"
  }))
)

/** The server of this run. */
export const liveServer = Layer.effect(TestServer, freshClickHouse)

/** A client of the test server, or of a proxy to it. */
export const connect = (
  options: Omit<ClickHouseOptions, "url"> & { readonly at?: string } = {}
): Effect.Effect<ClickHouseClient.ClickHouseClient["Service"], StoreError, Scope.Scope | TestServer> =>
  Effect.gen(function* () {
    const { database, url } = yield* TestServer
    const { at = url, ...rest } = options
    return yield* Effect.catchTag(
      ClickHouseClient.make({ url: Redacted.make(at), database, ...rest }),
      "ConfigInvalid",
      Effect.die
    )
  })
