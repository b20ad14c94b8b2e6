import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StoreError } from "../core/StoreError.ts"
import type { PostgresClient } from "../postgres/PostgresClient.ts"
import { rowReader } from "../postgres/repository/Row.ts"
import type { Transaction } from "../postgres/Transaction.ts"
import { seesOthers, tooStrict } from "./SeesOthers.ts"

const settings = rowReader(Schema.Struct({ isolation: Schema.String }))

/** Makes the transaction, on PostgreSQL, of what must see all that others have stored. */
export const makeSeesOthers =
  ({ keyed, query, sql }: PostgresClient["Service"], { run }: Pick<Transaction["Service"], "run">) =>
  <A, E, R>(operation: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.withFiber((fiber) => {
      // Whatever the server is set to.
      if (Context.getOption(fiber.context, sql.transactionService)._tag === "None") {
        return run(effect, { isolation: "read committed" })
      }
      const call = { operation, kind: "read" } as const
      return Effect.gen(function* () {
        const rows = yield* query(call, keyed<object>`select current_setting('transaction_isolation') as isolation`)
        const { isolation } = yield* settings.one(call, rows)
        return yield* seesOthers(isolation) ? run(effect) : Effect.fail(tooStrict(operation, isolation))
      })
    })
