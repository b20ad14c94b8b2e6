import { at, type Mutant } from "../Mutant.ts"

const live = at("test/contracts/Notifications.test.ts", "live")
const putOff = "src/platform/notifications/putOffLive.ts"
const deliveries = "src/platform/notifications/DeliveriesLive.ts"

/** Quiet hours on PostgreSQL: each part of how claims keep them, taken out. */
export const quietHours: ReadonlyArray<Mutant> = [
  {
    name: "Quiet hours: what is taken late is sent in them",
    file: deliveries,
    find: "DateTime.isGreaterThan(until, now)",
    replace: "DateTime.isLessThan(until, now)",
    red: [live("what is due in quiet hours is not taken"), live("what a dead worker leaves in quiet hours")]
  },
  {
    name: "Quiet hours: what waits for their end has lost a try",
    file: putOff,
    find: "attempts = w.attempts - 1",
    replace: "attempts = w.attempts",
    red: [live("what is due in quiet hours is not taken"), live("what a dead worker leaves in quiet hours")]
  },
  {
    name: "Quiet hours: a backlog is taken one by one to be given back",
    file: putOff,
    find: "w.priority <> 'urgent' and w.id in",
    replace: "w.priority = 'none' and w.id in",
    red: [live("a backlog that has come into quiet hours")]
  },
  {
    name: "Quiet hours: what is queued again is sent in them",
    file: deliveries,
    find: "DateTime.toDateUtc(sendable(now))",
    replace: "DateTime.toDateUtc(now)",
    red: [live("what is queued again in quiet hours")]
  }
]
