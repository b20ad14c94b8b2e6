import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { within } from "../../core/Deadline.ts"
import { isStoreError } from "../../core/StoreError.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { same, stop } from "./billing/support.ts"
import { refuses, untyped } from "../Expectations.ts"

/** What a capability finds by id. */
export interface FoundById<Id, A, E> {
  readonly find: (id: Id) => Effect.Effect<Option.Option<A>, E>
  readonly findMany: (ids: ReadonlyArray<Id>) => Effect.Effect<ReadonlyArray<Option.Option<A>>, E>
}

const together = { concurrency: "unbounded" } as const

const assertFound = <A extends { readonly id: string }>(
  found: ReadonlyArray<Option.Option<A>>,
  expected: ReadonlyArray<A | undefined>
) => same(found, expected.map(Option.fromUndefinedOr))

/**
 * Fails unless what `make` makes is found by id, one at a time, at once and many together: each in the place of its id, and none
 * where there is none; inside a transaction as it is there, and not once that is rolled back. Failures of many bear `operation`.
 */
export const findsById = <A extends { readonly id: string }, E, R>(
  operation: string,
  make: Effect.Effect<A, unknown, R>,
  { find, findMany }: FoundById<A["id"], A, E>
): Effect.Effect<void, unknown, R | Transaction> =>
  Effect.gen(function* () {
    const [one, two] = [yield* make, yield* make]
    const nobody: A["id"] = untyped("01900000-0000-7000-8000-000000000000")
    const [ids, expected] = [
      [two.id, nobody, one.id, two.id],
      [two, undefined, one, two]
    ]
    assertFound(yield* findMany(ids), expected)
    assertFound(yield* Effect.forEach(ids, find, together), expected)
    assertFound(yield* Effect.forEach(ids, find), expected)
    assert.deepEqual(yield* findMany([]), [])
    yield* refuses(findMany(untyped([one.id, "x"])), operation, ["ids[1]"])
    const late = yield* Effect.flip(findMany([one.id]).pipe(within(0)))
    assert.ok(isStoreError(late) && late.operation === operation, String(late))

    let made: A | undefined
    const { run } = yield* Transaction
    const rolledBack = run(
      Effect.gen(function* () {
        made = yield* make
        const inside = [made.id, nobody, one.id]
        assertFound(yield* Effect.forEach(inside, find, together), [made, undefined, one])
        assertFound(yield* findMany(inside), [made, undefined, one])
        return yield* Effect.fail(stop)
      })
    )
    assert.deepEqual(yield* Effect.flip(rolledBack), stop)
    assert.ok(made)
    assertFound(yield* findMany([made.id, one.id]), [undefined, one])
    assertFound(yield* Effect.forEach([made.id, one.id], find, together), [undefined, one])
  })
