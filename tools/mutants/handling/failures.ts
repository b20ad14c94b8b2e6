import { at, type Mutant } from "../Mutant.ts"

const serverError = "src/postgres/failures/ServerError.ts"
const connectFailure = "src/postgres/failures/ConnectFailure.ts"
const network = at("test/postgres/PostgresNetwork.test.ts")

const pooler = at("test/postgres/PgBouncer.test.ts")

/** How a failure of PostgreSQL is told, taken out. */
export const failures: ReadonlyArray<Mutant> = [
  {
    name: "Failures: an errno of five letters is taken for the server's refusal",
    file: serverError,
    find: '  "severity" in cause &&\n  typeof cause.severity === "string" &&\n',
    replace: "",
    red: [network("a write into a connection that is gone already")]
  },
  {
    name: "Failures: all that a pooler refuses is told as the setting to make",
    file: connectFailure,
    find: 'code === "08P01" && detail.includes("startup parameter")',
    replace: 'code === "08P01" && detail !== ""',
    red: [pooler("left unsaid, one that is crowded")]
  },
  {
    name: "Failures: a pooler that was told of is told as the setting to make",
    file: connectFailure,
    find: " && withParameters && refusesParameters(found)",
    replace: ' && found.code === "08P01"',
    red: [pooler("the server behind it is down"), pooler("it lets in no more clients")]
  },
  {
    name: "Failures: why a pooler refuses is not told",
    file: connectFailure,
    find: '...present("detail", detail)',
    replace: "...(detail === undefined ? {} : {})",
    red: [pooler("the server behind it is down"), pooler("left unsaid, the first connection")]
  }
]
