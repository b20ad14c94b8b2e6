import type { Node, WithClause } from "libpg-query"
import { sqlTokens } from "../SqlTokens.ts"
import { isOwnFunction } from "./Functions.ts"
import { isMade, type Made } from "./Made.ts"
import { nameOf, stringsOf } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** The rule about many rows that are changed under the lock of a schema change. */
export const backfillRules = {
  "backfill-with-schema-change": rule(
    "error",
    "The lock of the schema change is held for as long as the rows take to change",
    "Change the schema in one migration, and fill the rows in another one, in batches with transaction:false."
  )
} satisfies Record<string, Rule>

/** Whether an INSERT takes its rows from a query, and not from itself. */
const copiesRows = (select: Node | undefined): boolean => {
  if (select === undefined || !("SelectStmt" in select)) return false
  const { fromClause, larg } = select.SelectStmt
  return fromClause !== undefined || larg !== undefined
}

/** What a DO block does, as text without comments; the strings that it executes are part of it. */
const bodyOf = (node: Node): string => {
  if (!("DoStmt" in node)) return ""
  const [body = ""] = (node.DoStmt.args ?? []).flatMap((arg) =>
    "DefElem" in arg && arg.DefElem.defname === "as" && arg.DefElem.arg !== undefined
      ? stringsOf([arg.DefElem.arg])
      : []
  )
  return [...sqlTokens(body)]
    .flatMap(({ end, kind, start }) => (kind === "comment" ? [] : [body.slice(start, end)]))
    .join(" ")
    .replace(/\s+/g, " ")
}

const altersInside = /\balter table\b/i
/** FOR UPDATE, ON UPDATE, triggers and grants are none. */
const changesInside =
  /(?<!\bfor (?:no key )?)(?<!\bon )\bupdate (?!of\b|nowait\b|skip\b|on\b|or\b)[\w"%]|\b(?:delete from|merge into|call) |\binsert into [^;]*?\bselect\b|\bloop\b.*\binsert into\b/i
const performed = /\bperform ((?:[\w"]+ \. )*[\w"]+) \(/gi

const bodyChangesRows = (body: string): boolean =>
  changesInside.test(body) ||
  [...body.matchAll(performed)].some(([, name = ""]) => isOwnFunction(name.toLowerCase().split(" . ")))

/** A function is called for its own sake where nothing but its result is selected. */
const callsOwnFunction = (targets: ReadonlyArray<Node>, from: ReadonlyArray<Node>): boolean => {
  const calls = targets.flatMap((target) => {
    const value = "ResTarget" in target ? target.ResTarget.val : undefined
    return value !== undefined && "FuncCall" in value ? [stringsOf(value.FuncCall.funcname)] : []
  })
  const sources = from.flatMap((source) =>
    "RangeFunction" in source
      ? (source.RangeFunction.functions ?? []).flatMap((list) =>
          "List" in list
            ? (list.List.items ?? []).flatMap((item) => ("FuncCall" in item ? [stringsOf(item.FuncCall.funcname)] : []))
            : []
        )
      : []
  )
  // Where there are rows to select from, a function without a schema is mostly one of PostgreSQL's.
  return [
    ...calls.filter((names) => from.length === 0 || names.length > 1),
    ...sources.filter((names) => names.length > 1)
  ].some(isOwnFunction)
}

const inWith = (clause: WithClause | undefined, made: Made): boolean =>
  (clause?.ctes ?? []).some(
    (cte) =>
      "CommonTableExpr" in cte &&
      cte.CommonTableExpr.ctequery !== undefined &&
      changesRows(cte.CommonTableExpr.ctequery, made)
  )

/** Whether a statement changes as many rows as there are; a table of the same file has few before others are copied into it. */
const changesRows = (node: Node, made: Made): boolean => {
  const isOld = (relation: Parameters<typeof nameOf>[0]) => !isMade(made, "relation", nameOf(relation))
  if ("SelectStmt" in node) {
    const { fromClause = [], targetList = [], withClause } = node.SelectStmt
    return inWith(withClause, made) || callsOwnFunction(targetList, fromClause)
  }
  if ("InsertStmt" in node) {
    return copiesRows(node.InsertStmt.selectStmt) || inWith(node.InsertStmt.withClause, made)
  }
  if ("UpdateStmt" in node) return isOld(node.UpdateStmt.relation) || inWith(node.UpdateStmt.withClause, made)
  if ("DeleteStmt" in node) return isOld(node.DeleteStmt.relation) || inWith(node.DeleteStmt.withClause, made)
  if ("MergeStmt" in node) return isOld(node.MergeStmt.relation) || inWith(node.MergeStmt.withClause, made)
  if ("CopyStmt" in node) return node.CopyStmt.is_from === true
  if ("CallStmt" in node) return true
  return bodyChangesRows(bodyOf(node))
}

/** Whether a statement changes the structure of a table that was there before, under a lock that others wait for. */
export const changesTable = (node: Node, made: Made): boolean =>
  "AlterTableStmt" in node
    ? !isMade(made, "relation", nameOf(node.AlterTableStmt.relation))
    : altersInside.test(bodyOf(node))

export const backfillWarnings = (
  node: Node,
  { changesTables, made, transaction }: Around
): ReadonlyArray<Warning<keyof typeof backfillRules>> =>
  transaction && changesTables && changesRows(node, made) ? [{ rule: "backfill-with-schema-change" }] : []
