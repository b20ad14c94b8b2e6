import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import { directDecoder } from "./DirectDecoder.ts"
import { fieldProblems } from "./FieldProblems.ts"
import type { Store } from "./Store.ts"
import { type FieldProblem, InvalidData, type Outcome, StoreError } from "./StoreError.ts"

/** What is decoded, and for whom. */
export interface Subject {
  readonly store: Store
  readonly operation: string
  /** `input`, `row 3`, `document 66f0…`; the start of the sentence that names the wrong field. */
  readonly subject: string
  /** `unknown` for what a write answered, or may have: it was applied, whatever its answer looks like. `not-applied` by default. */
  readonly outcome?: Outcome | undefined
}

/** The failure that names what is wrong with a subject; not applied, unless the subject says otherwise. */
export const invalidData = (at: Subject, problems: ReadonlyArray<FieldProblem>): StoreError =>
  new StoreError({
    store: at.store,
    operation: at.operation,
    outcome: at.outcome ?? "not-applied",
    reason: new InvalidData({ subject: at.subject, problems: [...problems] })
  })

const failWith = (at: Subject, cause: Cause.Cause<SchemaIssue.Issue>): Exit.Exit<never, StoreError> =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Exit.failCause(cause as Cause.Cause<never>),
    onSome: (issue) => Exit.fail(invalidData(at, fieldProblems(issue)))
  })

type Plain<A> = Schema.ConstraintDecoder<A>

type Decoder<A> = (value: unknown) => Exit.Exit<A, SchemaIssue.Issue>

/**
 * Effect compiles a schema to a function, which takes a third of the interpreter's time for a row of seven columns. Where the
 * process forbids code from text, the interpreter decodes as ever.
 */
const compiled = <A>(schema: Plain<A>, options?: SchemaAST.ParseOptions): Decoder<A> => {
  SchemaJITCompiler.enable(schema.ast)
  const decode = SchemaParser.decodeUnknownExit(schema, options)
  const direct = directDecoder(schema, { exact: options?.onExcessProperty === "error" })
  if (direct === undefined) return decode
  return (value) => {
    const decoded = direct(value)
    return decoded === undefined ? decode(value) : Exit.succeed(decoded)
  }
}

/** A schema's decoder, made at its first use. */
const decoderOf = <A>(schema: Plain<A>, options?: SchemaAST.ParseOptions): Decoder<A> => {
  let decode: Decoder<A> | undefined
  return (value) => (decode ??= compiled(schema, options))(value)
}

/**
 * Checks a value that a caller gave: every wrong field is named, and unknown fields are refused.
 *
 * Fails with `StoreError` (`InvalidData`, not applied) before anything is sent to the store.
 */
export const decodeInput = <A>(schema: Plain<A>): ((at: Subject, input: unknown) => Exit.Exit<A, StoreError>) => {
  const decode = decoderOf(schema, { errors: "all", onExcessProperty: "error" })
  return (at, input) => {
    const exit = decode(input)
    return Exit.isSuccess(exit) ? Exit.succeed(exit.value) : failWith(at, exit.cause)
  }
}

/**
 * Decodes one value that came from a store: a row, a document, a cached value.
 *
 * Fields that the schema does not know are dropped. Fails with `StoreError` (`InvalidData`) naming the subject and the path.
 */
export const decodeStored = <A>(schema: Plain<A>): ((at: Subject, stored: unknown) => Exit.Exit<A, StoreError>) => {
  const decode = decoderOf(schema)
  // Looking for every wrong field costs a third more, and only a failure wants to know.
  const explain = decoderOf(schema, { errors: "all" })
  return (at, stored) => {
    const exit = decode(stored)
    if (Exit.isSuccess(exit)) return Exit.succeed(exit.value)
    const told = explain(stored)
    return failWith(at, Exit.isSuccess(told) ? exit.cause : told.cause)
  }
}
