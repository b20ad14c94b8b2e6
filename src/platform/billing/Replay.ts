import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { IdempotencyConflict } from "../../core/Idempotency.ts"

interface Request {
  readonly idempotencyKey: string
  readonly requestHash: string
}

/** What the key of a request made before; fails with `IdempotencyConflict` where it was another request that had the key. */
export const madeBy =
  (subject: string, { idempotencyKey, requestHash }: Request) =>
  <Row extends Request>(found: Option.Option<Row>): Effect.Effect<Option.Option<Row>, IdempotencyConflict> =>
    Option.isSome(found) && found.value.requestHash !== requestHash
      ? Effect.fail(new IdempotencyConflict({ subject, key: idempotencyKey }))
      : Effect.succeed(found)
