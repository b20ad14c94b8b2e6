/** What one field must be; made by {@link Where}, and by nothing that can come from outside. */
export class Condition<out A> {
  readonly operator: string
  /** Whether the operand is one value of the field, many of them, or something else that is sent as it is. */
  readonly operand: "value" | "values" | "other"
  readonly value: unknown
  /** Only for the type. */
  declare readonly Field: A

  constructor(operator: string, operand: "value" | "values" | "other", value: unknown) {
    this.operator = operator
    this.operand = operand
    this.value = value
  }
}

/** Filters joined, or one in MongoDB's own words; made by {@link Where}. */
export class Joined<in T> {
  readonly operator: "$and" | "$or" | "raw"
  readonly parts: ReadonlyArray<unknown>
  /** Only for the type. */
  declare readonly Document: (document: T) => void

  constructor(operator: "$and" | "$or" | "raw", parts: ReadonlyArray<unknown>) {
    this.operator = operator
    this.parts = parts
  }
}

/** Fields and what they must be: a value is compared for equality, whatever it is. */
export type Fields<T> = { readonly [K in keyof T]?: T[K] | Condition<T[K]> } & {
  readonly [path: `${string}.${string}`]: unknown
}

/**
 * Which documents are meant.
 *
 * A plain value means equality, and an object is sent inside `$eq`, so nothing from outside ever becomes an operator; everything
 * else is said by {@link Where}. `null` also matches a missing field. Values of a document's own fields are of its Schema's
 * type; those of dotted paths are sent as they are.
 *
 * @example
 * ```ts
 * campaigns.find({ status: "active", "metrics.clicks": Where.atLeast(100) })
 * ```
 */
export type Filter<T> = Fields<T> | Joined<T>

const one = <A>(operator: string, value: A): Condition<A> => new Condition(operator, "value", value)

/** What a filter may say beside equality. */
export const Where = {
  not: <const A>(value: A): Condition<A> => one("$ne", value),
  above: <A>(value: A): Condition<A> => one("$gt", value),
  atLeast: <A>(value: A): Condition<A> => one("$gte", value),
  below: <A>(value: A): Condition<A> => one("$lt", value),
  atMost: <A>(value: A): Condition<A> => one("$lte", value),
  oneOf: <const A>(values: ReadonlyArray<A>): Condition<A> => new Condition("$in", "values", values),
  noneOf: <const A>(values: ReadonlyArray<A>): Condition<A> => new Condition("$nin", "values", values),
  /** The field is there, or is not. */
  exists: (present: boolean): Condition<never> => new Condition("$exists", "other", present),
  /** An array that has this element. */
  contains: <A>(element: A): Condition<ReadonlyArray<A>> => new Condition("$elemMatch", "other", { $eq: element }),
  all: <T>(...filters: ReadonlyArray<Filter<NoInfer<T>>>): Joined<T> => new Joined("$and", filters),
  any: <T>(...filters: ReadonlyArray<Filter<NoInfer<T>>>): Joined<T> => new Joined("$or", filters),
  /** MongoDB's own words, unchecked: never put values from outside into it. */
  raw: <T>(filter: Readonly<Record<string, unknown>>): Joined<T> => new Joined("raw", [filter])
}
