import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node, RangeVar, TypeName } from "libpg-query"

/** What a rule says of a statement. */
export interface Warning {
  readonly rule: keyof typeof rules
  /** Offset in the parsed text, in bytes; the statement's own by default. */
  readonly at?: number | undefined
}

/** What is known of the file around a statement. */
export interface Around {
  /** Whether the file's part is one transaction. */
  readonly transaction: boolean
  /** Tables that the same file makes: nobody uses them yet. */
  readonly made: ReadonlySet<string>
  /** Whether the part changes the structure of tables that were there before. */
  readonly changesTables: boolean
}

interface Rule {
  readonly severity: "error" | "warning"
  readonly problem: string
  readonly hint: string
}

const rule = (severity: Rule["severity"], problem: string, hint: string): Rule => ({ severity, problem, hint })

/**
 * The rules, most of them squawk's (squawkhq.com/docs/rules), by name: what happens, and the safe way.
 */
export const rules = {
  "syntax-error": rule("error", "PostgreSQL's grammar does not accept this", "Correct the statement."),
  "require-concurrent-index-creation": rule(
    "error",
    "CREATE INDEX keeps writers out of the table until the index is built",
    "CREATE INDEX CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "require-concurrent-index-deletion": rule(
    "error",
    "DROP INDEX waits for every query of the table, and everybody who comes after waits with it",
    "DROP INDEX CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "ban-concurrent-index-creation-in-transaction": rule(
    "error",
    "CONCURRENTLY cannot run inside a transaction",
    "Give it a file of its own, whose mark says transaction:false."
  ),
  "require-concurrent-reindex": rule(
    "error",
    "REINDEX keeps writers out of the table, and readers out of the index, until it is built anew",
    "REINDEX … CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "require-concurrent-refresh": rule(
    "error",
    "REFRESH MATERIALIZED VIEW keeps readers out until all of it is computed",
    "A unique index on the view, then REFRESH MATERIALIZED VIEW CONCURRENTLY."
  ),
  "require-concurrent-partition-detach": rule(
    "error",
    "DETACH PARTITION waits for every query of the whole table, and everybody who comes after waits with it",
    "DETACH PARTITION … CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "adding-foreign-key-constraint": rule(
    "error",
    "A foreign key locks both tables against writers while every row is checked",
    "ADD CONSTRAINT … NOT VALID, and in a later migration VALIDATE CONSTRAINT, which blocks nobody."
  ),
  "constraint-missing-not-valid": rule(
    "error",
    "A check, or a domain's NOT NULL, locks the table, or every table that uses the domain, while every row is checked",
    "ADD CONSTRAINT … NOT VALID (for a domain CHECK (VALUE IS NOT NULL) in the place of NOT NULL), and in a later migration VALIDATE CONSTRAINT, which blocks nobody."
  ),
  "disallowed-unique-constraint": rule(
    "error",
    "A unique or primary key builds its index while nobody may use the table",
    "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE (or PRIMARY KEY) USING INDEX."
  ),
  "changing-column-type": rule(
    "error",
    "A new type rewrites the table while nobody may use it, and breaks programs that know the old one",
    "Add a column of the new type, write both, fill it in batches, switch readers, then drop the old column."
  ),
  "adding-not-nullable-field": rule(
    "error",
    "SET NOT NULL reads the whole table while nobody may use it",
    "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL, which trusts the check; drop the check."
  ),
  "adding-required-field": rule(
    "error",
    "A required column without a default cannot be added to rows that are there",
    "Give it a constant DEFAULT, or add it without NOT NULL, fill it, and make it required later."
  ),
  "adding-field-with-default": rule(
    "error",
    "A default that is computed for each row rewrites the table while nobody may use it",
    "Add the column without it, SET DEFAULT in a second statement for new rows, and fill the old rows in batches."
  ),
  "ban-drop-table": rule(
    "error",
    "The data is gone, and programs that still use the table fail",
    "Deploy programs that no longer use it, rename nothing, and drop it in a later release, after a backup."
  ),
  "ban-drop-column": rule(
    "error",
    "The data is gone, and programs that still name the column fail",
    "Deploy programs that no longer name it, and drop it in a later release."
  ),
  "renaming-table": rule(
    "error",
    "Programs that run now know the old name",
    "Make a view of the new name, switch programs over, and rename once nobody uses the old one."
  ),
  "renaming-column": rule(
    "error",
    "Programs that run now know the old name",
    "Add a column, write both, fill it, switch readers, then drop the old one; or hide the table behind a view."
  ),
  "renaming-schema": rule(
    "error",
    "Programs that run now know everything in it by the old name",
    "Make the new schema with views of what is in the old one, switch programs over, then move what they use."
  ),
  "renaming-value": rule(
    "error",
    "Programs that run now know the old value, and cannot read or write the new one",
    "ADD VALUE, deploy programs that know both, change the rows in batches, and leave the old value unused."
  ),
  "attaching-partition": rule(
    "error",
    "ATTACH PARTITION reads the whole partition, and the default one, while nobody may use them",
    "ADD CONSTRAINT … CHECK (what its bound says) NOT VALID, VALIDATE CONSTRAINT, then ATTACH PARTITION, which trusts the check; for the default one, a check that it holds nothing of the bound."
  ),
  "changing-persistence": rule(
    "error",
    "SET LOGGED and SET UNLOGGED write the table anew while nobody may use it",
    "Make a second table of the other kind, write both, fill it in batches, switch readers, then drop the old one."
  ),
  "ban-drop-cascade": rule(
    "error",
    "CASCADE drops whatever depends on it, views and columns of tables included",
    "Name each object to drop, without CASCADE."
  ),
  "ban-drop-owned": rule(
    "error",
    "DROP OWNED drops whatever belongs to the role, tables with their data included, without a name",
    "REASSIGN OWNED BY … TO another role, then REVOKE what it was granted; or name each object to drop."
  ),
  "ban-truncate-cascade": rule(
    "error",
    "TRUNCATE CASCADE empties every table that refers to this one, and theirs",
    "Name the tables to empty, without CASCADE."
  ),
  "ban-vacuum-full": rule(
    "error",
    "VACUUM FULL and CLUSTER write the table anew while nobody may use it",
    "VACUUM without FULL, or pg_repack."
  ),
  "backfill-with-schema-change": rule(
    "error",
    "The lock of the schema change is held for as long as the rows take to change",
    "Change the schema in one migration, and fill the rows in another one, in batches with transaction:false."
  ),
  "prefer-bigint-over-int": rule("warning", "A key of 4 bytes runs out at 2147483647", "Use bigint, or uuid."),
  "prefer-timestamptz": rule(
    "warning",
    "A timestamp without time zone means another moment in every session's zone",
    "Use timestamptz."
  ),
  "ban-char-field": rule(
    "warning",
    "char(n) is padded with blanks that count in some comparisons and not in others",
    "Use text, with a check on its length if that matters."
  ),
  "identifier-too-long": rule(
    "warning",
    "PostgreSQL cuts names after 63 bytes without saying so",
    "Choose a shorter name."
  ),
  "lint-ignore-invalid": rule(
    "error",
    "A lint-ignore names no rule, or gives no reason",
    "Write `-- lint-ignore RULE: why it is safe here` above the statement."
  )
} satisfies Record<string, Rule>

