import { at, type Mutant } from "../Mutant.ts"

const serverError = "src/postgres/failures/ServerError.ts"
const network = at("test/postgres/PostgresNetwork.test.ts")

/** How a failure of PostgreSQL is told, taken out. */
export const failures: ReadonlyArray<Mutant> = [
  {
    name: "Failures: an errno of five letters is taken for the server's refusal",
    file: serverError,
    find: '  "severity" in cause &&\n  typeof cause.severity === "string" &&\n',
    replace: "",
    red: [network("a write into a connection that is gone already")]
  }
]
