import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { decodeStored, invalidData, type Subject } from "../core/Decode.ts"
import { fieldProblems } from "../core/FieldProblems.ts"
import type { FieldProblem, StoreError } from "../core/StoreError.ts"
import type { Document, DocumentSchema, ResultSchema, Update } from "./MongoCollection.ts"
import { Condition, type Filter, Joined } from "./MongoFilter.ts"

/** The input is wrong; nothing was sent. */
export const invalidInput = (operation: string, problems: ReadonlyArray<FieldProblem>): StoreError =>
  invalidData({ store: "mongodb", operation, subject: "input" }, problems)

class Wrong {
  readonly problems: ReadonlyArray<FieldProblem>
  constructor(problems: ReadonlyArray<FieldProblem>) {
    this.problems = problems
  }
}

/** Encoded value, or what is wrong with it. */
type Encoded<A = unknown> = { readonly ok: A } | Wrong

const wrong = (field: string, problem: string): Wrong => new Wrong([{ field, problem }])

const problemsOf = (cause: Cause.Cause<SchemaIssue.Issue>, prefix: string): Wrong =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => wrong(prefix, "cannot be encoded"),
    onSome: (issue) =>
      new Wrong(
        fieldProblems(issue).map(({ field, problem }) => ({
          field:
            field === "" || prefix === ""
              ? `${prefix}${field}`
              : `${prefix}${field.startsWith("[") ? "" : "."}${field}`,
          problem
        }))
      )
  })

const encoder = (schema: Schema.Constraint): ((prefix: string, value: unknown) => Encoded) => {
  // A collection's Schema needs no services (its type says so), and so none of its fields does.
  const encode = SchemaParser.encodeUnknownExit(schema as Schema.ConstraintEncoder<unknown>, {
    errors: "all",
    onExcessProperty: "error"
  })
  return (prefix, value) => {
    const exit = encode(value)
    return Exit.isSuccess(exit) ? { ok: exit.value } : problemsOf(exit.cause, prefix)
  }
}

/** An `_id` as a report names it. */
const idText = (id: unknown): string =>
  typeof id === "object" && id !== null && "toHexString" in id && typeof id.toHexString === "function"
    ? String(id.toHexString())
    : typeof id === "string" || typeof id === "number"
      ? String(id)
      : "of unknown _id"

/** A document that was read. Its name is made when it is asked for, because only a failure does. */
class ReadDocument implements Subject {
  readonly store = "mongodb"
  readonly operation: string
  readonly #collection: string
  readonly #document: Document

  constructor(operation: string, collection: string, document: Document) {
    this.operation = operation
    this.#collection = collection
    this.#document = document
  }

  get subject(): string {
    return `${this.#collection} document ${idText(this.#document["_id"])}`
  }
}

const isRecord = (u: unknown): u is Document => typeof u === "object" && u !== null && !Array.isArray(u)

/** Never an operator, whatever is in it, so that equality needs no `$eq`; the server has less to read. */
const isPlain = (u: unknown): boolean =>
  typeof u === "string" || typeof u === "number" || typeof u === "boolean" || typeof u === "bigint"

/** A path of field names: no empty segment, and none that is an operator or the prototype. */
const isPath = (path: string): boolean =>
  path.split(".").every((part) => part !== "" && !part.startsWith("$") && part !== "__proto__" && !part.includes("\0"))

/** Between a document of the program and one of the store; nothing in here does I/O. */
export interface DocumentCodec<T> {
  readonly encode: (operation: string, document: T, at?: string) => Exit.Exit<Document, StoreError>
  readonly decode: (operation: string, stored: Document) => Exit.Exit<T, StoreError>
  readonly filter: (operation: string, filter: Filter<T>) => Exit.Exit<Document, StoreError>
  readonly update: (operation: string, update: Update<T>) => Exit.Exit<Document, StoreError>
}

const updateOperators = new Set(["$set", "$inc", "$unset", "$push"])

const orFail = <A>(operation: string, encoded: Encoded<A>): Exit.Exit<A, StoreError> =>
  encoded instanceof Wrong ? Exit.fail(invalidInput(operation, encoded.problems)) : Exit.succeed(encoded.ok)