const nameOf = (relation: RangeVar | undefined): string =>
  relation === undefined ? "" : `${relation.schemaname ?? ""}.${relation.relname ?? ""}`

const typeOf = (type: TypeName | undefined): string => {
  const names = (type?.names ?? []).flatMap((node) => ("String" in node ? [node.String.sval ?? ""] : []))
  return names.at(-1) ?? ""
}

const constraintsOf = (column: ColumnDef): ReadonlyArray<Constraint> =>
  (column.constraints ?? []).flatMap((node) => ("Constraint" in node ? [node.Constraint] : []))

/** Functions whose value is the same for every row of one statement, so that PostgreSQL stores it once. */
const steadyFunctions: ReadonlySet<string> = new Set([
  "now",
  "current_timestamp",
  "transaction_timestamp",
  "statement_timestamp",
  "current_setting",
  "to_timestamp",
  "make_interval",
  "lower",
  "upper",
  "jsonb_build_object",
  "jsonb_build_array"
])

/** Whether an expression calls a function that may give every row another value. */
const isVolatile = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.some(isVolatile)
  if (typeof value !== "object" || value === null) return false
  return Object.entries(value).some(([key, inner]) => {
    if (key === "FuncCall" && typeof inner === "object" && inner !== null && "funcname" in inner) {
      const name = typeOf({ names: inner.funcname as Array<Node> })
      return !steadyFunctions.has(name) || isVolatile("args" in inner ? inner.args : undefined)
    }
    return isVolatile(inner)
  })
}

