import { at, type Mutant } from "../Mutant.ts"

const together = at("test/platform/UserTokensConcurrency.test.ts")

/** How tokens are given and ended in turn on PostgreSQL: taken out. */
export const userTokens: ReadonlyArray<Mutant> = [
  {
    name: "UserTokens: a sign-in that begins at that moment outlives the end of all",
    file: "src/platform/users/UserRow.ts",
    find: "erased_at is null for no key update`",
    replace: "erased_at is null for key share`",
    red: [
      together("a new password ends the sign-in, too"),
      together("signing out everywhere ends the sign-in, too"),
      together("a reset ends the sign-in, too")
    ]
  }
]
