import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as PgQuery from "libpg-query"
import type { LintFinding } from "../../core/LintFinding.ts"
import type { Migration, ScriptStep } from "../../core/MigrationDriver.ts"
import { LinterMissing } from "../../core/MigrationFailure.ts"
import { maxIdentifierBytes } from "./Identifier.ts"
import { changesTable } from "./lint/BackfillRules.ts"
import { tablesUnvalidated } from "./lint/ConstraintRules.ts"
import { madeBy } from "./lint/Made.ts"
import type { Warning } from "./lint/Rule.ts"
import { type RuleName, rules, warningsOf } from "./LintRules.ts"
import { splitScript } from "./SqlScript.ts"
import { sqlTokens } from "./SqlTokens.ts"

type Grammar = typeof PgQuery

const isRule = (name: string): name is RuleName => Object.hasOwn(rules, name)

/** The server's own grammar; loading it takes about 50 ms, so it is done only where something is looked at. */
const grammar: Effect.Effect<Grammar, LinterMissing> = Effect.tryPromise({
  try: () => import("libpg-query").then((module) => module.loadModule().then(() => module)),
  catch: () => new LinterMissing({ hint: "the package libpg-query is missing: npm install --save-dev libpg-query" })
})

const ignoreComment = /^[ \t]*--[ \t]*lint-ignore\b[ \t]*(.*)$/gm

/** The rules that the comments above a statement set aside; a comment without rule or reason is a warning itself. */
const ignoredIn = (
  comments: string,
  from: number
): { readonly rules: ReadonlySet<string>; readonly invalid: ReadonlyArray<number> } => {
  const named = new Set<string>()
  const invalid: Array<number> = []
  for (const match of comments.matchAll(ignoreComment)) {
    const [, rule = "", reason = ""] = /^([\w-]*)[ \t]*:?[ \t]*(.*)$/.exec(match[1] ?? "") ?? []
    if (isRule(rule) && reason.trim() !== "") named.add(rule)
    else invalid.push(from + match.index)
  }
  return { rules: named, invalid }
}

/** The grammar counts bytes of UTF-8. */
const indexOfByte = (text: string, byte: number): number => Buffer.from(text).subarray(0, byte).toString().length

/** The grammar's errors count characters. */
const indexOfCharacter = (text: string, n: number): number => [...text].slice(0, n).join("").length

const longIdentifiers = (scan: Grammar["scanSync"], text: string): ReadonlyArray<Warning<RuleName>> =>
  scan(text).tokens.flatMap(({ start, text, tokenName }) =>
    tokenName === "IDENT" &&
    Buffer.byteLength(text.replace(/^"(.*)"$/s, "$1").replaceAll('""', '"')) > maxIdentifierBytes
      ? [{ rule: "identifier-too-long", at: start } as const]
      : []
  )

/** A place in a step's text, by its index. */
interface Found {
  readonly rule: RuleName
  readonly index: number
  readonly detail?: string | undefined
}

const look = (
  { hasSqlDetails, parseSync, scanSync }: Grammar,
  { text, transaction }: ScriptStep
): ReadonlyArray<Found> => {
  const found: Array<Found> = []
  let end = 0
  // The splitter leaves comments out, so that the grammar would not see it.
  for (const { kind, start, whole } of sqlTokens(text)) {
    if (kind === "comment" && !whole)
      found.push({ rule: "syntax-error", index: start, detail: "the comment has no end" })
  }
  const statements = splitScript(text).map((statement) => {
    const { invalid, rules } = ignoredIn(text.slice(end, statement.offset), end)
    for (const index of invalid) found.push({ rule: "lint-ignore-invalid", index })
    end = statement.offset + statement.text.length
    // The grammar throws what it does not accept.
    const parsed = Result.try(() => parseSync(statement.text))
    if (Result.isFailure(parsed)) {
      const { failure } = parsed
      const at = hasSqlDetails(failure) ? (failure.sqlDetails?.cursorPosition ?? 0) : 0
      found.push({
        rule: "syntax-error",
        index: statement.offset + indexOfCharacter(statement.text, Math.max(0, at)),
        detail: failure instanceof Error ? failure.message : undefined
      })
      return { offset: statement.offset, text: statement.text, ignored: rules, nodes: [] }
    }
    const nodes = (parsed.success.stmts ?? []).flatMap(({ stmt }) => (stmt === undefined ? [] : [stmt]))
    return { offset: statement.offset, text: statement.text, ignored: rules, nodes }
  })
  const made = new Set(statements.flatMap(({ nodes }) => nodes.flatMap(madeBy)))
  const changesTables = statements.some(({ nodes }) => nodes.some((node) => changesTable(node, made)))
  const before = new Set<string>()
  const unvalidated = new Set<string>()
  for (const { ignored, nodes, offset, text } of statements) {
    for (const node of nodes) {
      const warnings = [
        ...warningsOf(node, { transaction, made: before, unvalidated, changesTables }),
        ...longIdentifiers(scanSync, text)
      ]
      for (const { at, rule } of warnings) {
        if (!ignored.has(rule)) found.push({ rule, index: offset + (at === undefined ? 0 : indexOfByte(text, at)) })
      }
      for (const one of madeBy(node)) before.add(one)
      for (const table of tablesUnvalidated(node)) unvalidated.add(table)
    }
  }
  return found.sort((a, b) => a.index - b.index)
}

const located = (
  { name, version }: Migration<unknown>,
  { line, text }: ScriptStep,
  { detail, index, rule }: Found
): LintFinding => {
  const { hint, problem, severity } = rules[rule]
  const start = text.lastIndexOf("\n", index - 1) + 1
  const end = text.indexOf("\n", index)
  return {
    rule,
    severity,
    version,
    name,
    line: line + text.slice(0, index).split("\n").length - 1,
    column: Array.from(text.slice(start, index)).length + 1,
    problem: detail === undefined ? problem : `${problem}: ${detail}`,
    hint,
    source: text.slice(start, end === -1 ? undefined : end)
  }
}

/**
 * Finds what locks out others, loses data or breaks running programs in the `up` part of migrations, by PostgreSQL's own
 * grammar.
 *
 * Tables that the same part makes may be changed at will. A comment `-- lint-ignore RULE: reason` above a statement sets a rule
 * aside for it. Fails with `LinterMissing` where the package libpg-query is not installed.
 */
export const lint = (
  migrations: ReadonlyArray<Migration<unknown>>
): Effect.Effect<ReadonlyArray<LintFinding>, LinterMissing> =>
  Effect.map(grammar, (grammar) =>
    migrations.flatMap((migration) => {
      const { up } = migration
      return up._tag === "Script" ? look(grammar, up).map((found) => located(migration, up, found)) : []
    })
  )
