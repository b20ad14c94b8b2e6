import { at, type Mutant } from "../Mutant.ts"

const pool = "src/postgres/PostgresPool.ts"
const ahead = at("test/postgres/BeginAhead.test.ts")

/** What is handled where BEGIN goes along with the COMMIT before it, taken out. */
export const beginAhead: ReadonlyArray<Mutant> = [
  {
    name: "BEGIN ahead: a transaction that was begun for one who has gone stays open",
    file: pool,
    find: "if (slot.ahead !== undefined && isIdle(slot)) {",
    replace: "if (slot.ahead !== undefined && isIdle(slot) && closing) {",
    red: [ahead("whoever waited for it and has gone leaves no transaction open")]
  },
  {
    name: "BEGIN ahead: one who comes later begins in the past",
    file: pool,
    find: "lease.joined > 0 && lease.joined <= ahead.joined",
    replace: "lease.joined > 0",
    red: [ahead("one that comes later begins later")]
  },
  {
    name: "BEGIN ahead: one with options of its own gets a plain transaction",
    file: "src/postgres/PostgresTransactions.ts",
    find: "plain && tenant === undefined",
    replace: "tenant === undefined",
    red: [ahead("one with options of its own gets them")]
  }
]
