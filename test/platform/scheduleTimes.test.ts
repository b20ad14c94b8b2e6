import { assert, describe, it } from "@effect/vitest"
import { Cron, DateTime, Option } from "effect"
import { lastDue, nextRun } from "../../src/platform/workflows/scheduleTimes.ts"

const at = (time: string): DateTime.Utc => DateTime.makeUnsafe(`${time}Z`)
const text = (time: DateTime.Utc): string => DateTime.formatIso(time).slice(0, 16)

/** The times after one and up to another, as a schedule goes through them. */
const runs = (cron: string, timeZone: string, after: string, until: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let last = at(after)
  while (true) {
    const next = Option.getOrThrow(nextRun({ cron, timeZone }, last))
    if (DateTime.isGreaterThan(next, at(until))) return found
    found.push(text(next))
    last = next
  }
}

const minutesBetween = (from: string, until: string, step: number): ReadonlyArray<string> => {
  const times: Array<string> = []
  for (let time = at(from); DateTime.isLessThanOrEqualTo(time, at(until));) {
    times.push(text(time))
    time = DateTime.add(time, { minutes: step })
  }
  return times
}

describe("the times of a schedule where the clocks are changed", () => {
  it("every hour, or every half of it, is every hour that passes: none is left out, none is twice", () => {
    for (const [zone, from, until] of [
      ["Europe/Berlin", "2026-10-24T22:00", "2026-10-25T05:00"],
      ["Europe/Berlin", "2026-03-28T22:00", "2026-03-29T05:00"],
      ["America/New_York", "2026-11-01T03:00", "2026-11-01T09:00"],
      ["America/New_York", "2026-03-08T03:00", "2026-03-08T10:00"],
      ["Asia/Tokyo", "2026-10-24T22:00", "2026-10-25T05:00"],
      ["+02:00", "2026-10-24T22:00", "2026-10-25T05:00"]
    ] as const) {
      const hours = minutesBetween(from, until, 60)
      assert.deepStrictEqual(runs("0 * * * *", zone, from, until), hours.slice(1), `${zone} ${from}`)
      const halves = minutesBetween(from, until, 30)
      assert.deepStrictEqual(runs("*/30 * * * *", zone, from, until), halves.slice(1), `${zone} ${from}`)
    }
  })

  it("where the clocks move by half an hour, the hour is what they show", () => {
    // At 15:00 UTC of 4 April 02:00 becomes 01:30; at 15:30 UTC of 3 October 02:00 becomes 02:30.
    const lordHowe = (cron: string, from: string, until: string) => runs(cron, "Australia/Lord_Howe", from, until)
    assert.deepStrictEqual(lordHowe("*/30 * * * *", "2026-04-04T13:00", "2026-04-04T16:30"), [
      "2026-04-04T13:30",
      "2026-04-04T14:00",
      "2026-04-04T14:30",
      "2026-04-04T15:00",
      "2026-04-04T15:30",
      "2026-04-04T16:00",
      "2026-04-04T16:30"
    ])
    assert.deepStrictEqual(lordHowe("45 * * * *", "2026-04-04T13:00", "2026-04-04T17:00"), [
      "2026-04-04T13:45",
      "2026-04-04T14:45",
      "2026-04-04T15:15",
      "2026-04-04T16:15"
    ])
    assert.deepStrictEqual(lordHowe("10,35 * * * *", "2026-10-03T14:10", "2026-10-03T17:00"), [
      "2026-10-03T14:40",
      "2026-10-03T15:05",
      "2026-10-03T15:35",
      "2026-10-03T16:10",
      "2026-10-03T16:35"
    ])
  })

  it("a fixed hour comes once a day: the first where the clocks show it twice, after the change where they jump over it", () => {
    assert.deepStrictEqual(runs("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-27T00:00"), [
      "2026-10-25T00:30",
      "2026-10-26T01:30"
    ])
    assert.deepStrictEqual(runs("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-31T00:00"), [
      "2026-03-29T01:30",
      "2026-03-30T00:30"
    ])
    assert.deepStrictEqual(runs("30 1 * * *", "America/New_York", "2026-10-31T12:00", "2026-11-02T12:00"), [
      "2026-11-01T05:30",
      "2026-11-02T06:30"
    ])
    assert.deepStrictEqual(runs("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", "2026-10-04T18:00"), [
      "2026-10-03T15:45",
      "2026-10-04T15:15"
    ])
    assert.deepStrictEqual(runs("30 1 * * 0", "Europe/London", "2026-10-20T00:00", "2026-11-02T00:00"), [
      "2026-10-25T00:30",
      "2026-11-01T01:30"
    ])
  })

  it("every minute of a fixed hour is every minute in which the clocks show it", () => {
    assert.strictEqual(runs("* 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T12:00").length, 120)
    assert.strictEqual(runs("* 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T12:00").length, 0)
    assert.deepStrictEqual(runs("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:30", "2026-03-29T04:30"), [
      "2026-03-28T23:00",
      "2026-03-29T02:00",
      "2026-03-29T04:00"
    ])
  })

  it("what is every so often runs whenever the clocks show one of its times, forwards and backwards", () => {
    const crons = ["0 * * * *", "*/30 * * * *", "10,35 * * * *", "*/7 1-3 * * *", "50 */3 * * *", "*/20 * 25 10 0"]
    for (const [timeZone, day] of [
      ["Europe/Berlin", "2026-10-24T12:00"],
      ["Europe/Berlin", "2026-03-28T12:00"],
      ["America/New_York", "2026-10-31T16:00"],
      ["America/New_York", "2026-03-07T16:00"],
      ["Australia/Lord_Howe", "2026-04-04T00:00"],
      ["Australia/Lord_Howe", "2026-10-03T00:00"],
      ["Africa/Casablanca", "2026-02-14T16:00"],
      ["Pacific/Apia", "2011-12-29T20:00"],
      ["Asia/Kathmandu", "2026-10-24T12:00"]
    ] as const) {
      const until = text(DateTime.add(at(day), { hours: 20 }))
      const minutes = minutesBetween(day, until, 1).map(
        (time) => [time, DateTime.toDate(DateTime.setZoneNamedUnsafe(at(time), timeZone))] as const
      )
      for (const cron of crons) {
        const parsed = Cron.parseUnsafe(cron, "UTC")
        const shown = minutes.filter(([, clocks]) => Cron.match(parsed, clocks)).map(([time]) => time)
        const what = `${cron} in ${timeZone} from ${day}`
        assert.deepStrictEqual(
          runs(cron, timeZone, day, until),
          shown.filter((time) => time !== day),
          what
        )
        const due = at("1990-01-01T00:00")
        for (const [i, time] of shown.entries()) {
          const asked = DateTime.subtract(at(shown[i + 1] ?? until), {
            milliseconds: shown[i + 1] === undefined ? 0 : 1
          })
          assert.strictEqual(
            text(lastDue({ cron, timeZone }, due, asked)),
            time,
            `${what}, the last before ${text(asked)}`
          )
        }
      }
    }
  })

  it("of the times that have come the last one is told, in the hour that the clocks show twice, too", () => {
    const last = (cron: string, due: string, now: string) =>
      text(lastDue({ cron, timeZone: "Europe/Berlin" }, at(due), at(now)))
    assert.strictEqual(last("0 * * * *", "2026-10-25T00:00", "2026-10-25T01:20"), "2026-10-25T01:00")
    assert.strictEqual(last("30 2 * * *", "2026-10-24T00:30", "2026-10-25T12:00"), "2026-10-25T00:30")
    assert.strictEqual(last("30 2 * * *", "2026-03-28T01:30", "2026-03-29T12:00"), "2026-03-29T01:30")
    assert.strictEqual(last("30 2 * * *", "2026-03-28T01:30", "2026-03-29T01:10"), "2026-03-28T01:30")
  })

  it("what never comes has no time", () => {
    assert.isTrue(Option.isNone(nextRun({ cron: "* * 30 2 *", timeZone: "Europe/Berlin" }, at("2026-01-01T00:00"))))
    assert.isTrue(Option.isNone(nextRun({ cron: "0 0 30 2 *", timeZone: "Europe/Berlin" }, at("2026-01-01T00:00"))))
  })
})
