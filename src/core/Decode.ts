import { Effect, Exit, Cause, Option, type Schema, type SchemaIssue, SchemaParser } from "effect"
import { fieldProblems } from "./FieldProblems.ts"
import type { Store } from "./Store.ts"
import { type FieldProblem, InvalidData, StoreError } from "./StoreError.ts"

/** What is decoded, and for whom. */
export interface Subject {
  readonly store: Store
  readonly operation: string
  /** `input`, `row 3`, `document 66f0…`; the start of the sentence that names the wrong field. */
  readonly subject: string
}

/** The failure that names what is wrong with a subject; nothing was sent. */
export const invalidData = (at: Subject, problems: ReadonlyArray<FieldProblem>): StoreError =>
  new StoreError({
    store: at.store,
    operation: at.operation,
    outcome: "not-applied",
    reason: new InvalidData({ subject: at.subject, problems: [...problems] })
  })

const failWith = (at: Subject, cause: Cause.Cause<SchemaIssue.Issue>): Effect.Effect<never, StoreError> =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Effect.failCause(cause as Cause.Cause<never>),
    onSome: (issue) => Effect.fail(invalidData(at, fieldProblems(issue)))
  })

type Plain<A> = Schema.ConstraintDecoder<A>

/**
 * Checks a value that a caller gave: every wrong field is named, and unknown fields are refused.
 *
 * Fails with `StoreError` (`InvalidData`, not applied) before anything is sent to the store.
 */
export const decodeInput = <A>(schema: Plain<A>): ((at: Subject, input: unknown) => Effect.Effect<A, StoreError>) => {
  const decode = SchemaParser.decodeUnknownExit(schema, { errors: "all", onExcessProperty: "error" })
  return (at, input) => {
    const exit = decode(input)
    return Exit.isSuccess(exit) ? Effect.succeed(exit.value) : failWith(at, exit.cause)
  }
}

/**
 * Decodes one value that came from a store: a row, a document, a cached value.
 *
 * Fields that the schema does not know are dropped. Fails with `StoreError` (`InvalidData`) naming the subject and the path.
 */
export const decodeStored = <A>(schema: Plain<A>): ((at: Subject, stored: unknown) => Effect.Effect<A, StoreError>) => {
  const decode = SchemaParser.decodeUnknownExit(schema)
  // Looking for every wrong field costs a third more, and only a failure wants to know.
  const explain = SchemaParser.decodeUnknownExit(schema, { errors: "all" })
  return (at, stored) => {
    const exit = decode(stored)
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    const told = explain(stored)
    return failWith(at, Exit.isSuccess(told) ? exit.cause : told.cause)
  }
}