const serial = /^(?:small|big)?serial\d?$/
const narrowKeys: ReadonlySet<string> = new Set(["int2", "int4", "serial", "serial2", "serial4", "smallserial"])

/** Warnings about the type of a column, wherever it is made. */
const typeWarnings = (column: ColumnDef, key: boolean): ReadonlyArray<Warning> => {
  const type = typeOf(column.typeName)
  const at = column.typeName?.location
  return [
    ...((key || serial.test(type)) && narrowKeys.has(type) ? [{ rule: "prefer-bigint-over-int", at } as const] : []),
    ...(type === "timestamp" ? [{ rule: "prefer-timestamptz", at } as const] : []),
    ...(type === "bpchar" ? [{ rule: "ban-char-field", at } as const] : [])
  ]
}

const isPrimary = (constraint: Constraint): boolean => constraint.contype === "CONSTR_PRIMARY"

const ofAddedColumn = (column: ColumnDef): ReadonlyArray<Warning> => {
  const constraints = constraintsOf(column)
  const has = (kind: Constraint["contype"]) => constraints.find(({ contype }) => contype === kind)
  const found: Array<Warning> = [...typeWarnings(column, constraints.some(isPrimary))]
  const fallback = has("CONSTR_DEFAULT")
  const own = has("CONSTR_IDENTITY") ?? has("CONSTR_GENERATED")
  const required = has("CONSTR_NOTNULL") ?? has("CONSTR_PRIMARY")
  if (required !== undefined && fallback === undefined && own === undefined && !serial.test(typeOf(column.typeName))) {
    found.push({ rule: "adding-required-field", at: column.location })
  }
  if (
    (fallback !== undefined && isVolatile(fallback.raw_expr)) ||
    own !== undefined ||
    serial.test(typeOf(column.typeName))
  ) {
    found.push({ rule: "adding-field-with-default", at: (fallback ?? own)?.location ?? column.location })
  }
  for (const constraint of constraints) {
    const at = constraint.location
    switch (constraint.contype) {
      case "CONSTR_FOREIGN":
        // Every new value is null, or one and the same, and still both tables are locked while that is checked.
        found.push({ rule: "adding-foreign-key-constraint", at })
        break
      case "CONSTR_CHECK":
        found.push({ rule: "constraint-missing-not-valid", at })
        break
      case "CONSTR_UNIQUE":
      case "CONSTR_PRIMARY":
        found.push({ rule: "disallowed-unique-constraint", at })
        break
    }
  }
  return found
}

const ofAddedConstraint = (constraint: Constraint): ReadonlyArray<Warning> => {
  const at = constraint.location
  switch (constraint.contype) {
    case "CONSTR_FOREIGN":
      return constraint.skip_validation === true ? [] : [{ rule: "adding-foreign-key-constraint", at }]
    case "CONSTR_CHECK":
    case "CONSTR_NOTNULL":
      return constraint.skip_validation === true ? [] : [{ rule: "constraint-missing-not-valid", at }]
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY":
    case "CONSTR_EXCLUSION":
      return constraint.indexname === undefined ? [{ rule: "disallowed-unique-constraint", at }] : []
    default:
      return []
  }
}

/** What works beside others must do so, and outside of a transaction. */
const ofConcurrent = (concurrent: boolean, transaction: boolean, rule: Warning["rule"]): ReadonlyArray<Warning> => {
  if (!concurrent) return [{ rule }]
  return transaction ? [{ rule: "ban-concurrent-index-creation-in-transaction" }] : []
}

const isMade = ({ made }: Around, relation: RangeVar | undefined): boolean => made.has(nameOf(relation))

