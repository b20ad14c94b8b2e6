import type { ColumnDef, Constraint, TypeName } from "libpg-query"
import { stringsOf } from "./Names.ts"

/** A type's name without its schema. */
export const typeOf = (type: TypeName | undefined): string => stringsOf(type?.names).at(-1) ?? ""

export const constraintsOf = (column: ColumnDef): ReadonlyArray<Constraint> =>
  (column.constraints ?? []).flatMap((node) => ("Constraint" in node ? [node.Constraint] : []))

export const isPrimary = (constraint: Constraint): boolean => constraint.contype === "CONSTR_PRIMARY"
