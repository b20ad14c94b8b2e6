import { at, type Mutant } from "../Mutant.ts"

const operations = at("test/migrations/Operations.test.ts", "live")
const tokens = at("test/postgres/migrations/SqlTokens.test.ts")
const concurrent = at("test/postgres/migrations/ConcurrentStatement.test.ts")
const folder = "src/postgres/migrations"

/** What is looked at in a script before it runs, passed over. */
export const migrationScripts: ReadonlyArray<Mutant> = [
  {
    name: "Migrations: a statement that speaks of CONCURRENTLY runs outside of its entry's transaction",
    file: `${folder}/ConcurrentStatement.ts`,
    find: "return others.some((form) => form.test(normal))",
    replace: "return /concurrently/.test(text)",
    red: [concurrent("is not misled by what a statement merely says")]
  },
  {
    name: "Migrations: any statement may be outside of its entry's transaction",
    file: `${folder}/Steps.ts`,
    find: "const concurrent = concurrentStatement(text) !== undefined",
    replace: 'const concurrent = concurrentStatement(text) !== undefined || text.includes("concurrently")',
    red: [operations("a statement that only speaks of CONCURRENTLY is done once")]
  },
  {
    name: "Migrations: an index that no later run could find is built",
    file: `${folder}/ScriptProblem.ts`,
    find: 'concurrentStatement(text)?._tag === "CreateUnnamedIndex"',
    replace: "concurrentStatement(text) === null",
    red: [operations("an index without a name is not built CONCURRENTLY")]
  },
  {
    name: "Migrations: what has no end hides what is behind it",
    file: `${folder}/ScriptProblem.ts`,
    find: 'if (!whole && (kind === "comment" || kind === "string" || kind === "name")) {',
    replace: 'if (!whole && kind === "name") {',
    red: [operations("a script that the server would not read as it is written")]
  },
  {
    name: "Migrations: rows that only psql could send end the connection",
    file: `${folder}/ScriptProblem.ts`,
    find: "if (copiesThroughClient.test(normal)) {",
    replace: "if (copiesThroughClient.test(text.slice(0, 0))) {",
    red: [operations("a script that the server would not read as it is written")]
  },
  {
    name: "Migrations: a script is read otherwise than the session reads it",
    file: `${folder}/Steps.ts`,
    find: "? sql<object>`select set_config('standard_conforming_strings', 'on', false)`\n        : sql<object>`select set_config('standard_conforming_strings', 'on', false),\n            set_config(",
    replace: "? sql<object>`select 1`\n        : sql<object>`select set_config(",
    red: [at("test/migrations/Operations.test.ts", "embedded")("a script is read by one rule")]
  },
  {
    name: "Migrations: a carriage return does not end a comment",
    file: `${folder}/SqlTokens.ts`,
    find: "const lineEnd = /[\\n\\r]/g",
    replace: "const lineEnd = /\\n/g",
    red: [tokens("a comment ends where the server ends it"), operations("line ends of any kind end a comment")]
  },
  {
    name: "Migrations: a string with escapes ends at its first line",
    file: `${folder}/SqlTokens.ts`,
    find: "end === undefined ? undefined : continuation(text, end)",
    replace: "end === undefined || continuation(text, end) !== undefined ? undefined : end",
    red: [tokens("a string with escapes goes on behind a line break")]
  }
]
