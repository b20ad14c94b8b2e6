import type { Node, RangeVar } from "libpg-query"

/** `schema.name`, without the schema `.name`. */
export const nameOf = (relation: RangeVar | undefined): string =>
  relation === undefined ? "" : `${relation.schemaname ?? ""}.${relation.relname ?? ""}`

export const stringsOf = (items: ReadonlyArray<Node> = []): ReadonlyArray<string> =>
  items.flatMap((item) => ("String" in item ? [item.String.sval ?? ""] : []))

/** The same of a name that the grammar gives in parts. */
export const listName = (items: ReadonlyArray<Node> = []): string => {
  const names = stringsOf(items)
  return `${names.length > 1 ? (names.at(-2) ?? "") : ""}.${names.at(-1) ?? ""}`
}

/** The same of an object that a statement names: a type, or a function with its arguments. */
export const objectName = (node: Node | undefined): string => {
  if (node === undefined) return ""
  if ("List" in node) return listName(node.List.items)
  return "ObjectWithArgs" in node ? listName(node.ObjectWithArgs.objname) : ""
}
