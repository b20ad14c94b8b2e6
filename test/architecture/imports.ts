import { parseSync } from "vite"

/** One module that a source file asks for. */
export interface Import {
  readonly specifier: string
  /** `dynamic` loads nothing by itself; `type` loads nothing at all, yet the declarations need it. */
  readonly kind: "static" | "type" | "dynamic"
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null

const literalOf = (u: unknown): string | undefined =>
  isRecord(u) && typeof u["value"] === "string" ? u["value"] : undefined

/** Every import, re-export, `import()` and `import("…").Type` of a TypeScript source. */
export const importsOf = (path: string, source: string): ReadonlyArray<Import> => {
  const { errors, program } = parseSync(path, source)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`)
  const imports: Array<Import> = []
  const add = (from: unknown, kind: Import["kind"]) => {
    const specifier = literalOf(from)
    if (specifier !== undefined) imports.push({ specifier, kind })
  }
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (!isRecord(node)) return
    switch (node["type"]) {
      case "ImportDeclaration":
        add(node["source"], node["importKind"] === "type" ? "type" : "static")
        break
      case "ExportAllDeclaration":
      case "ExportNamedDeclaration":
        add(node["source"], node["exportKind"] === "type" ? "type" : "static")
        break
      case "ImportExpression":
        add(node["source"], "dynamic")
        break
      case "TSImportType":
        add(node["source"], "type")
        break
    }
    Object.values(node).forEach(visit)
  }
  visit(program)
  return imports
}