/** A check that a SET NOT NULL or an ATTACH PARTITION may trust is not looked for: the hint tells the whole way. */
const ofCommand = (command: AlterTableCmd, around: Around): ReadonlyArray<Warning> => {
  const { def } = command
  switch (command.subtype) {
    case "AT_AddColumn":
      return def !== undefined && "ColumnDef" in def ? ofAddedColumn(def.ColumnDef) : []
    case "AT_AddConstraint":
      return def !== undefined && "Constraint" in def ? ofAddedConstraint(def.Constraint) : []
    case "AT_AlterColumnType":
      return [
        { rule: "changing-column-type" },
        ...(def !== undefined && "ColumnDef" in def ? typeWarnings(def.ColumnDef, false) : [])
      ]
    case "AT_SetNotNull":
      return [{ rule: "adding-not-nullable-field" }]
    case "AT_DropColumn":
      return [{ rule: "ban-drop-column" }]
    case "AT_SetLogged":
    case "AT_SetUnLogged":
      return [{ rule: "changing-persistence" }]
    case "AT_AttachPartition":
      return def !== undefined &&
        "PartitionCmd" in def &&
        def.PartitionCmd.bound !== undefined &&
        !isMade(around, def.PartitionCmd.name)
        ? [{ rule: "attaching-partition" }]
        : []
    case "AT_DetachPartition":
      return ofConcurrent(
        def !== undefined && "PartitionCmd" in def && def.PartitionCmd.concurrent === true,
        around.transaction,
        "require-concurrent-partition-detach"
      )
    default:
      return []
  }
}

const commandsOf = (statement: AlterTableStmt): ReadonlyArray<AlterTableCmd> =>
  (statement.cmds ?? []).flatMap((node) => ("AlterTableCmd" in node ? [node.AlterTableCmd] : []))

const listNames = (node: Node): string => {
  const items = "List" in node ? (node.List.items ?? []) : []
  const names = items.flatMap((item) => ("String" in item ? [item.String.sval ?? ""] : []))
  return `${names.length > 1 ? (names.at(-2) ?? "") : ""}.${names.at(-1) ?? ""}`
}

const namesIn = (items: Array<Node> = []): string => listNames({ List: { items } })

/** The tables, domains and enums that a statement makes. With IF NOT EXISTS one may have been there before, and in use. */
export const tablesMade = (node: Node): ReadonlyArray<string> => {
  if ("CreateStmt" in node && node.CreateStmt.if_not_exists !== true) return [nameOf(node.CreateStmt.relation)]
  if ("CreateTableAsStmt" in node && node.CreateTableAsStmt.if_not_exists !== true) {
    return [nameOf(node.CreateTableAsStmt.into?.rel)]
  }
  if ("CreateEnumStmt" in node) return [namesIn(node.CreateEnumStmt.typeName)]
  return "CreateDomainStmt" in node ? [namesIn(node.CreateDomainStmt.domainname)] : []
}

/** Whether an INSERT takes its rows from a query, and not from itself. */
const copiesRows = (select: Node | undefined): boolean => {
  if (select === undefined || !("SelectStmt" in select)) return false
  const { fromClause, larg } = select.SelectStmt
  return fromClause !== undefined || larg !== undefined
}

/** Whether a statement changes the structure of a table that was there before, under a lock that others wait for. */
export const changesTable = (node: Node, made: ReadonlySet<string>): boolean =>
  "AlterTableStmt" in node && !made.has(nameOf(node.AlterTableStmt.relation))

/** Whether a statement changes as many rows as there are; a table of the same file has few before others are copied into it. */
const changesRows = (node: Node, around: Around): boolean => {
  if ("InsertStmt" in node) return copiesRows(node.InsertStmt.selectStmt)
  if ("UpdateStmt" in node) return !isMade(around, node.UpdateStmt.relation)
  if ("DeleteStmt" in node) return !isMade(around, node.DeleteStmt.relation)
  return "MergeStmt" in node && !isMade(around, node.MergeStmt.relation)
}

const relationKinds: ReadonlySet<string | undefined> = new Set(["OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"])

/** How the grammar writes ALTER DOMAIN … SET NOT NULL. */
const domainSetNotNull = "O"

