import { at, type Mutant } from "../Mutant.ts"

const folder = "src/platform/notifications"
const live = at("test/contracts/Notifications.test.ts", "live")
const together = at("test/platform/NotificationsConcurrency.test.ts")

/** How what was withdrawn is not sent on PostgreSQL: taken out. */
export const withdrawn: ReadonlyArray<Mutant> = [
  {
    name: "Notifications: what a worker had that never came back is sent although it was withdrawn",
    file: `${folder}/DeliveriesLive.ts`,
    find: "const sendable = sql`w.withdrawn_at is null and ",
    replace: "const sendable = sql`",
    red: [live("what is withdrawn while a worker has it")]
  },
  {
    name: "Notifications: a withdrawn delivery whose lease is over stays with its worker",
    file: `${folder}/TellingLive.ts`,
    find: "or (w.state = 'sending' and w.lease_until <= statement_timestamp())",
    replace: "",
    red: [live("what is withdrawn while a worker has it")]
  },
  {
    name: "Notifications: a withdrawn delivery whose try fails is refused by the database",
    file: `${folder}/DeliveriesLive.ts`,
    find: "const done = yield* write(set, sql`w.withdrawn_at is null`)",
    replace: "const done = yield* write(set, sql`true`)",
    red: [
      live("a try that fails when its notification was withdrawn"),
      together("what is withdrawn at the moment in which its worker fails")
    ]
  },
  {
    name: "Notifications: a dead delivery of what was withdrawn is queued again",
    file: `${folder}/DeliveriesLive.ts`,
    find: "not: sql`w.withdrawn_at is null`",
    replace: "not: sql`true`",
    red: [live("a dead delivery of what was withdrawn")]
  }
]
