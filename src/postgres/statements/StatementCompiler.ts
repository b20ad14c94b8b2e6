import * as PgClient from "@effect/sql-pg/PgClient"
import type { Compiler, Fragment } from "effect/sql/Statement"

/** The text and values of a statement of literal text and values alone; undefined where it holds more. */
const plain = ({ segments }: Fragment): readonly [text: string, values: ReadonlyArray<unknown>] | undefined => {
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

/**
 * PostgreSQL's compiler, which makes plain statements by the shortest way.
 *
 * Effect's keeps each compiled statement in a WeakMap; for a statement that is made, run and forgotten that costs more than
 * compiling it.
 */
export const makeCompiler = (): Compiler => {
  const complete = PgClient.makeCompiler()
  const compiler: Compiler = {
    dialect: complete.dialect,
    compile: (statement, withoutTransform) => plain(statement) ?? complete.compile(statement, withoutTransform),
    get withoutTransform() {
      return compiler
    }
  }
  return compiler
}
