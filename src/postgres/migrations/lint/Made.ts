import type { Node } from "libpg-query"
import { listName, nameOf } from "./Names.ts"

/** What a part of a file makes, by kind and name. */
export type Made = ReadonlySet<string>

type Kind = "relation" | "view" | "type" | "function"

const keyOf = (kind: Kind, name: string): string => `${kind} ${name}`

export const isMade = (made: Made, kind: Kind, name: string): boolean => made.has(keyOf(kind, name))

/** What a statement makes. With IF NOT EXISTS or OR REPLACE it may have been there before, and in use. */
export const madeBy = (node: Node): ReadonlyArray<string> => {
  if ("CreateStmt" in node) {
    return node.CreateStmt.if_not_exists === true ? [] : [keyOf("relation", nameOf(node.CreateStmt.relation))]
  }
  if ("CreateTableAsStmt" in node) {
    return node.CreateTableAsStmt.if_not_exists === true
      ? []
      : [keyOf("relation", nameOf(node.CreateTableAsStmt.into?.rel))]
  }
  // Apart from tables: rows that are changed through it are those of others.
  if ("ViewStmt" in node) return node.ViewStmt.replace === true ? [] : [keyOf("view", nameOf(node.ViewStmt.view))]
  if ("CreateEnumStmt" in node) return [keyOf("type", listName(node.CreateEnumStmt.typeName))]
  if ("CreateDomainStmt" in node) return [keyOf("type", listName(node.CreateDomainStmt.domainname))]
  if ("CreateRangeStmt" in node) return [keyOf("type", listName(node.CreateRangeStmt.typeName))]
  if ("CompositeTypeStmt" in node) return [keyOf("type", nameOf(node.CompositeTypeStmt.typevar))]
  if ("CreateFunctionStmt" in node) {
    return node.CreateFunctionStmt.replace === true
      ? []
      : [keyOf("function", listName(node.CreateFunctionStmt.funcname))]
  }
  return []
}
