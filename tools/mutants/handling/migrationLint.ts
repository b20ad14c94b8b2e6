import { at, type Mutant } from "../Mutant.ts"

const lint = at("test/migrations/Lint.test.ts")
const folder = "src/postgres/migrations/lint"

/** What lint looks at, passed over. */
export const migrationLint: ReadonlyArray<Mutant> = [
  {
    name: "Lint: a constraint that is validated under the lock of its own ADD passes",
    file: `${folder}/ConstraintRules.ts`,
    find: "around.transaction && around.unvalidated.has(",
    replace: "around.transaction && !around.transaction && around.unvalidated.has(",
    red: [lint("validating-with-not-valid")]
  },
  {
    name: "Lint: a constraint that is validated by the statement that adds it passes",
    file: `${folder}/ConstraintRules.ts`,
    find: "tablesUnvalidated(node).length > 0 ||",
    replace: "tablesUnvalidated(node).length > 99 ||",
    red: [lint("validating-with-not-valid")]
  },
  {
    name: "Lint: a backfill in WITH is not seen",
    file: `${folder}/BackfillRules.ts`,
    find: "return inWith(withClause, made) || callsOwnFunction",
    replace: "return callsOwnFunction",
    red: [lint("backfill-with-schema-change")]
  },
  {
    name: "Lint: a backfill in a DO block is not seen",
    file: `${folder}/BackfillRules.ts`,
    find: "return bodyChangesRows(bodyOf(node))",
    replace: 'return bodyChangesRows("")',
    red: [lint("backfill-with-schema-change")]
  },
  {
    name: "Lint: a lock for update is taken for a backfill",
    file: `${folder}/BackfillRules.ts`,
    find: "(?<!\\bfor (?:no key )?)",
    replace: "",
    red: [lint("backfill-with-schema-change")]
  },
  {
    name: "Lint: a function that backfills is not seen",
    file: `${folder}/BackfillRules.ts`,
    find: "|| callsOwnFunction(targetList, fromClause)",
    replace: "|| callsOwnFunction([], fromClause)",
    red: [lint("backfill-with-schema-change")]
  },
  {
    name: "Lint: a view that is renamed passes",
    file: `${folder}/RenameRules.ts`,
    find: '  OBJECT_VIEW: "renaming-table",\n',
    replace: "",
    red: [lint("renaming-table")]
  },
  {
    name: "Lint: a type that the same file makes may not be renamed",
    file: `${folder}/RenameRules.ts`,
    find: 'isMade(made, "type", objectName(object)) || ',
    replace: "",
    red: [lint("renaming-type")]
  },
  {
    name: "Lint: a table may be written anew at another place",
    file: `${folder}/StorageRules.ts`,
    find: '        case "AT_SetTableSpace":\n',
    replace: "",
    red: [lint("changing-tablespace")]
  },
  {
    name: "Lint: a database may be dropped",
    file: `${folder}/DropRules.ts`,
    find: 'if ("DropdbStmt" in node) return [{ rule: "ban-drop-database" }]',
    replace: 'if ("DropdbStmt" in node) return []',
    red: [lint("ban-drop-database")]
  },
  {
    name: "Lint: an index without a name, which the engine refuses, passes",
    file: `${folder}/ConcurrencyRules.ts`,
    find: "concurrent === true && idxname === undefined",
    replace: 'concurrent === true && idxname === ""',
    red: [lint("ban-unnamed-concurrent-index")]
  }
]
