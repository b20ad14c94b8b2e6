import * as PgClient from "@effect/sql-pg/PgClient"
import type { Compiler, Fragment } from "effect/sql/Statement"
import { arrayParameter } from "./ArrayParameter.ts"
import { dateText, isFarDate } from "./FarDate.ts"

type Compiled = readonly [text: string, values: ReadonlyArray<unknown>]

/** The text and values of a statement of literal text and values alone; undefined where it holds more. */
const plain = ({ segments }: Fragment): Compiled | undefined => {
  let text = ""
  let placeholders = 0
  const values: Array<unknown> = []
  for (const segment of segments) {
    if (segment._tag === "Parameter") {
      text += `$${++placeholders}`
      values.push(segment.value)
    } else if (segment._tag === "Literal") {
      text += segment.value
      // Text that came with its own values and placeholders, by `unsafe`.
      if (segment.params !== undefined) values.push(...segment.params)
    } else {
      return undefined
    }
  }
  return [text, values]
}

const isSentOtherwise = (value: unknown): boolean => Array.isArray(value) || isFarDate(value)

const sendable = (compiled: Compiled): Compiled => {
  const [text, values] = compiled
  if (!values.some(isSentOtherwise)) return compiled
  return [
    text,
    values.map((value: unknown) =>
      Array.isArray(value) ? arrayParameter(value) : isFarDate(value) ? dateText(value) : value
    )
  ]
}

/**
 * PostgreSQL's compiler, which makes plain statements by the shortest way, and values such as the driver can send.
 *
 * Effect's keeps each compiled statement in a WeakMap; for a statement that is made, run and forgotten that costs more than
 * compiling it.
 */
export const makeCompiler = (): Compiler => {
  const complete = PgClient.makeCompiler()
  const compiler: Compiler = {
    dialect: complete.dialect,
    compile: (statement, withoutTransform) =>
      sendable(plain(statement) ?? complete.compile(statement, withoutTransform)),
    get withoutTransform() {
      return compiler
    }
  }
  return compiler
}
