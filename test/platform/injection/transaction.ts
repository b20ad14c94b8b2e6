import { Effect } from "effect"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { type Attempts, takesNothing } from "./Attempt.ts"

export const transaction: Attempts<Transaction["Service"], Transaction> = {
  run: {
    parameters: ["effect", ""],
    samples: [
      Effect.succeed([
        Effect.succeed(false),
        { isolation: "serializable", readOnly: true, deferrable: true, timeout: "1 minute", retry: false }
      ])
    ]
  },
  afterCommit: { parameters: ["effect"], samples: [Effect.succeed([Effect.void])] },
  id: takesNothing,
  outcomeOf: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const { id, run } = yield* Transaction
        return [yield* run(id)] as const
      })
    ]
  }
}
