import type { IndexSpec } from "../MongoCollection.ts"
import { canonical, type Mutable, valuesAt } from "./BsonValue.ts"
import { duplicateKey, refusal } from "./MemoryRefusal.ts"

/** Entries of one document in an index: one per combination of values; none where a sparse index leaves it out. */
const entries = (index: IndexSpec, document: Mutable): ReadonlySet<string> => {
  const perField = Object.keys(index.key).map((path) => {
    const values = valuesAt(document, path)
    const scalars = values.filter((value) => !Array.isArray(value))
    return { many: values.length > 1, values: scalars.length === 0 ? [undefined] : scalars }
  })
  if (perField.filter(({ many }) => many).length > 1) throw refusal(171, "CannotIndexParallelArrays")
  if (index.sparse === true && perField.every(({ values }) => values.every((value) => value === undefined))) {
    return new Set()
  }
  const combinations = perField.reduce<ReadonlyArray<string>>(
    (prefixes, { values }) => prefixes.flatMap((prefix) => values.map((value) => `${prefix}|${canonical(value)}`)),
    [""]
  )
  return new Set(combinations)
}

/** A unique index: which document holds which entry. */
export interface UniqueIndex {
  /** Refuses a document of which another one holds an entry. */
  readonly check: (id: string, document: Mutable) => void
  /** Enters a checked document, in the place of what it was before. */
  readonly put: (id: string, document: Mutable, before?: Mutable) => void
  readonly remove: (document: Mutable) => void
}

export const makeUniqueIndex = (collection: string, index: IndexSpec): UniqueIndex => {
  const holders = new Map<string, string>()
  const remove: UniqueIndex["remove"] = (document) => {
    for (const entry of entries(index, document)) holders.delete(entry)
  }
  return {
    check: (id, document) => {
      for (const entry of entries(index, document)) {
        const holder = holders.get(entry)
        if (holder !== undefined && holder !== id) throw duplicateKey(collection, index.name, Object.keys(index.key))
      }
    },
    put: (id, document, before) => {
      if (before !== undefined) remove(before)
      for (const entry of entries(index, document)) holders.set(entry, id)
    },
    remove
  }
}

/** Whether an index of this name is the same: creating it again is then no error. */
export const sameIndex = (a: IndexSpec, b: IndexSpec): boolean =>
  canonical(a.key) === canonical(b.key) &&
  (a.unique ?? false) === (b.unique ?? false) &&
  (a.sparse ?? false) === (b.sparse ?? false) &&
  a.expireAfterSeconds === b.expireAfterSeconds

/** Whether a TTL index says that a document's time is over. */
export const isExpired = (index: IndexSpec, document: Mutable, nowMillis: number): boolean => {
  const [path] = Object.keys(index.key)
  if (index.expireAfterSeconds === undefined || path === undefined) return false
  const dates = valuesAt(document, path).filter((value) => value instanceof Date)
  if (dates.length === 0) return false
  return Math.min(...dates.map((date) => date.getTime())) + index.expireAfterSeconds * 1000 <= nowMillis
}
