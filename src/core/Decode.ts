import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaCompiler from "effect/schema/SchemaCompiler"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
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

const failWith = (at: Subject, cause: Cause.Cause<SchemaIssue.Issue>): Exit.Exit<never, StoreError> =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => Exit.failCause(cause as Cause.Cause<never>),
    onSome: (issue) => Exit.fail(invalidData(at, fieldProblems(issue)))
  })

type Plain<A> = Schema.ConstraintDecoder<A>

/**
 * A schema whose right values are decoded by one function, which answers undefined to any other value.
 *
 * Effect's interpreter takes a quarter of a microsecond for each transformation. It still decodes wrong values, to say what is
 * wrong, so the function must mean what the schema means.
 */
export const decodedBy = <S extends Schema.Top & Schema.ConstraintDecoder<unknown>>(
  schema: S,
  decode: (value: unknown) => S["Type"] | undefined
): S["Rebuild"] => {
  const compiled = schema.annotate({})
  SchemaCompiler.set(compiled.ast, {
    decode: (value) => {
      const decoded = decode(value)
      return decoded === undefined ? SchemaCompiler.invalid : decoded
    },
    decodeEffect: SchemaParser.decodeUnknownEffect(schema)
  })
  return compiled
}

/**
 * A schema's decoder, made at its first use.
 *
 * Effect compiles a schema to a function, which takes a third of the interpreter's time for a row of seven columns. Where the
 * process forbids code from text, the interpreter decodes as ever.
 */
const decoderOf = <A>(schema: Plain<A>, options?: SchemaAST.ParseOptions) => {
  let decode: ((input: unknown) => Exit.Exit<A, SchemaIssue.Issue>) | undefined
  return (input: unknown): Exit.Exit<A, SchemaIssue.Issue> => {
    if (decode === undefined) {
      SchemaJITCompiler.enable(schema.ast)
      decode = SchemaParser.decodeUnknownExit(schema, options)
    }
    return decode(input)
  }
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
