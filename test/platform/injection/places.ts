import { Effect, Redacted } from "effect"

type Path = ReadonlyArray<string | number>

/** What a method is given, with something in one place of it. */
type Put = (value: unknown) => ReadonlyArray<unknown>

/** A place in what a method is given that a text can be put into. */
export interface Place {
  /** As refusals name it: `steps[0].config.url`. */
  readonly field: string
  /** Whether there was text, something that is no text, the name of one more field, or what an opaque cursor holds. */
  readonly kind: "text" | "other value" | "name" | "cursor"
  /** The text that is in this place before. */
  readonly before?: string
  /** Of a list or a record: whether there is nothing in it. */
  readonly isHollow?: boolean
  readonly put: (text: string) => ReadonlyArray<unknown>
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype

const under = (path: Path, step: string | number): Path =>
  path.length === 1 && path[0] === "" ? [step] : [...path, step]

const fieldOf = (path: Path): string =>
  path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("")

const cursorText = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString("base64url")

/** What a cursor holds, if the text is one: the name of its list and a key. */
const cursorOf = (text: string): ReadonlyArray<unknown> | undefined => {
  if (!text.startsWith(cursorText([""]).slice(0, 3))) return undefined
  try {
    const json: unknown = JSON.parse(Buffer.from(text, "base64url").toString())
    return Array.isArray(json) ? json : undefined
  } catch {
    return undefined
  }
}

/** As JSON sets a field: `__proto__` is a name like others. */
const withField = (record: Readonly<Record<string, unknown>>, name: string, value: unknown): unknown =>
  Object.fromEntries([...Object.entries(record).filter(([other]) => other !== name), [name, value]])

const inText = (text: string, path: Path, put: Put): ReadonlyArray<Place> => {
  const field = fieldOf(path)
  const whole: Place = { field, kind: "text", before: text, put }
  const inside = cursorOf(text)
  if (inside === undefined) return [whole]
  const tampered = placesIn(inside, path, (json) => put(cursorText(json)))
  return [whole, ...tampered.map(({ put }): Place => ({ field, kind: "cursor", put }))]
}

const inParts = (
  parts: ReadonlyArray<readonly [string | number, unknown, Put]>,
  path: Path,
  put: Put
): ReadonlyArray<Place> => [
  { field: fieldOf(path), kind: "other value", isHollow: parts.length === 0, put },
  ...parts.flatMap(([step, value, put]) => placesIn(value, under(path, step), put))
]

const placesIn = (value: unknown, path: Path, put: Put): ReadonlyArray<Place> => {
  if (typeof value === "string") return inText(value, path, put)
  // What is done, such as the work of a transaction, is no text.
  if (Effect.isEffect(value)) return []
  const field = fieldOf(path)
  const whole: Place = { field, kind: "other value", put }
  if (Redacted.isRedacted(value)) return [whole, { ...whole, kind: "text", put: (text) => put(Redacted.make(text)) }]
  if (Array.isArray(value)) {
    const items: ReadonlyArray<unknown> = value
    return inParts(
      items.map((item, i) => [i, item, (other) => put(items.with(i, other))] as const),
      path,
      put
    )
  }
  if (!isRecord(value)) return [whole]
  const oneMore: Place = { field, kind: "name", put: (name) => put(withField(value, name, "x")) }
  const fields = Object.entries(value).map(
    ([name, item]) => [name, item, (other: unknown) => put(withField(value, name, other))] as const
  )
  return [oneMore, ...inParts(fields, path, put)]
}

/** Every place in what a method is given. */
export const placesOf = (parameters: ReadonlyArray<string>, given: ReadonlyArray<unknown>): ReadonlyArray<Place> => {
  if (parameters.length !== given.length) throw new Error(`${given.length} parameters, not ${parameters.length}`)
  return given.flatMap((value, i) => placesIn(value, [parameters[i] ?? ""], (other) => given.with(i, other)))
}
