import { at, type Mutant } from "../Mutant.ts"

const file = "src/postgres/repository/BulkInsert.ts"
const test = at("test/postgres/repository/BulkInsert.test.ts")
const refusals = [test("refuses by itself what the server would refuse, and nothing else")]

/** What a bulk insert handles, taken out. */
export const bulkInsert: ReadonlyArray<Mutant> = [
  {
    name: "Bulk insert: each statement is a transaction of its own",
    file,
    find: 'client.unit({ operation, kind: "write" }, statements)',
    replace:
      'Effect.map(Effect.forEach(statements, (one) => client.unit({ operation, kind: "write" }, [one])), (all) => all.flat())',
    red: [
      test("stores more rows than a statement takes, in one transaction"),
      test("one refused row refuses them all, by the name of the rule")
    ]
  },
  {
    name: "Bulk insert: one whose answer was lost is sent again",
    file,
    find: '{ operation, kind: "write" }',
    replace: '{ operation, kind: "write", idempotent: true }',
    red: [test("the answer is lost: CommitUnknown"), test("the connection is cut in a stream of chunks")]
  },
  {
    name: "Bulk insert: one whose answer was lost is told as not applied",
    file,
    find: '{ operation, kind: "write" }',
    replace: '{ operation, kind: "read" }',
    red: [test("the answer is lost: CommitUnknown"), test("the connection is cut in a stream of chunks")]
  },
  {
    name: "Bulk insert: a chunk that is refused is left out",
    file,
    find: "insert(chunk, i * chunkSize))",
    replace: "Effect.orElseSucceed(insert(chunk, i * chunkSize), () => 0))",
    red: [
      test("by chunks it keeps what was stored before a failure, and has told how much"),
      test("the connection is cut in a stream of chunks")
    ]
  },
  {
    name: "Bulk insert: it tells how many rows it was given",
    file,
    find: "results.reduce((sum, { count }) => sum + count, 0)",
    replace: "(void results, rows.length)",
    red: [test("skips what is there where it is told to, and counts what it stored")]
  },
  {
    name: "Bulk insert: a conflict is skipped where nobody said so",
    file,
    find: 'keyed.literal("")',
    replace: 'keyed.literal("on conflict do nothing")',
    red: [test("one refused row refuses them all, by the name of the rule")]
  },
  {
    name: "Bulk insert: a conflict fails where it was to be skipped",
    file,
    find: 'keyed.literal("on conflict do nothing")',
    replace: 'keyed.literal("")',
    red: [test("skips what is there where it is told to, and counts what it stored")]
  },
  {
    name: "Bulk insert: a quote in a name ends it",
    file,
    find: "name.replaceAll('\"', '\"\"')",
    replace: "name",
    red: [test("stores more rows than a statement takes, in one transaction")]
  },
  {
    name: "Bulk insert: wrong values are left to the server",
    file,
    find: "return problems.length > 0\n",
    replace: "return problems.length > rows.length * entries.length\n",
    red: [test("names row and column of values that are not of their type, and sends nothing")]
  },
  {
    name: "Bulk insert: a wrong value is told by its place in the chunk",
    file,
    find: "statement(chunk, first + i * chunkSize)",
    replace: "statement(chunk, first)",
    red: [test("names row and column of values that are not of their type, and sends nothing")]
  },
  {
    name: "Bulk insert: a wrong value of a stream is told by its place in the chunk",
    file,
    find: "insert(chunk, i * chunkSize)",
    replace: "insert(chunk, i * 0)",
    red: [test("by chunks it names a wrong value by its place in the stream")]
  },
  {
    name: "Bulk insert: every wrong value is named",
    file,
    find: "problems.slice(0, mostProblems)",
    replace: "problems",
    red: [test("names twenty wrong values at most")]
  },
  {
    name: "Bulk insert: undefined is a wrong value",
    file,
    find: "valueOf(row) ?? null",
    replace: "valueOf(row)",
    red: [test("stores values of every type as they are")]
  },
  {
    name: "Bulk insert: NUL in a text is left to the server",
    file,
    find: 'typeof value === "string" && !value.includes("\\0") &&',
    replace: 'typeof value === "string" &&',
    red: refusals
  },
  {
    name: "Bulk insert: half of a surrogate pair is stored as another character",
    file,
    find: " && value.isWellFormed()",
    replace: "",
    red: [...refusals, test("names row and column of values that are not of their type, and sends nothing")]
  },
  {
    name: "Bulk insert: what is no UUID is left to the server",
    file,
    find: "uuid.test(value) ? value",
    replace: "value.length > 0 ? value",
    red: refusals
  },
  {
    name: "Bulk insert: an integer of more than 32 bits is left to the server",
    file,
    find: "(value | 0) === value",
    replace: "Number.isInteger(value)",
    red: refusals
  },
  {
    name: "Bulk insert: an integer of more than 64 bits is left to the server",
    file,
    find: "integer >= least && integer <= most",
    replace: "integer >= least",
    red: refusals
  },
  {
    name: "Bulk insert: a number that is not exact any more is stored as an integer",
    file,
    find: "Number.isSafeInteger(value)",
    replace: "Number.isInteger(value)",
    red: refusals
  },
  {
    name: "Bulk insert: a time that is none is left to the driver",
    file,
    find: "date instanceof Date && !Number.isNaN(date.getTime())",
    replace: "date instanceof Date",
    red: refusals
  },
  {
    name: "Bulk insert: JSON with NUL is left to the server",
    file,
    find: "\\\\u(?:0000|d[89a-f])/",
    replace: "\\\\u(?:d[89a-f])/",
    red: refusals
  },
  {
    name: "Bulk insert: JSON with half of a surrogate pair is left to the server",
    file,
    find: "\\\\u(?:0000|d[89a-f])/",
    replace: "\\\\u(?:0000)/",
    red: refusals
  },
  {
    name: "Bulk insert: JSON that tells of NUL as it is written is refused",
    file,
    find: "/(?<!\\\\)(?:\\\\\\\\)*\\\\u",
    replace: "/\\\\u",
    red: refusals
  },
  {
    name: "Bulk insert: a value that is no JSON is a defect",
    file,
    find: "Result.getOrUndefined(Result.try(() => JSON.stringify(value)))",
    replace: "JSON.stringify(value)",
    red: refusals
  },
  {
    name: "Bulk insert: a number that no numeric holds is left to the server",
    file,
    find: " && hasDigits(value, 131_072, 16_383)",
    replace: "",
    red: refusals
  },
  {
    name: "Bulk insert: a list of texts that is null is stored as an empty one",
    file,
    find: "case when ${sent} is null then null else array(select jsonb_array_elements_text(${sent})) end",
    replace: "array(select jsonb_array_elements_text(${sent}))",
    red: [test("stores values of every type as they are")]
  }
]
