import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/Notifications.test.ts" }]
const quiet = [{ file: "test/platform/quietHours.test.ts" }]

const folder = "src/platform/notifications"
const telling = `${folder}/TellingMemory.ts`
const inbox = `${folder}/InboxMemory.ts`
const deliveries = `${folder}/DeliveriesMemory.ts`
const templates = `${folder}/TemplatesMemory.ts`
const preferences = `${folder}/PreferencesMemory.ts`
const tables = `${folder}/NotificationTables.ts`
const plan = `${folder}/planNotification.ts`
const text = `${folder}/NotificationTemplate.ts`
const hours = `${folder}/quietHours.ts`

/** Defects of `Notifications` in memory, and of the rules that it shares with PostgreSQL. */
export const notifications: ReadonlyArray<Mutant> = [
  {
    name: "Notifications: another request with a key is given the first one's notification",
    file: telling,
    find: "found.value.requestHash !== hash",
    replace: "false",
    red
  },
  {
    name: "Notifications: an unverified address is sent to",
    file: telling,
    find: ".filter(({ verifiedAt }) => verifiedAt !== null)",
    replace: "",
    red
  },
  {
    name: "Notifications: what is being sent is not left alone when a notification is withdrawn",
    file: telling,
    find: "isUnsent(delivery, now) ? canceled",
    replace: 'delivery.state !== "delivered" ? canceled',
    red
  },
  {
    name: "Notifications: what is withdrawn is forgotten, and sent where it is tried again",
    file: telling,
    find: "withdrawnAt: delivery.withdrawnAt ?? now",
    replace: "withdrawnAt: delivery.withdrawnAt",
    red
  },
  {
    name: "Notifications: what a worker had that never came back is sent although it was withdrawn",
    file: deliveries,
    find: "delivery.withdrawnAt !== null && isUnsent(delivery, now)",
    replace: 'delivery.withdrawnAt !== null && delivery.state === "queued"',
    red
  },
  {
    name: "Notifications: a withdrawn delivery whose try fails is tried again",
    file: deliveries,
    find: "          delivery.withdrawnAt === null\n            ?",
    replace: "          delivery.id !== undefined\n            ?",
    red
  },
  {
    name: "Notifications: a user's choice is ignored",
    file: plan,
    find: "[...(chosen ?? channels), ...mandatory]",
    replace: "[...channels, ...mandatory]",
    red
  },
  {
    name: "Notifications: a mandatory channel can be turned off",
    file: plan,
    find: "[...(chosen ?? channels), ...mandatory]",
    replace: "[...(chosen ?? [...channels, ...mandatory])]",
    red
  },
  {
    name: "Notifications: what is urgent waits for the end of quiet hours",
    file: plan,
    find: 'priority === "urgent"',
    replace: 'priority === "low"',
    red
  },
  {
    name: "Notifications: quiet hours hold back every channel",
    file: plan,
    find: " || !quietHours.channels.includes(channel)",
    replace: "",
    red
  },
  {
    name: "Notifications: a delivery is sent before it is due",
    file: plan,
    find: "DateTime.max(now, scheduledFor ?? now)",
    replace: "now",
    red
  },
  {
    name: "Notifications: the account's e-mail comes before the verified address",
    file: plan,
    find: "known.channel === channel)",
    replace: 'known.channel === channel && channel !== "email")',
    red
  },
  {
    name: "Notifications: the inbox shows what is not due",
    file: tables,
    find: "notification.scheduledFor.epochMilliseconds <= now.epochMilliseconds",
    replace: "notification.scheduledFor.epochMilliseconds > 0",
    red
  },
  {
    name: "Notifications: the inbox shows what has expired",
    file: tables,
    find: "notification.expiresAt.epochMilliseconds > now.epochMilliseconds",
    replace: "notification.expiresAt.epochMilliseconds > 0",
    red
  },
  {
    name: "Notifications: what is archived counts as unread",
    file: inbox,
    find: "readAt === null && archivedAt === null",
    replace: "readAt === null",
    red
  },
  {
    name: "Notifications: others may mark a user's notifications",
    file: inbox,
    find: "wanted.has(row.id) && row.userId === userId",
    replace: "wanted.has(row.id)",
    red
  },
  {
    name: "Notifications: the last one of 'all up to a time' stays unread",
    file: inbox,
    find: "DateTime.isLessThanOrEqualTo(row.visibleAt, until)",
    replace: "DateTime.isLessThan(row.visibleAt, until)",
    red
  },
  {
    name: "Notifications: a purge takes what is still to be sent",
    file: inbox,
    find: 'state !== "queued" && state !== "sending"',
    replace: 'state !== "sending"',
    red
  },
  {
    name: "Notifications: a delivery that has expired is sent",
    file: deliveries,
    find: "expiresAt !== null && DateTime.isLessThanOrEqualTo(expiresAt, now)",
    replace: "expiresAt === undefined",
    red
  },
  {
    name: "Notifications: a worker for one channel takes them all",
    file: deliveries,
    find: "channels === undefined || channels.includes(delivery.channel)",
    replace: "true",
    red
  },
  {
    name: "Notifications: telling twice that a delivery is sent finds its lease lost",
    file: deliveries,
    find: "if (before.finishedBy === token) return deliveryOf(before)",
    replace: "",
    red
  },
  {
    name: "Notifications: a failure that no try can mend is tried again",
    file: deliveries,
    find: "options.permanent === true",
    replace: "options.permanent === undefined",
    red
  },
  {
    name: "Notifications: the pauses of what failed together are the same",
    file: deliveries,
    find: "jittered(pauseAfter(deliveryPauses, delivery.attempts), draw)",
    replace: "jittered(pauseAfter(deliveryPauses, delivery.attempts), draw * 0)",
    red
  },
  {
    name: "Notifications: a delivery that is queued again has no tries left",
    file: deliveries,
    find: "({ attempts: 0, availableAt",
    replace: "({ availableAt",
    red
  },
  {
    name: "Notifications: a delivery that is taken late breaks quiet hours",
    file: deliveries,
    find: "if (DateTime.isLessThanOrEqualTo(until, now)) continue",
    replace: "if (DateTime.isGreaterThan(until, now)) continue",
    red
  },
  {
    name: "Notifications: what is queued again breaks quiet hours",
    file: deliveries,
    find: "availableAt: sendable,",
    replace: "availableAt: _,",
    red
  },
  {
    name: "Notifications: an edit of an old version of a template counts",
    file: templates,
    find: "template.version === expected\n",
    replace: "template.version >= expected\n",
    red
  },
  {
    name: "Notifications: another address stays verified",
    file: preferences,
    find: "before?.address === address ? before.verifiedAt : null",
    replace: "before?.verifiedAt",
    red
  },
  {
    name: "Notifications: variables of a template may be inherited",
    file: text,
    find: "Object.hasOwn(variables, name)",
    replace: "name in variables",
    red
  },
  {
    name: "Notifications: a value may break a subject's line",
    file: text,
    find: 'filled.replace(/\\s*[\\r\\n\\u2028\\u2029]+\\s*/g, " ")',
    replace: "filled",
    red
  },
  {
    name: "Notifications: the first minute after quiet hours is quiet",
    file: hours,
    find: "minutes >= start || minutes < end",
    replace: "minutes >= start || minutes <= end",
    red: quiet
  },
  {
    name: "Notifications: an end that the clocks jump over is late",
    file: hours,
    find: "if (wall(later).minutes === to)",
    replace: "if (to >= 0)",
    red: quiet
  }
]
