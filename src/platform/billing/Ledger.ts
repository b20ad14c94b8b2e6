import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { IdempotencyConflict } from "../../core/Idempotency.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import * as Money from "../Money.ts"
import type { UserId } from "../users/Users.ts"
import { creditBalances, type CreditMovementRow, creditMovements } from "./BillingTables.ts"
import { CreditMovementId, InsufficientCredit } from "./Credit.ts"
import { madeBy } from "./Replay.ts"
import type { Tables } from "../tables/Tables.ts"

/** What moves a balance. */
export type Movement = Pick<
  CreditMovementRow,
  "amount" | "description" | "idempotencyKey" | "invoiceId" | "requestHash"
>

/** A user's credit in a currency, held until the transaction ends. */
export interface Account {
  readonly balance: number
  /** What the key made before. */
  readonly madeBefore: (
    request: Pick<Movement, "idempotencyKey" | "requestHash">
  ) => Effect.Effect<Option.Option<CreditMovementRow>, IdempotencyConflict | StoreError>
  /** Adds a movement; what the key made before is not looked for. */
  readonly move: (
    movement: Movement
  ) => Effect.Effect<CreditMovementRow, InsufficientCredit | Money.MoneyOverflow | IdempotencyConflict | StoreError>
}

/** Opens accounts, inside a transaction. */
export type Ledger = (operation: string, userId: UserId, currency: Money.Currency) => Effect.Effect<Account, StoreError>

export const makeLedger = ({ insertNew, one, replace }: Tables): Ledger => {
  const nextId = makeIdsOf(CreditMovementId)
  return Effect.fnUntraced(function* (operation, userId, currency) {
    const empty = { userId, currency, balance: 0, movements: 0 }
    yield* insertNew(operation, creditBalances, [empty])
    const held = yield* one(operation, creditBalances, { where: { userId, currency }, lock: "update" })
    const { balance, movements } = Option.getOrElse(held, () => empty)

    const move: Account["move"] = Effect.fnUntraced(function* (movement) {
      const after = balance + movement.amount
      if (after < 0) return yield* new InsufficientCredit({ userId, available: Money.make(balance, currency) })
      if (!Number.isSafeInteger(after)) return yield* new Money.MoneyOverflow({ currency })
      const row: CreditMovementRow = {
        ...movement,
        id: yield* nextId,
        userId,
        currency,
        sequence: movements + 1,
        balanceAfter: after,
        createdAt: yield* DateTime.now
      }
      const made = yield* insertNew(operation, creditMovements, [row])
      // Somebody used the key for another account at the same moment.
      if (made.length === 0) {
        return yield* new IdempotencyConflict({ subject: "credit movement", key: movement.idempotencyKey })
      }
      yield* replace(operation, creditBalances, { userId, currency, balance: after, movements: movements + 1 })
      return row
    })

    return {
      balance,
      madeBefore: (request) =>
        Effect.flatMap(
          one(operation, creditMovements, { where: { idempotencyKey: request.idempotencyKey } }),
          madeBy("credit movement", request)
        ),
      move
    }
  })
}
