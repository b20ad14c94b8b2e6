import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/Billing.test.ts" }]

const folder = "src/platform/billing"
const tablesMemory = "src/platform/tables/TablesMemory.ts"
const tables = `${folder}/BillingTables.ts`
const subscriptions = `${folder}/makeSubscriptions.ts`
const usage = `${folder}/makeUsage.ts`
const invoices = `${folder}/makeInvoices.ts`
const invoiceRows = `${folder}/InvoiceRows.ts`
const invoiceSums = `${folder}/InvoiceSums.ts`
const periods = `${folder}/Periods.ts`
const terms = `${folder}/Terms.ts`
const invoicing = `${folder}/invoiceSubscription.ts`
const drafts = `${folder}/Drafts.ts`
const payments = `${folder}/makePayments.ts`
const refunds = `${folder}/makeRefunds.ts`
const credit = `${folder}/makeCredit.ts`
const ledger = `${folder}/Ledger.ts`
const replay = `${folder}/Replay.ts`

/** Defects of `Billing` in memory, and of the rules that it shares with PostgreSQL. */
export const billing: ReadonlyArray<Mutant> = [
  {
    name: "Billing: a page repeats the last row of the one before",
    file: tablesMemory,
    find: "inOrder(place(row), after) > 0",
    replace: "inOrder(place(row), after) >= 0",
    red
  },
  {
    name: "Billing: of many that are found by id those that are not there are left out",
    file: tablesMemory,
    find: "findMany: (ids) => read(operation, (db) => ids.map((id) => db.get(table, id)))",
    replace: "findMany: (ids) => read(operation, (db) => ids.map((id) => db.get(table, id)).filter(Option.isSome))",
    red
  },
  {
    name: "Billing: the newest come first although the oldest are asked for",
    file: tablesMemory,
    find: 'const sign = direction === "ascending" ? 1 : -1',
    replace: 'const sign = direction === "ascending" ? -1 : -1',
    red
  },
  {
    name: "Billing: the end of a period is in it",
    file: tablesMemory,
    find: "known((order) => order < 0)",
    replace: "known((order) => order <= 0)",
    red
  },
  {
    name: "Billing: filters by null are ignored",
    file: tablesMemory,
    find: "(stored === null) === wanted",
    replace: "(stored === null) === wanted || true",
    red
  },
  {
    name: "Billing: a row that a unique index refuses is told as stored",
    file: tablesMemory,
    find: "if (Result.isSuccess(inserted)) made.push(row)",
    replace: "if (Result.isSuccess(inserted) || isTaken(inserted.failure)) made.push(row)",
    red
  },
  {
    name: "Billing: a sum that is not exact is told",
    file: tablesMemory,
    find: '(sum) => exactSum({ operation, kind: "read" }, sum)',
    replace: "(sum) => Effect.succeed(Number(sum))",
    red
  },
  {
    name: "Billing: rows that are removed stay",
    file: tablesMemory,
    find: "const removed = db.remove(table, table.key(row))",
    replace: "const removed: Result.Result<void, StoreError> = Result.void",
    red
  },
  {
    name: "Billing: a canceled subscription keeps its plan taken",
    file: tables,
    find: 'state === "canceled" ? undefined : `${userId}/${planId}`',
    replace: "state === undefined ? undefined : `${userId}/${planId}`",
    red
  },
  {
    name: "Billing: paused subscriptions are due",
    file: tables,
    find: 'state === "paused" ? cancelAtPeriodEnd : state !== "canceled"',
    replace: 'state !== "canceled"',
    red
  },
  {
    name: "Billing: what is paused never ends",
    file: tables,
    find: 'state === "paused" ? cancelAtPeriodEnd : state !== "canceled"',
    replace: 'state !== "paused" && state !== "canceled"',
    red
  },
  {
    name: "Billing: a plan that is to come is free for others",
    file: subscriptions,
    find: 'const told = nextPlanId === null ? [planId] : [planId, nextPlanId]\n    // What it was to become before it was paused and changed is no longer to come.\n    if (state === "paused") return',
    replace: "const told = [planId]\n    if (state !== undefined || nextPlanId === null) return",
    red
  },
  {
    name: "Billing: a plan that no longer comes stays taken",
    file: subscriptions,
    find: "if (!plans.includes(planId)) yield*",
    replace: "if (plans.length === 0) yield*",
    red
  },
  {
    name: "Billing: a canceled subscription's plans stay taken",
    file: subscriptions,
    find: "if (!live.holds(written)) yield* letGo(operation, id)\n",
    replace: "if (!live.holds(written)) yield* Effect.void\n",
    red
  },
  {
    name: "Billing: what is to come is told as what runs",
    file: terms,
    find: "const term = termAt(terms, subscription.currentPeriodStart) ?? last\n",
    replace: "const term = last ?? termAt(terms, subscription.currentPeriodStart)\n",
    red
  },
  {
    name: "Billing: what has ended keeps others from subscribing",
    file: subscriptions,
    find: "if (!hasEnded(held.value)) return false",
    replace: "if (held.value !== undefined) return false",
    red
  },
  {
    name: "Billing: void invoices count for their period",
    file: tables,
    find: 'holds: ({ state }) => state !== "void"',
    replace: "holds: ({ state }) => state !== undefined",
    red
  },
  {
    name: "Billing: a user with invoices can go",
    file: tables,
    find: 'invoices_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "restrict" }',
    replace: 'invoices_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "cascade" }',
    red
  },
  {
    name: "Billing: a period is renewed as often as it is asked for",
    file: subscriptions,
    find: "if (!DateTime.Equivalence(currentPeriodEnd, expectedPeriodEnd)) {",
    replace: "if (DateTime.isLessThan(currentPeriodEnd, expectedPeriodEnd)) {",
    red
  },
  {
    name: "Billing: a period is renewed before it is over",
    file: subscriptions,
    find: "if (!isOver(currentPeriodEnd, now)) return",
    replace: "if (false) return",
    red
  },
  {
    name: "Billing: what was to be cancelled is renewed",
    file: subscriptions,
    find: "if (cancelAtPeriodEnd) return",
    replace: "if (cancelAtPeriodEnd && id === undefined) return",
    red
  },
  {
    name: "Billing: periods follow each other instead of the anchor",
    file: periods,
    find: "return { start: startOf(begun), end: startOf(begun + 1) }",
    replace: "return { start: startOf(begun), end: DateTime.add(startOf(begun), { months: months[interval] }) }",
    red
  },
  {
    name: "Billing: a period begins before its day of the month",
    file: periods,
    find: "DateTime.isGreaterThan(startOf(n), at) ? n - 1 : n",
    replace: "n",
    red
  },
  {
    name: "Billing: a trial is divided into intervals",
    file: periods,
    find: "  if (DateTime.isLessThan(at, anchor)) return { start: since, end: anchor }\n",
    replace: "",
    red
  },
  {
    name: "Billing: years are counted from the anchor, not from when they began",
    file: periods,
    find: "const first = monthsBetween(anchor, DateTime.max(anchor, since))",
    replace: "const first = monthsBetween(anchor, anchor) + 0 * monthsBetween(anchor, DateTime.max(anchor, since))",
    red
  },
  {
    name: "Billing: periods go on after the end",
    file: periods,
    find: "(ended === null || DateTime.isLessThanOrEqualTo(period.start, ended))",
    replace: "(ended === null || ended !== undefined)",
    red
  },
  {
    name: "Billing: periods go on after the one that is to be the last",
    file: periods,
    find: "!(cancelAtPeriodEnd && DateTime.isGreaterThanOrEqualTo(period.start, currentPeriodEnd))",
    replace: "!(cancelAtPeriodEnd && period.start === undefined && currentPeriodEnd === undefined)",
    red
  },
  {
    name: "Billing: a change holds from when the subscription began",
    file: terms,
    find: "      const since = nextStart(last, now)\n",
    replace: "      const since = now === last.since ? nextStart(last, now) : last.since\n",
    red
  },
  {
    name: "Billing: a change of a change is lost",
    file: terms,
    find: "? replace(operation, subscriptionTerms, { ...next, position: last.position })",
    replace: "? replace(operation, subscriptionTerms, { ...last, ...{ since: next.since } })",
    red
  },
  {
    name: "Billing: the time in which it was paused has periods",
    file: terms,
    find: "replace(operation, subscriptionTerms, { ...last, until: end }),",
    replace: "replace(operation, subscriptionTerms, { ...last, until: next.since }),",
    red
  },
  {
    name: "Billing: a renewal is as long as the newest price says",
    file: subscriptions,
    find: "periodOf(termAt(all, at) ?? last, at)",
    replace: "periodOf(all.length > 9 ? (termAt(all, at) ?? last) : last, at)",
    red
  },
  {
    name: "Billing: what is paused or cancelled while renewals are overdue stays in a period that is over",
    file: subscriptions,
    find: "renewable.holds(subscription) && isOver(subscription.currentPeriodEnd, now)",
    replace:
      "renewable.holds(subscription) && subscription.cancelAtPeriodEnd && isOver(subscription.currentPeriodEnd, now)",
    red
  },
  {
    name: "Billing: what has ended is kept while its renewal is overdue",
    file: subscriptions,
    find: "renewable.holds(subscription) && isOver(subscription.currentPeriodEnd, now)",
    replace:
      "renewable.holds(subscription) && !subscription.cancelAtPeriodEnd && isOver(subscription.currentPeriodEnd, now)",
    red
  },
  {
    name: "Billing: what was changed while it was paused is forgotten",
    file: subscriptions,
    find: "return yield* terms.follow(operation, active, wanted, last, now)",
    replace: "return active",
    red
  },
  {
    name: "Billing: a change before the beginning leaves the first period's end",
    file: terms,
    find: "if (isSame(last, wanted) || DateTime.isGreaterThan(since, currentPeriodStart)) return told\n",
    replace: "if (id !== undefined) return told\n",
    red
  },
  {
    name: "Billing: a paused one goes on though its period is over",
    file: subscriptions,
    find: "if (!isOver(end, now)) return yield*",
    replace: "if (!isOver(end, now) || isOver(end, now)) return yield*",
    red
  },
  {
    name: "Billing: any period is invoiced",
    file: invoicing,
    find: "if (!startsThere || !DateTime.Equivalence(running.period.end, end)) {",
    replace: "if (running === undefined) {",
    red
  },
  {
    name: "Billing: a period that has not begun is invoiced",
    file: invoicing,
    find: "if (DateTime.isGreaterThan(start, now)) return",
    replace: "if (DateTime.isGreaterThan(start, end)) return",
    red
  },
  {
    name: "Billing: usage of a period that has not begun is taken",
    file: usage,
    find: "if (running === undefined || DateTime.isGreaterThan(running.period.start, now)) {",
    replace: "if (running === undefined) {",
    red
  },
  {
    name: "Billing: usage of any metric is taken",
    file: usage,
    find: "return counted === metric\n",
    replace: "return counted !== undefined || counted === metric\n",
    red
  },
  {
    name: "Billing: usage of any time is taken",
    file: usage,
    find: '    return Result.fail(new PeriodMismatch({ subscriptionId, field: "usedAt", nearest }))\n',
    replace:
      '    return nearest === undefined ? Result.fail(new PeriodMismatch({ subscriptionId, field: "usedAt", nearest })) : Result.void\n',
    red
  },
  {
    name: "Billing: other usage with the same key is taken for the same",
    file: usage,
    find: "if (record === undefined || !saysTheSame(record, usage)) {",
    replace: "if (record === undefined) {",
    red
  },
  {
    name: "Billing: usage of an invoiced period is taken",
    file: usage,
    find: "if (id === subscriptionId && start",
    replace: "if (id !== subscriptionId && start",
    red
  },
  {
    name: "Billing: one unit beyond what is included is free",
    file: invoiceSums,
    find: "beyond <= 0n ? 0 :",
    replace: "beyond <= 1n ? 0 :",
    red
  },
  {
    name: "Billing: begun units are not counted",
    file: invoiceSums,
    find: "(beyond + BigInt(size) - 1n) / BigInt(size)",
    replace: "beyond / BigInt(size)",
    red
  },
  {
    name: "Billing: what is included counts once, whatever the quantity",
    file: invoiceSums,
    find: "BigInt(included) * BigInt(quantity)",
    replace: "BigInt(included) * BigInt(quantity > 0 ? 1 : 0)",
    red
  },
  {
    name: "Billing: a discount beyond the lines is taken",
    file: invoiceSums,
    find: "if (subtotal < BigInt(discount)) {",
    replace: "if (subtotal < 0n) {",
    red
  },
  {
    name: "Billing: a total that is not exact is taken",
    file: invoiceSums,
    find: "if (!isExact(subtotal) || !isExact(total))",
    replace: "if (!isExact(subtotal))",
    red
  },
  {
    name: "Billing: what a changed draft comes to is not the sum of its lines",
    file: drafts,
    find: "const charged = lines ??",
    replace: "const charged = [] as typeof lines ??",
    red
  },
  {
    name: "Billing: a finalised invoice can be changed",
    file: invoices,
    find: 'if (state !== "draft") return yield* new InvoiceNotDraft',
    replace: 'if (state === "void") return yield* new InvoiceNotDraft',
    red
  },
  {
    name: "Billing: numbers of a series repeat",
    file: invoices,
    find: "Option.getOrElse(held, () => empty).lastNumber + 1",
    replace: "Option.getOrElse(held, () => empty).lastNumber * 0 + 1",
    red
  },
  {
    name: "Billing: an invoice with payments under way can be void",
    file: invoices,
    find: "if (amountPaid > 0 || amountPending > 0) {",
    replace: "if (amountPaid > 0) {",
    red
  },
  {
    name: "Billing: credit is lost with its invoice",
    file: invoices,
    find: "if (creditApplied > 0) {",
    replace: "if (creditApplied < 0) {",
    red
  },
  {
    name: "Billing: an invoice is paid while something is due",
    file: invoiceRows,
    find: "takesMoney(changed) && amountDue(changed) === 0",
    replace: "takesMoney(changed) && amountDue(changed) <= 1",
    red
  },
  {
    name: "Billing: payments under way may be paid again",
    file: invoiceRows,
    find: "amountDue(invoice) - invoice.amountPending",
    replace: "amountDue(invoice) - invoice.amountPending * 0",
    red
  },
  {
    name: "Billing: a failed payment goes on reserving its amount",
    file: payments,
    find: '(from === "pending" ? amount : 0)',
    replace: '(from === "pending" && to === "succeeded" ? amount : 0)',
    red
  },
  {
    name: "Billing: money that comes late is taken by an invoice that is void",
    file: payments,
    find: "Effect.andThen(isOpen(invoice), isWithinDue(invoice, Money.make(amount, currency)))",
    replace: "isWithinDue(invoice, Money.make(amount, currency))",
    red
  },
  {
    name: "Billing: money that comes late is more than is due",
    file: payments,
    find: "Effect.andThen(isOpen(invoice), isWithinDue(invoice, Money.make(amount, currency)))",
    replace: "isOpen(invoice)",
    red
  },
  {
    name: "Billing: a payment of another currency is taken",
    file: payments,
    find: "if (amount.currency !== currency) {",
    replace: 'if (currency === "") {',
    red
  },
  {
    name: "Billing: another request with the same key is taken for the same",
    file: replay,
    find: "found.value.requestHash !== requestHash",
    replace: "found.value.requestHash === undefined",
    red
  },
  {
    name: "Billing: a default that is spelled out makes another request",
    file: payments,
    find: "hashOf({ ...payment, state })",
    replace: "hashOf(payment)",
    red
  },
  {
    name: "Billing: refunds come to more than the payment",
    file: refunds,
    find: "const refundable = payment.amount - payment.amountRefunded",
    replace: "const refundable = payment.amount",
    red
  },
  {
    name: "Billing: a failed refund keeps its amount",
    file: refunds,
    find: "payment.value.amountRefunded - refund.amount",
    replace: "payment.value.amountRefunded",
    red
  },
  {
    name: "Billing: a period is invoiced in a snapshot that hides what others recorded",
    file: tablesMemory,
    find: "Effect.andThen(seesOthers(operation), transaction(effect))",
    replace: "Effect.andThen(Effect.void, transaction(effect))",
    red
  },
  {
    name: "Billing: a balance goes below zero",
    file: ledger,
    find: "if (after < 0) return",
    replace: "if (after < -1) return",
    red
  },
  {
    name: "Billing: a deduction adds",
    file: credit,
    find: 'method === "grant" ? amount.amount : -amount.amount',
    replace: "amount.amount",
    red
  },
  {
    name: "Billing: more credit is used than is due",
    file: credit,
    find: "if (amount > room || room === 0) {",
    replace: "if (room === 0) {",
    red
  }
]
