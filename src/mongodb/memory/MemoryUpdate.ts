import type { Document } from "../MongoCollection.ts"
import { foreignValue, isRecord, type Mutable } from "./BsonValue.ts"
import { refusal, unsupported } from "./MemoryRefusal.ts"

type Holder = Mutable | Array<unknown>

const isIndex = (part: string): boolean => /^\d+$/.test(part)

const read = (holder: Holder, part: string): unknown =>
  Array.isArray(holder) ? holder[Number(part)] : Object.hasOwn(holder, part) ? holder[part] : undefined

const write = (holder: Holder, part: string, value: unknown): void => {
  if (Array.isArray(holder)) {
    while (holder.length < Number(part)) holder.push(null)
    holder[Number(part)] = value
  } else holder[part] = value
}

const pathNotViable = (part: string) => refusal(28, `PathNotViable: cannot create the field ${part} there`)

/** The holder of a path's last part; makes the documents on the way where `create` says so. */
const holderOf = (document: Mutable, path: string, create: boolean): readonly [Holder, string] | undefined => {
  const parts = path.split(".")
  const last = parts.pop()!
  let holder: Holder = document
  for (const part of parts) {
    if (Array.isArray(holder) && !isIndex(part)) {
      if (!create) return undefined
      throw pathNotViable(part)
    }
    let next: unknown = read(holder, part)
    if (next === undefined) {
      if (!create) return undefined
      next = {}
      write(holder, part, next)
    }
    if (!Array.isArray(next) && !isRecord(next)) {
      if (!create) return undefined
      throw pathNotViable(last)
    }
    holder = next
  }
  if (Array.isArray(holder) && !isIndex(last)) {
    if (!create) return undefined
    throw pathNotViable(last)
  }
  return [holder, last]
}

const conflicts = (a: string, b: string): boolean => a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`)

const operators: Readonly<Record<string, (document: Mutable, path: string, operand: unknown) => void>> = {
  $set: (document, path, value) => {
    const [holder, last] = holderOf(document, path, true)!
    write(holder, last, value)
  },
  $inc: (document, path, by) => {
    if (typeof by !== "number") throw refusal(14, "TypeMismatch: $inc takes a number")
    const [holder, last] = holderOf(document, path, true)!
    const old = read(holder, last)
    if (old !== undefined && typeof old !== "number") throw refusal(14, "TypeMismatch: $inc on what is no number")
    const sum = (old ?? 0) + by
    if (Number.isInteger(sum) && !Number.isSafeInteger(sum)) throw unsupported("an integer beyond 2^53")
    write(holder, last, sum)
  },
  $unset: (document, path) => {
    const at = holderOf(document, path, false)
    if (at === undefined) return
    const [holder, last] = at
    if (!Array.isArray(holder)) delete holder[last]
    else if (Number(last) < holder.length) holder[Number(last)] = null
  },
  $push: (document, path, operand) => {
    const elements =
      isRecord(operand) && Object.keys(operand).some((key) => key.startsWith("$")) ? eachOf(operand) : [operand]
    const [holder, last] = holderOf(document, path, true)!
    const old = read(holder, last)
    if (old !== undefined && !Array.isArray(old)) throw refusal(2, "BadValue: $push on what is no array")
    write(holder, last, [...(old ?? []), ...elements])
  }
}

const eachOf = (operand: Mutable): ReadonlyArray<unknown> => {
  const { $each, ...others } = operand
  const [other] = Object.keys(others)
  if (other !== undefined) throw unsupported(`$push with ${other}`)
  if (!Array.isArray($each)) throw refusal(2, "BadValue: $each takes an array")
  return $each
}

/** Checks an update as the server does before it looks at a document. */
export const checkUpdate = (update: Document): void => {
  const paths: Array<string> = []
  for (const [operator, fields] of Object.entries(update)) {
    if (!Object.hasOwn(operators, operator)) throw unsupported(operator)
    if (!isRecord(fields)) throw refusal(9, `FailedToParse: ${operator} takes a document`)
    for (const [path, operand] of Object.entries(fields)) {
      const foreign = foreignValue(operand)
      if (foreign !== undefined) throw unsupported(foreign)
      if (path.split(".").some((part) => part.startsWith("$"))) throw unsupported("a positional path")
      if (paths.some((other) => conflicts(path, other))) throw refusal(40, "ConflictingUpdateOperators")
      paths.push(path)
    }
  }
}

/** Applies a checked update to a document of its own, in the order in which MongoDB does: by path. */
export const applyUpdate = (document: Mutable, update: Document): void => {
  const steps = Object.entries(update).flatMap(([operator, fields]) =>
    Object.entries(isRecord(fields) ? fields : {}).map(([path, operand]) => ({ operator, path, operand }))
  )
  for (const { operand, operator, path } of steps.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    operators[operator]!(document, path, operand)
  }
}
