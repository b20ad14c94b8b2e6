import { at, type Mutant } from "../Mutant.ts"

const file = "src/platform/users/UsersLive.ts"
const live = at("test/contracts/Users.test.ts", "live")

/** Many users at once on PostgreSQL: what keeps them all or none, taken out. */
export const users: ReadonlyArray<Mutant> = [
  {
    name: "Users: of many, those before a taken e-mail stay",
    file,
    find: "(yield* bulk.all(made)) === made.length",
    replace: "(yield* bulk.all(made)) >= 0",
    red: [live("of many with a taken e-mail or name none is created")]
  },
  {
    name: "Users: many who are refused end the transaction around",
    file,
    find: 'onConflict: "skip"',
    replace: 'onConflict: "fail"',
    red: [live("what refuses many leaves the transaction around usable")]
  },
  {
    name: "Users: of many any is told as the one whose e-mail is taken",
    file,
    find: "order by g.place limit 1",
    replace: "order by g.place desc limit 1",
    red: [live("of many with a taken e-mail or name none is created")]
  }
]
