const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const isPlain = (value: object): value is Record<string, unknown> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const kindOf = (value: unknown): string => {
  if (!isObject(value)) return typeof value
  return "constructor" in value ? value.constructor.name : "Object"
}

/** What JSON lacks is written as a call, `Date("1970-01-01T00:00:00.000Z")`, which no JSON can be mistaken for. */
const called = (value: unknown, inner: string): string => `${kindOf(value)}(${inner})`

const list = (values: ReadonlyArray<unknown>, jsons: ReadonlyArray<unknown>): string =>
  `[${values.map((value, i) => canonicalJson(value, jsons[i])).join()}]`

/**
 * Writes a value as text that is the same for equal values, and differs where their types do.
 *
 * `json` is the same value as JSON; it is what is written, and `value` says what it stands for. Fields are sorted, and those
 * that are `undefined` are left out.
 */
export const canonicalJson = (value: unknown, json: unknown): string => {
  if (!isObject(value)) return value === json ? JSON.stringify(json) : called(value, JSON.stringify(json ?? null))
  if (Array.isArray(json)) {
    if (Array.isArray(value)) return list(value, json)
    if (value instanceof Map || value instanceof Set) return called(value, list([...value], json))
  }
  if (!isObject(json) || Array.isArray(json)) return called(value, canonicalJson(json, json))
  const text = (of: (field: string, written: unknown) => string) =>
    `{${Object.entries(json)
      .filter(([field]) => !(isPlain(value) && value[field] === undefined))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, written]) => `${JSON.stringify(field)}:${of(field, written)}`)
      .join()}}`
  return isPlain(value)
    ? text((field, written) => canonicalJson(value[field], written))
    : called(
        value,
        text((_, written) => canonicalJson(written, written))
      )
}