/** What is dangerous in one statement. */
export const warningsOf = (node: Node, around: Around): ReadonlyArray<Warning> => {
  if ("CreateStmt" in node) {
    const elements = node.CreateStmt.tableElts ?? []
    const keys = new Set(
      elements.flatMap((element) =>
        "Constraint" in element && isPrimary(element.Constraint)
          ? (element.Constraint.keys ?? []).flatMap((key) => ("String" in key ? [key.String.sval ?? ""] : []))
          : []
      )
    )
    return elements.flatMap((element) => {
      if (!("ColumnDef" in element)) return []
      const column = element.ColumnDef
      return typeWarnings(column, keys.has(column.colname ?? "") || constraintsOf(column).some(isPrimary))
    })
  }
  if ("IndexStmt" in node) {
    const { concurrent, relation } = node.IndexStmt
    return concurrent !== true && isMade(around, relation)
      ? []
      : ofConcurrent(concurrent === true, around.transaction, "require-concurrent-index-creation")
  }
  if ("DropStmt" in node) {
    const { behavior, concurrent, objects = [], removeType } = node.DropStmt
    if (removeType === "OBJECT_INDEX") {
      return ofConcurrent(concurrent === true, around.transaction, "require-concurrent-index-deletion")
    }
    if (removeType === "OBJECT_TABLE") {
      return objects.some((object) => !around.made.has(listNames(object))) ? [{ rule: "ban-drop-table" }] : []
    }
    if (behavior !== "DROP_CASCADE") return []
    return [{ rule: removeType === "OBJECT_SCHEMA" ? "ban-drop-table" : "ban-drop-cascade" }]
  }
  if ("ReindexStmt" in node) {
    const concurrent = (node.ReindexStmt.params ?? []).some(
      (param) => "DefElem" in param && param.DefElem.defname === "concurrently"
    )
    return !concurrent && isMade(around, node.ReindexStmt.relation)
      ? []
      : ofConcurrent(concurrent, around.transaction, "require-concurrent-reindex")
  }
  if ("RefreshMatViewStmt" in node) {
    const { concurrent, relation } = node.RefreshMatViewStmt
    return concurrent === true || isMade(around, relation) ? [] : [{ rule: "require-concurrent-refresh" }]
  }
  if ("AlterTableStmt" in node) {
    const made = isMade(around, node.AlterTableStmt.relation)
    // What is attached to a new table may be an old one.
    return commandsOf(node.AlterTableStmt)
      .filter(({ subtype }) => !made || subtype === "AT_AttachPartition")
      .flatMap((command) => ofCommand(command, around))
  }
  if ("RenameStmt" in node) {
    const { relation, renameType } = node.RenameStmt
    if (isMade(around, relation)) return []
    if (renameType === "OBJECT_TABLE") return [{ rule: "renaming-table" }]
    if (renameType === "OBJECT_SCHEMA") return [{ rule: "renaming-schema" }]
    return renameType === "OBJECT_COLUMN" ? [{ rule: "renaming-column" }] : []
  }
  if ("AlterObjectSchemaStmt" in node) {
    const { objectType, relation } = node.AlterObjectSchemaStmt
    return relationKinds.has(objectType) && !isMade(around, relation) ? [{ rule: "renaming-table" }] : []
  }
  if ("AlterDomainStmt" in node) {
    const { def, subtype, typeName } = node.AlterDomainStmt
    if (around.made.has(namesIn(typeName))) return []
    if (subtype === domainSetNotNull) return [{ rule: "constraint-missing-not-valid" }]
    return def !== undefined && "Constraint" in def ? ofAddedConstraint(def.Constraint) : []
  }
  if ("AlterEnumStmt" in node) {
    const { oldVal, typeName } = node.AlterEnumStmt
    return oldVal === undefined || around.made.has(namesIn(typeName)) ? [] : [{ rule: "renaming-value" }]
  }
  if ("DropOwnedStmt" in node) return [{ rule: "ban-drop-owned" }]
  if ("TruncateStmt" in node) {
    return node.TruncateStmt.behavior === "DROP_CASCADE" ? [{ rule: "ban-truncate-cascade" }] : []
  }
  if ("VacuumStmt" in node) {
    const full = (node.VacuumStmt.options ?? []).some(
      (option) => "DefElem" in option && option.DefElem.defname === "full"
    )
    return full ? [{ rule: "ban-vacuum-full" }] : []
  }
  if ("ClusterStmt" in node) return [{ rule: "ban-vacuum-full" }]
  return around.transaction && around.changesTables && changesRows(node, around)
    ? [{ rule: "backfill-with-schema-change" }]
    : []
}
