import { Cause, Effect, Exit, Option, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import { isStoreError } from "../../../src/core/StoreError.ts"
import type { Attempt } from "./Attempt.ts"
import { fewTexts, hostileNames, hostileTexts, numbered, searchTexts } from "./hostileTexts.ts"
import { type Place, placesOf } from "./places.ts"

/** A method that is given what no type has checked. */
export type Method = (
  ...given: ReadonlyArray<unknown>
) => Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown>

/** An attempt at whatever method. */
export type SomeAttempt<R> = Attempt<ReadonlyArray<unknown>, unknown, R>

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Whether a text is somewhere in a value, whole, as a value or as the name of a field. */
const holds = (value: unknown, text: string): boolean => {
  if (Redacted.isRedacted(value)) return Redacted.value(value) === text
  if (!isObject(value)) return value === text
  return Object.entries(value).some(([name, item]) => name === text || holds(item, text))
}

const isNothing = (found: unknown): boolean => {
  if (Option.isOption(found)) return Option.isNone(found)
  if (Array.isArray(found)) return found.length === 0
  if (isObject(found) && "items" in found) return isNothing(found.items)
  if (isObject(found)) return Object.values(found).every(isNothing)
  return found === false || found === 0
}

/** Whether a refusal names the place: the field itself, what it is in, or what it holds. */
const names = (named: string, field: string): boolean =>
  named === field ||
  (named !== "" && [".", "["].some((after) => field.startsWith(named + after))) ||
  (field === "" ? named !== "" : [".", "["].some((after) => named.startsWith(field + after)))

/** What became of a call: it was let in, or refused in a way that is meant for it. */
type Answer = { readonly _tag: "let in"; readonly result: unknown } | { readonly _tag: "refused"; readonly by: string }

const answerOf = (exit: Exit.Exit<unknown, unknown>, { field }: Place, about: string): Answer => {
  if (Exit.isSuccess(exit)) return { _tag: "let in", result: exit.value }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  assert.ok(error !== undefined, `${about}: ${Cause.pretty(exit.cause)}`)
  if (!isStoreError(error)) {
    assert.ok(isObject(error) && "_tag" in error, `${about}: ${String(error)}`)
    return { _tag: "refused", by: String(error._tag) }
  }
  const { outcome, reason } = error
  assert.ok(reason._tag === "InvalidData", `${about}: ${String(error)} ${JSON.stringify(error)}`)
  // What the check of inputs refuses was not sent.
  assert.deepEqual([outcome, reason.subject], ["not-applied", "input"], about)
  assert.ok(reason.problems.length > 0, about)
  for (const problem of reason.problems) assert.ok(names(problem.field, field), `${about}: named ${problem.field}`)
  return { _tag: "refused", by: "InvalidData" }
}

const textsFor: Record<Place["kind"], Readonly<Record<string, string>>> = {
  text: hostileTexts,
  cursor: hostileTexts,
  name: hostileNames,
  "other value": fewTexts
}

/** Gives a method every hostile text in every place of its parameters. */
export const attack = <R>(path: string, method: Method, attempt: SomeAttempt<R>): Effect.Effect<void, unknown, R> =>
  Effect.gen(function* () {
    const { keeps, parameters, passing = [], refusals = [], samples, within = (call) => call } = attempt
    const call = (given: ReadonlyArray<unknown>) =>
      within(
        Effect.suspend((): Effect.Effect<unknown, unknown> => {
          const answer = method(...given)
          return Stream.isStream(answer) ? Stream.runCollect(answer) : answer
        })
      )
    const used = new Set<string>()
    const hollow = new Set<string>()
    const filled = new Set<string>()

    /** Whether the text was let in. */
    const put = (place: Place, text: string, about: string) =>
      Effect.gen(function* () {
        const given = place.put(text)
        const answer = answerOf(yield* Effect.exit(call(given)), place, about)
        if (answer._tag === "refused") {
          if (answer.by !== "InvalidData") assert.ok(refusals.includes(answer.by), `${about}: ${answer.by}`)
          used.add(answer.by)
          return false
        }
        if (place.kind === "cursor") return true
        if (passing.includes(place.field)) used.add(place.field)
        else if (keeps === undefined) assert.ok(isNothing(answer.result), `${about}: found something`)
        else {
          const kept = yield* keeps(answer.result, given)
          assert.ok(holds(kept, text), `${about}: not kept as it is`)
          used.add("keeps")
        }
        return true
      })

    for (const sample of samples) {
      let given = yield* sample
      let places = placesOf(parameters, given)
      for (const { field, isHollow } of places) {
        if (isHollow !== undefined) (isHollow ? hollow : filled).add(field.replace(/\[\d+\]/g, "[]"))
      }
      for (let at = 0; at < places.length; at++) {
        const { before, field, kind } = places[at]!
        for (const [what, hostile] of Object.entries(
          kind === "text" && keeps === undefined ? searchTexts : textsFor[kind]
        )) {
          const text = numbered(hostile)
          const about = `${path}: ${what} as ${kind} in ${field}`
          // Where it is refused by itself, it may be let in behind what is let in.
          for (const attempted of before === undefined ? [text] : [text, before + text]) {
            if (!(yield* put(places[at]!, attempted, about))) continue
            // A question leaves everything as it was.
            if (keeps !== undefined || passing.includes(field)) {
              given = yield* sample
              places = placesOf(parameters, given)
            }
            break
          }
        }
      }
      // The rest of the call was right: nothing but the text was refused, and it has changed nothing.
      yield* call(given)
    }
    assert.deepEqual(
      [...hollow].filter((field) => !filled.has(field)),
      [],
      `${path}: no sample has anything in these`
    )
    for (const expected of [...passing, ...refusals, ...(keeps === undefined ? [] : ["keeps"])]) {
      assert.ok(used.has(expected), `${path}: ${expected} was of no use`)
    }
  })
