import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaCompiler from "effect/schema/SchemaCompiler"

/** Decodes a right value; undefined for any other one, which the schema's own decoder must look at. */
type Direct = (value: unknown) => unknown

const known = new WeakMap<SchemaAST.AST, Direct>()

/**
 * A schema whose right values are decoded by one function, which answers undefined to any other value.
 *
 * Effect's interpreter takes a quarter of a microsecond for each transformation. It still decodes what the function leaves to
 * it, so what the function decodes must be what the schema makes of it.
 */
export const decodedBy = <S extends Schema.Top & Schema.ConstraintDecoder<unknown>>(
  schema: S,
  decode: (value: unknown) => S["Type"] | undefined
): S["Rebuild"] => {
  const compiled = schema.annotate({})
  known.set(compiled.ast, decode)
  SchemaCompiler.set(compiled.ast, {
    decode: (value) => {
      const decoded = decode(value)
      return decoded === undefined ? SchemaCompiler.invalid : decoded
    },
    decodeEffect: SchemaParser.decodeUnknownEffect(schema)
  })
  return compiled
}

/** Whether more is to be done for the schema than its own kind says: a transformation, or a check of what it is made from. */
const isEncoded = (ast: SchemaAST.AST): boolean =>
  ast.encoding !== undefined || ("encodingChecks" in ast && ast.encodingChecks !== undefined)

type Test = (value: unknown) => boolean

const typeTest = (ast: SchemaAST.AST): Test | undefined => {
  switch (ast._tag) {
    case "String":
      return (value) => typeof value === "string"
    case "Number":
      return (value) => typeof value === "number"
    case "Boolean":
      return (value) => typeof value === "boolean"
    case "BigInt":
      return (value) => typeof value === "bigint"
    case "Null":
      return (value) => value === null
    case "Literal":
      return (value) => value === ast.literal
    case "Union": {
      if (ast.options?.mode === "oneOf") return undefined
      const tests = ast.types.map(plainTest)
      return tests.every((test) => test !== undefined) ? (value) => tests.some((test) => test(value)) : undefined
    }
    default:
      return undefined
  }
}

const filtersOf = (checks: ReadonlyArray<SchemaAST.Check<unknown>>): ReadonlyArray<SchemaAST.Filter<unknown>> =>
  checks.flatMap((check) => (check._tag === "FilterGroup" ? filtersOf(check.checks) : [check]))

/** Whether a value is right as it is; undefined for a schema of other things than plain values. */
const plainTest = (ast: SchemaAST.AST): Test | undefined => {
  if (isEncoded(ast)) return undefined
  const isOfType = typeTest(ast)
  const filters = filtersOf(ast.checks ?? [])
  return isOfType === undefined || filters.length === 0
    ? isOfType
    : (value) => isOfType(value) && filters.every((filter) => filter.run(value, ast, {}) === undefined)
}

const struct = (ast: SchemaAST.Objects, exact: boolean): Direct | undefined => {
  if (ast.indexSignatures.length > 0) return undefined
  const fields: Array<{ readonly name: string; readonly optional: boolean; readonly decode: Direct }> = []
  for (const { name, type } of ast.propertySignatures) {
    const decode = direct(type, exact)
    if (decode === undefined || typeof name !== "string" || name === "__proto__") return undefined
    fields.push({ name, optional: type.context?.isOptional === true, decode })
  }
  const names = new Set<PropertyKey>(fields.map(({ name }) => name))
  return (value) => {
    if (!Predicate.isObject(value)) return undefined
    if (exact && !Reflect.ownKeys(value).every((key) => names.has(key))) return undefined
    const decoded: Record<string, unknown> = {}
    for (let i = 0; i < fields.length; i++) {
      const { decode, name, optional } = fields[i]!
      const given = value[name]
      if (given === undefined && optional && !(name in value)) continue
      const field = decode(given)
      if (field === undefined) return undefined
      decoded[name] = field
    }
    return decoded
  }
}

const list = (ast: SchemaAST.Arrays, exact: boolean): Direct | undefined => {
  const [item, ...others] = ast.rest
  if (item === undefined || others.length > 0 || ast.elements.length > 0) return undefined
  const decode = direct(item, exact)
  if (decode === undefined) return undefined
  return (values) => {
    if (!Array.isArray(values)) return undefined
    const decoded: Array<unknown> = []
    for (const value of values) {
      const one = decode(value)
      if (one === undefined) return undefined
      decoded.push(one)
    }
    return decoded
  }
}

const direct = (ast: SchemaAST.AST, exact: boolean): Direct | undefined => {
  const own = known.get(ast)
  if (own !== undefined) return own
  const isRight = plainTest(ast)
  if (isRight !== undefined) return (value) => (isRight(value) ? value : undefined)
  if (isEncoded(ast) || ast.checks !== undefined) return undefined
  if (ast._tag === "Objects") return struct(ast, exact)
  return ast._tag === "Arrays" ? list(ast, exact) : undefined
}

/**
 * A decoder of the right values of a schema, undefined for a schema that is made of more than plain values, of
 * {@link decodedBy}, and of structs and arrays of them.
 *
 * When a store has answered, the processor's caches have forgotten the decoder, so that its size counts more than its steps: these
 * loops take as long as the compiled schema where they are repeated, and less after a call (docs/decisions/0017).
 */
export const directDecoder = <A>(
  schema: Schema.ConstraintDecoder<A>,
  {
    exact
  }: {
    /** Whether a value that has fields that the schema does not know is left to the schema. */
    readonly exact: boolean
  }
): ((value: unknown) => A | undefined) | undefined => {
  // What a decoder of a schema gives is the schema's type.
  const decode = direct(schema.ast, exact) as ((value: unknown) => A | undefined) | undefined
  if (decode === undefined) return undefined
  return (value) => {
    try {
      return decode(value)
    } catch {
      // A getter, say: the schema's own decoder tells of it.
      return undefined
    }
  }
}
