import { at, type Mutant } from "../Mutant.ts"

const files = at("test/migrations/MigrationFile.test.ts")
const source = "src/migrations/MigrationFile.ts"

/** What is refused of files and programs, taken. */
export const migrationFiles: ReadonlyArray<Mutant> = [
  {
    name: "Migrations: a file that is not UTF-8 is applied with its text corrupted",
    file: source,
    find: "{ fatal: true, ignoreBOM: true }",
    replace: "{ ignoreBOM: true }",
    red: [files("a file that is not UTF-8 is refused")]
  },
  {
    name: "Migrations: a byte order mark hides the first mark",
    file: source,
    find: "whole.startsWith(byteOrderMark) ? whole.slice(1) : whole",
    replace: "whole",
    red: [files("a byte order mark is no part of it")]
  },
  {
    name: "Migrations: a byte order mark does not count in the checksum",
    file: source,
    find: "{ fatal: true, ignoreBOM: true }",
    replace: "{ fatal: true }",
    red: [files("a file that is not UTF-8 is refused")]
  },
  {
    name: "Migrations: a way down without a statement undoes nothing, and says that it did",
    file: source,
    find: "holdsStatement(downText) ? ways.down : undefined",
    replace: "ways.down",
    red: [files("a way down that holds no statement is none")]
  },
  {
    name: "Migrations: behind a mark that is misspelt, what undoes is applied",
    file: source,
    find: "if (almost !== undefined) {",
    replace: "if (almost?.length === 0) {",
    red: [files("a mark that is written otherwise is refused")]
  },
  {
    name: "Migrations: a file that ends in .SQL is passed over",
    file: source,
    find: "const anySql = /\\.sql$/i",
    replace: "const anySql = /\\.sql$/",
    red: [files("what looks like a migration and would be passed over")]
  },
  {
    name: "Migrations: a folder whose files are all in subfolders is up to date",
    file: source,
    find: "if (below !== undefined) {",
    replace: 'if (below === "") {',
    red: [files("files in subfolders are not read")]
  },
  {
    name: "Migrations: a program that dies ends the run as a defect",
    file: "src/migrations/Program.ts",
    find: "const error = Cause.squash(cause)\n",
    replace:
      "if (!Cause.hasFails(cause)) return Effect.failCause(cause as Cause.Cause<never>)\n        const error = Cause.squash(cause)\n",
    red: [at("test/migrations/Operations.test.ts", "live")("a program that dies, throws or interrupts itself")]
  }
]
