import { Effect, Layer, Redacted } from "effect"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { freshPostgres } from "../servers/index.ts"

/** A client and its transactions, on an empty database of their own. */
export const freshClient = (maxConnections = 8) =>
  TransactionLive.layer.pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) =>
          PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections })
        )
      )
    )
  )