/** Makes the codec of one collection. */
export const make = <T>(collection: string, schema: DocumentSchema<T>): DocumentCodec<T> => {
  const encodeWhole = encoder(schema)
  const decodeDocument = decodeStored(schema)
  const fieldEncoders = new Map<string, (prefix: string, value: unknown) => Encoded>()
  const hasId = "_id" in schema.fields

  const encodeField = (field: string, value: unknown): Encoded => {
    if (value === undefined) return wrong(field, "must not be undefined")
    if (value instanceof RegExp) return wrong(field, "must not be a regular expression")
    const known = fieldEncoders.get(field)
    if (known !== undefined) return known(field, value)
    const [top = ""] = field.split(".")
    if (top !== "_id" && !Object.hasOwn(schema.fields, top)) return wrong(field, "is not a known field")
    if (!isPath(field)) return wrong(field, "is not a path of fields")
    if (field !== top || (field === "_id" && !hasId)) return { ok: value }
    const encode = encoder(schema.fields[field]!)
    fieldEncoders.set(field, encode)
    return encode(field, value)
  }

  const encodeCondition = (field: string, condition: unknown): Encoded => {
    if (!(condition instanceof Condition)) {
      const encoded = encodeField(field, condition)
      return encoded instanceof Wrong || isPlain(encoded.ok) ? encoded : { ok: { $eq: encoded.ok } }
    }
    if (condition.operand === "values") {
      if (!Array.isArray(condition.value)) return wrong(field, "must be compared with an array")
      const values: Array<unknown> = []
      for (const [i, value] of condition.value.entries()) {
        const encoded = encodeField(field, value)
        if (encoded instanceof Wrong) {
          return new Wrong(encoded.problems.map((p) => ({ ...p, field: `${p.field} (value ${i})` })))
        }
        values.push(encoded.ok)
      }
      return { ok: { [condition.operator]: values } }
    }
    if (condition.operand === "value") {
      const encoded = encodeField(field, condition.value)
      return encoded instanceof Wrong ? encoded : { ok: { [condition.operator]: encoded.ok } }
    }
    const [top = ""] = field.split(".")
    if (!isPath(field) || (top !== "_id" && !Object.hasOwn(schema.fields, top))) {
      return wrong(field, "is not a known field")
    }
    return { ok: { [condition.operator]: condition.value } }
  }

  const encodeFilter = (filter: unknown): Encoded<Document> => {
    if (filter instanceof Joined) {
      if (filter.operator === "raw") return isRecord(filter.parts[0]) ? { ok: filter.parts[0] } : wrong("", "no filter")
      const parts: Array<Document> = []
      for (const part of filter.parts) {
        const encoded = encodeFilter(part)
        if (encoded instanceof Wrong) return encoded
        parts.push(encoded.ok)
      }
      // Neither operator takes an empty list: all of nothing is everything, any of nothing is nothing.
      if (parts.length === 0) return { ok: filter.operator === "$and" ? {} : { _id: { $in: [] } } }
      return { ok: { [filter.operator]: parts } }
    }
    if (!isRecord(filter)) return wrong("", "must be a filter")
    const found: Record<string, unknown> = {}
    let problems: Array<FieldProblem> | undefined
    for (const field of Object.keys(filter)) {
      const encoded = encodeCondition(field, filter[field])
      if (encoded instanceof Wrong) (problems ??= []).push(...encoded.problems)
      else found[field] = encoded.ok
    }
    return problems === undefined ? { ok: found } : new Wrong(problems)
  }

  const encodePushed = (field: string, element: unknown): Encoded => {
    const encoded = encodeField(field, [element])
    // `$each` keeps an element that looks like a modifier an element.
    return encoded instanceof Wrong ? encoded : { ok: { $each: encoded.ok } }
  }

  const encodeIncrement = (field: string, by: unknown): Encoded => {
    const [top = ""] = field.split(".")
    if (!isPath(field) || !Object.hasOwn(schema.fields, top)) return wrong(field, "is not a known field")
    return typeof by === "number" && Number.isFinite(by) ? { ok: by } : wrong(field, "must be a finite number")
  }

  const encodeUpdate = (update: unknown): Encoded<Document> => {
    if (!isRecord(update)) return wrong("", "must be an update")
    const made: Record<string, Record<string, unknown>> = {}
    const problems: Array<FieldProblem> = []
    const add = (operator: string, field: string, encoded: Encoded): void => {
      if (encoded instanceof Wrong) problems.push(...encoded.problems)
      else (made[operator] ??= {})[field] = encoded.ok
    }
    for (const [operator, fields] of Object.entries(update)) {
      if (fields === undefined) continue
      if (!updateOperators.has(operator)) problems.push({ field: operator, problem: "is not an update operator" })
      else if (operator === "$unset") {
        if (!Array.isArray(fields)) problems.push({ field: operator, problem: "must be a list of fields" })
        else {
          for (const field of fields.map(String)) {
            const known = isPath(field) && Object.hasOwn(schema.fields, field.split(".")[0] ?? "")
            add(operator, field, known ? { ok: "" } : wrong(field, "is not a known field"))
          }
        }
      } else if (!isRecord(fields)) problems.push({ field: operator, problem: "must name fields" })
      else {
        for (const [field, value] of Object.entries(fields)) {
          if (operator === "$set") add(operator, field, encodeField(field, value))
          else if (operator === "$inc") add(operator, field, encodeIncrement(field, value))
          else add(operator, field, encodePushed(field, value))
        }
      }
    }
    if (problems.length > 0) return new Wrong(problems)
    return Object.keys(made).length === 0 ? wrong("", "must change something") : { ok: made }
  }

  return {
    encode: (operation, document, at = "") => {
      const encoded = encodeWhole(at, document)
      return encoded instanceof Wrong || isRecord(encoded.ok)
        ? orFail(operation, encoded as Encoded<Document>)
        : Exit.fail(invalidInput(operation, [{ field: at, problem: "must be a document" }]))
    },
    decode: (operation, stored) => decodeDocument(new ReadDocument(operation, collection, stored), stored),
    filter: (operation, filter) => orFail(operation, encodeFilter(filter)),
    update: (operation, update) => orFail(operation, encodeUpdate(update))
  }
}

/** Decodes what a pipeline made, naming the collection and the place of the wrong result. */
export const decodeResults = <A>(
  collection: string,
  schema: ResultSchema<A>
): ((operation: string, index: number, result: Document) => Exit.Exit<A, StoreError>) => {
  const decode = decodeStored(schema)
  return (operation, index, result) =>
    decode({ store: "mongodb", operation, subject: `${collection} result ${index}` }, result)
}
