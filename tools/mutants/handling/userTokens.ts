import { at, type Mutant } from "../Mutant.ts"

const live = at("test/contracts/UserTokens.test.ts", "live")
const together = at("test/platform/UserTokensConcurrency.test.ts")

/** How tokens are given and ended in turn on PostgreSQL: taken out. */
export const userTokens: ReadonlyArray<Mutant> = [
  {
    name: "UserTokens: a sign-in that begins at that moment outlives the end of all",
    file: "src/platform/users/UserRow.ts",
    find: "erased_at is null for no key update`",
    replace: "erased_at is null for key share`",
    red: [together(" ends the sign-in, too, that begins at that moment"), together("a reset ends the sign-in, too")]
  },
  {
    name: "UserTokens: a transaction that fails undoes the end of a stolen sign-in",
    file: "src/platform/users/UserTokensLive.ts",
    find: "            yield* afterEnd(endAgain(operation, token.signIn, now))\n",
    replace: "",
    red: [live("a stolen sign-in ends although the transaction around fails")]
  },
  {
    name: "UserTokens: nothing is done behind a transaction",
    file: "src/postgres/transactions/TransactionRun.ts",
    find: "withEnd(retry === false ? attempt : repeated(attempt, retry))",
    replace: "retry === false ? attempt : repeated(attempt, retry)",
    red: [live("a stolen sign-in ends although the transaction around fails")]
  }
]
