import * as Effect from "effect/Effect"
import { decodeStored } from "../core/Decode.ts"
import type { StoreError } from "../core/StoreError.ts"
import type { RedisClient } from "./RedisClient.ts"
import type { RedisCall } from "./RedisCommand.ts"
import type { Script } from "./Script.ts"

/**
 * Runs a script on the server: by its SHA, and by its source where the server does not know it (any more).
 *
 * Fails with `StoreError`; `InvalidData` where the answer is not of the script's result schema.
 */
export const scriptRunner = <Input, State, Result>(
  client: RedisClient["Service"],
  script: Script<Input, State, Result>
): ((call: RedisCall, input: Input) => Effect.Effect<Result, StoreError>) => {
  const decode = decodeStored(script.result)
  return (call, input) => {
    const rest = [1, script.key(input), ...script.args(input)]
    return client.call(call, "EVALSHA", [script.sha, ...rest]).pipe(
      Effect.catch((error) =>
        // The server refused before anything ran, so sending the source cannot apply it twice.
        error.reason._tag === "InvalidStatement" && error.reason.code === "NOSCRIPT"
          ? client.call(call, "EVAL", [script.source, ...rest])
          : Effect.fail(error)
      ),
      Effect.flatMap((reply) =>
        decode(
          {
            store: "redis",
            operation: call.operation,
            subject: `answer of ${script.name}`,
            outcome: call.kind === "read" ? "not-applied" : "unknown"
          },
          reply
        )
      )
    )
  }
}
