import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import type { Page } from "../core/KeysetPage.ts"
import { isStoreError, type StoreError } from "../core/StoreError.ts"

/** Names of the fields that a failure says are wrong; its reason where it is another failure. */
const problemFields = (error: StoreError): ReadonlyArray<string> =>
  error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]

/** Fails unless the effect is refused as invalid, naming exactly these fields. */
export const refuses = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  operation: string,
  fields: ReadonlyArray<string>
): Effect.Effect<void, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), `failed with ${String(error)}`)
    assert.equal(error.operation, operation)
    assert.equal(error.outcome, "not-applied")
    assert.deepEqual([...new Set(problemFields(error))].sort(), [...fields].sort())
  })

/** What the effect fails with. */
export const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, unknown, R> => Effect.flip(effect)

/** Fails unless the effect fails with this tag; gives the failure. */
export const failsWith = <A, E extends { readonly _tag: string }, R, const Tag extends E["_tag"]>(
  effect: Effect.Effect<A, E, R>,
  tag: Tag
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, unknown, R> =>
  Effect.map(failure(effect), (error) => {
    assert.equal(error._tag, tag, String(error))
    return error as Extract<E, { readonly _tag: Tag }>
  })

/** What arrives from outside the type system: a request's body, a JavaScript caller. */
export const untyped = (value: unknown): never => value as never

/** The cursor that another list would make whose keys have the same form. */
const ofAnotherList = (cursor: string): string => {
  const [list, key]: ReadonlyArray<unknown> = JSON.parse(Buffer.from(cursor, "base64url").toString())
  return Buffer.from(JSON.stringify([`not ${String(list)}`, key])).toString("base64url")
}

/** Fails unless a list refuses this cursor of its own where it bears another list's name, and says what to give instead. */
export const refusesOtherLists = <Cursor extends string, E, R>(
  list: (after: Cursor) => Effect.Effect<unknown, E, R>,
  cursor: Cursor
): Effect.Effect<void, unknown, R> =>
  Effect.map(Effect.flip(list(untyped(ofAnotherList(cursor)))), (error) => {
    assert.ok(isStoreError(error) && error.reason._tag === "InvalidData", String(error))
    assert.equal(error.outcome, "not-applied")
    const [problem, ...others] = error.reason.problems
    assert.deepEqual(others, [])
    assert.match(problem?.field ?? "", /^(?:options\.)?after$/)
    assert.match(problem?.problem ?? "", /^must be the `next` of a page of the list ".+"$/)
  })

/** Reads a list to its end; gives the pages. On the way the list refuses each cursor under another list's name. */
export const pages = <A, Cursor extends string, E, R>(
  list: (after: Cursor | undefined) => Effect.Effect<Page<A, Cursor>, E, R>
): Effect.Effect<ReadonlyArray<ReadonlyArray<A>>, unknown, R> =>
  Effect.gen(function* () {
    const read: Array<ReadonlyArray<A>> = []
    let after: Cursor | undefined
    do {
      const page: Page<A, Cursor> = yield* list(after)
      read.push(page.items)
      after = Option.getOrUndefined(page.next)
      if (after !== undefined) yield* refusesOtherLists(list, after)
    } while (after !== undefined)
    return read
  })
