import type { ScriptStep } from "../../core/MigrationDriver.ts"
import { concurrentStatement } from "./ConcurrentStatement.ts"
import { normalText } from "./NormalText.ts"
import type { ScriptStatement } from "./SqlScript.ts"
import { sqlTokens } from "./SqlTokens.ts"

/** Why a script is not begun, and which part of it is meant. */
export interface ScriptProblem {
  readonly text: string
  readonly detail: string
}

/** Statements with which a script would end the migration's own transaction. */
const transactionControl =
  /^(?:begin|start transaction|commit|end|abort|rollback(?! (?:work |transaction )?to\b)|prepare transaction)\b/

/** A role can be put aside until a transaction ends; where its session's user is put aside too, some servers lose it. */
const becomesAnother = /^set (?:session |local )?session(?: |_)authorization\b(?! (?:= |to )?default\b)/

const escapesInStrings =
  /^set (?:session |local )?standard_conforming_strings\b(?! (?:=|to) (?:on|true|yes|1|default)$)/

const copiesThroughClient = /^copy .*\b(?:from stdin|to stdout)\b/

/** The words that a statement of the patterns above begins with. */
const beginning = /^(?:abort|begin|commit|copy|end|prepare|rollback|set|start)\b/i

const opened = { comment: "comment", string: "string", name: "quoted name" } as const

/** What the server would not understand, or understand as something else than is written there. */
const problemOfTokens = ({ line, text }: ScriptStep): ScriptProblem | undefined => {
  const lineOf = (index: number) => line + text.slice(0, index).split("\n").length - 1
  const restOfLine = (index: number) => (/^[^\n\r]*/.exec(text.slice(index)) ?? [""])[0].trimEnd()
  for (const { kind, start, whole } of sqlTokens(text)) {
    if (kind === "symbol" && text[start] === "\\") {
      return {
        text: restOfLine(start),
        detail: `line ${lineOf(start)} is a command of psql, which no server knows: take it out of the file`
      }
    }
    if (!whole && (kind === "comment" || kind === "string" || kind === "name")) {
      return {
        text: restOfLine(start),
        detail: `the ${opened[kind]} that begins on line ${lineOf(start)} has no end, so that all behind it is part of it: close it`
      }
    }
  }
  return undefined
}

const problemOfStatement = (text: string, transaction: boolean): string | undefined => {
  if (concurrentStatement(text)?._tag === "CreateUnnamedIndex") {
    return "CREATE INDEX CONCURRENTLY needs a name here: without one, what a run that breaks off leaves behind could not be found again; write CREATE INDEX CONCURRENTLY name ON …"
  }
  if (!beginning.test(text)) return undefined
  const normal = normalText(text)
  if (transactionControl.test(normal)) {
    return transaction
      ? "a migration's transaction is the engine's; say transaction:false on its mark to have none"
      : "without a transaction each statement is committed with its entry in the journal; leave this one out"
  }
  if (copiesThroughClient.test(normal)) {
    return "the rows of COPY … FROM STDIN and TO STDOUT go through psql; write INSERT … VALUES, as pg_dump --inserts does"
  }
  if (escapesInStrings.test(normal)) {
    return "scripts are read with standard_conforming_strings on, as it is by default; write E'…' where a backslash escapes"
  }
  if (!transaction && becomesAnother.test(normal)) {
    return "without a transaction the journal is written between the statements, by the session's own user; take another role by SET ROLE"
  }
  return undefined
}

/** Why none of a script is run; undefined where it is. */
export const scriptProblem = (
  step: ScriptStep,
  statements: ReadonlyArray<ScriptStatement>
): ScriptProblem | undefined => {
  const ofTokens = problemOfTokens(step)
  if (ofTokens !== undefined) return ofTokens
  if (statements.length === 0) return { text: step.text.trim(), detail: "there is no statement in it; write one" }
  for (const { text } of statements) {
    const detail = problemOfStatement(text, step.transaction)
    if (detail !== undefined) return { text, detail }
  }
  return undefined
}
