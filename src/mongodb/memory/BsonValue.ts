import { calculateObjectSize, Decimal128, deserialize, Long, ObjectId, serialize } from "bson"
import type { Document } from "../MongoCollection.ts"
import { tooLarge } from "./MemoryRefusal.ts"

export type Mutable = Record<string, unknown>

const maxBytes = 16 * 1024 * 1024

/**
 * What a document is after a journey to the server and back: undefined fields gone, every value of a BSON type. Refuses one that
 * is larger than MongoDB takes.
 *
 * Its size is asked first: bson writes what does not fit its buffer of 17 MiB in part, with what was there before.
 */
export const roundTrip = (document: Document): Mutable => {
  if (calculateObjectSize(document, { ignoreUndefined: true }) > maxBytes) throw tooLarge()
  return deserialize(serialize(document, { ignoreUndefined: true, checkKeys: false }))
}

export const isRecord = (u: unknown): u is Mutable =>
  typeof u === "object" && u !== null && Object.getPrototypeOf(u) === Object.prototype

/** Values whose arithmetic and comparison this engine does not have. */
export const foreignValue = (u: unknown): string | undefined => {
  if (u instanceof Decimal128) return "Decimal128"
  if (u instanceof Long) return "an integer beyond 2^53"
  if (typeof u === "bigint") return "a bigint"
  if (Array.isArray(u)) {
    for (const element of u) {
      const found = foreignValue(element)
      if (found !== undefined) return found
    }
  } else if (isRecord(u)) {
    for (const value of Object.values(u)) {
      const found = foreignValue(value)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** Text that two values share exactly where MongoDB holds them equal; the order of fields counts. */
export const canonical = (u: unknown): string => {
  if (u === null || u === undefined) return "null"
  if (typeof u === "number") return Number.isNaN(u) ? "n:NaN" : `n:${Object.is(u, -0) ? 0 : u}`
  if (typeof u === "string") return `s:${JSON.stringify(u)}`
  if (typeof u === "boolean") return `b:${u}`
  if (u instanceof Date) return `d:${u.getTime()}`
  if (u instanceof ObjectId) return `o:${u.toHexString()}`
  if (Array.isArray(u)) return `[${u.map(canonical).join(",")}]`
  if (isRecord(u)) {
    return `{${Object.entries(u)
      .map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`)
      .join(",")}}`
  }
  return `x:${Buffer.from(serialize({ u })).toString("base64")}`
}

export const sameValue = (a: unknown, b: unknown): boolean => a === b || canonical(a) === canonical(b)

const rank = (u: unknown): number => {
  if (u === nothing) return 0
  if (u === undefined || u === null) return 1
  switch (typeof u) {
    case "number":
      return 2
    case "string":
      return 3
    case "boolean":
      return 8
  }
  if (Array.isArray(u)) return 5
  if (u instanceof ObjectId) return 7
  if (u instanceof Date) return 9
  return isRecord(u) ? 4 : 6
}

/** Whether a comparison looks at both: it never goes across types. */
export const sameType = (a: unknown, b: unknown): boolean => rank(a) === rank(b)

const order = <A extends number | string | boolean>(a: A, b: A): number => (a < b ? -1 : a > b ? 1 : 0)

/** MongoDB's order of values: by type first, then by value. Strings compare by code point, as UTF-8 does. */
export const compareValues = (a: unknown, b: unknown): number => {
  const byType = order(rank(a), rank(b))
  if (byType !== 0 || a === b) return byType
  if (typeof a === "number" && typeof b === "number") {
    return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : order(a, b)
  }
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b))
  if (typeof a === "boolean" && typeof b === "boolean") return order(a, b)
  if (a instanceof Date && b instanceof Date) return order(a.getTime(), b.getTime())
  if (a instanceof ObjectId && b instanceof ObjectId) return order(a.toHexString(), b.toHexString())
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const byElement = compareValues(a[i], b[i])
      if (byElement !== 0) return byElement
    }
    return order(a.length, b.length)
  }
  if (isRecord(a) && isRecord(b)) {
    const left = Object.entries(a)
    const right = Object.entries(b)
    for (let i = 0; i < Math.min(left.length, right.length); i++) {
      const [keyA, valueA] = left[i]!
      const [keyB, valueB] = right[i]!
      const byField = order(rank(valueA), rank(valueB)) || order(keyA, keyB) || compareValues(valueA, valueB)
      if (byField !== 0) return byField
    }
    return order(left.length, right.length)
  }
  return order(canonical(a), canonical(b))
}

/**
 * The values that a path means in a document: every array on the way is looked into, and at its end an array counts as itself
 * and as each of its elements. `undefined` stands for a missing field.
 */
export const valuesAt = (document: unknown, path: string): ReadonlyArray<unknown> => {
  const parts = path.split(".")
  const found: Array<unknown> = []
  const walk = (value: unknown, i: number): void => {
    const part = parts[i]
    if (part === undefined) {
      found.push(value)
      if (Array.isArray(value)) found.push(...value)
    } else if (Array.isArray(value)) {
      if (/^\d+$/.test(part) && Number(part) < value.length) walk(value[Number(part)], i + 1)
      for (const element of value) if (isRecord(element)) walk(element, i)
    } else {
      walk(isRecord(value) && Object.hasOwn(value, part) ? value[part] : undefined, i + 1)
    }
  }
  walk(document, 0)
  return found
}

/** What an empty array is sorted by: it comes before null. */
const nothing = Symbol("empty array")

/** What documents are sorted by: the least value of a path going up, the greatest going down. */
const sortValue = (document: unknown, path: string, direction: 1 | -1): unknown => {
  const values = valuesAt(document, path)
  const scalars = values.filter((value) => !Array.isArray(value))
  if (scalars.length === 0) return values.length === 0 ? undefined : nothing
  return scalars.reduce((best, value) => (compareValues(value, best) * direction < 0 ? value : best))
}

/** Sorts without changing the order of equals. */
export const sortBy = <A extends Document>(
  documents: ReadonlyArray<A>,
  sort: Readonly<Record<string, 1 | -1>>
): ReadonlyArray<A> =>
  documents.toSorted((a, b) => {
    for (const [path, direction] of Object.entries(sort)) {
      const byPath = compareValues(sortValue(a, path, direction), sortValue(b, path, direction)) * direction
      if (byPath !== 0) return byPath
    }
    return 0
  })
