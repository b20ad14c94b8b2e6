import { assert, describe, it } from "@effect/vitest"
import { DateTime, Option } from "effect"
import { quietUntil } from "../../src/platform/notifications/quietHours.ts"

const until = (hours: string, timeZone: string, at: string): string | undefined => {
  const [start = "", end = ""] = hours.split("-")
  return Option.getOrUndefined(
    Option.map(quietUntil({ start, end, timeZone }, DateTime.makeUnsafe(at)), DateTime.formatIso)
  )
}

describe("quiet hours", () => {
  it("within a day: the start is quiet, the end is not", () => {
    const at = (time: string) => until("12:00-13:30", "UTC", `2024-05-01T${time}Z`)
    assert.strictEqual(at("11:59:59.999"), undefined)
    assert.strictEqual(at("12:00:00.000"), "2024-05-01T13:30:00.000Z")
    assert.strictEqual(at("13:29:59.999"), "2024-05-01T13:30:00.000Z")
    assert.strictEqual(at("13:30:00.000"), undefined)
  })

  it("across midnight, and the ends of months and years", () => {
    const at = (time: string) => until("22:00-07:00", "UTC", time)
    assert.strictEqual(at("2024-02-28T21:59:00Z"), undefined)
    assert.strictEqual(at("2024-02-28T22:00:00Z"), "2024-02-29T07:00:00.000Z")
    assert.strictEqual(at("2024-02-29T23:00:00Z"), "2024-03-01T07:00:00.000Z")
    assert.strictEqual(at("2024-12-31T23:59:00Z"), "2025-01-01T07:00:00.000Z")
    assert.strictEqual(at("2025-01-01T00:00:00Z"), "2025-01-01T07:00:00.000Z")
    assert.strictEqual(at("2025-01-01T07:00:00Z"), undefined)
  })

  it("until midnight, and from midnight", () => {
    assert.strictEqual(until("20:00-00:00", "UTC", "2024-05-01T23:59:00Z"), "2024-05-02T00:00:00.000Z")
    assert.strictEqual(until("20:00-00:00", "UTC", "2024-05-02T00:00:00Z"), undefined)
    assert.strictEqual(until("00:00-06:00", "UTC", "2024-05-02T00:00:00Z"), "2024-05-02T06:00:00.000Z")
  })

  it("by the clock on the wall of the user's zone", () => {
    // 22:00 of 30 April in Tokyo is 13:00 UTC; the day there is another one.
    assert.strictEqual(until("22:00-07:00", "Asia/Tokyo", "2024-04-30T12:59:00Z"), undefined)
    assert.strictEqual(until("22:00-07:00", "Asia/Tokyo", "2024-04-30T13:00:00Z"), "2024-04-30T22:00:00.000Z")
    assert.strictEqual(until("22:00-07:00", "America/New_York", "2024-07-01T03:00:00Z"), "2024-07-01T11:00:00.000Z")
    assert.strictEqual(until("22:00-07:00", "Asia/Kathmandu", "2024-07-01T18:00:00Z"), "2024-07-02T01:15:00.000Z")
    assert.strictEqual(until("22:00-07:00", "+02:00", "2024-07-01T21:00:00Z"), "2024-07-02T05:00:00.000Z")
  })

  it("a night in which the clocks go forward is shorter, one in which they go back is longer", () => {
    const vienna = (at: string) => until("22:00-07:00", "Europe/Vienna", at)
    // 31 March 2024, 02:00 becomes 03:00.
    assert.strictEqual(vienna("2024-03-30T21:00:00Z"), "2024-03-31T05:00:00.000Z")
    // 27 October 2024, 03:00 becomes 02:00.
    assert.strictEqual(vienna("2024-10-26T20:00:00Z"), "2024-10-27T06:00:00.000Z")
    assert.strictEqual(vienna("2024-10-27T06:00:00Z"), undefined)
  })

  it("an end that the clocks jump over is the moment in which they do", () => {
    // 02:30 does not exist; at 01:00 UTC it is 03:00.
    const vienna = (at: string) => until("22:00-02:30", "Europe/Vienna", at)
    assert.strictEqual(vienna("2024-03-30T22:00:00Z"), "2024-03-31T01:00:00.000Z")
    assert.strictEqual(vienna("2024-03-31T00:59:30Z"), "2024-03-31T01:00:00.000Z")
    assert.strictEqual(vienna("2024-03-31T01:00:00Z"), undefined)
    // Its edges: 02:00 is jumped over, 03:00 is shown.
    assert.strictEqual(until("22:00-02:00", "Europe/Vienna", "2024-03-31T00:30:00Z"), "2024-03-31T01:00:00.000Z")
    assert.strictEqual(until("22:00-03:00", "Europe/Vienna", "2024-03-31T00:30:00Z"), "2024-03-31T01:00:00.000Z")
  })

  it("an end that the clocks show twice is the next time that they do", () => {
    // 02:30 is at 00:30 UTC, and again at 01:30 UTC.
    const vienna = (at: string) => until("22:00-02:30", "Europe/Vienna", at)
    assert.strictEqual(vienna("2024-10-26T23:00:00Z"), "2024-10-27T00:30:00.000Z")
    assert.strictEqual(vienna("2024-10-27T00:10:00Z"), "2024-10-27T00:30:00.000Z")
    assert.strictEqual(vienna("2024-10-27T00:45:00Z"), undefined)
    // The clocks show 02:10 for the second time.
    assert.strictEqual(vienna("2024-10-27T01:10:00Z"), "2024-10-27T01:30:00.000Z")
  })

  it("a day that a zone left out", () => {
    // Samoa had no 30 December 2011; its 29th ended with the 31st.
    assert.strictEqual(until("22:00-07:00", "Pacific/Apia", "2011-12-30T09:00:00Z"), "2011-12-30T17:00:00.000Z")
  })

  it("the end is never quiet itself, and lies within a day, or within two where the clocks jump over all that is not quiet", () => {
    for (const timeZone of ["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]) {
      for (const [start, end] of [
        ["22:00", "07:00"],
        ["23:45", "02:15"],
        ["01:00", "02:00"],
        ["02:30", "02:00"]
      ] as const) {
        const hours = { start, end, timeZone }
        for (let minutes = 0; minutes < 366 * 24 * 60; minutes += 397) {
          const at = DateTime.add(DateTime.makeUnsafe("2024-01-01T00:00:00Z"), { minutes })
          const over = quietUntil(hours, at)
          if (Option.isNone(over)) continue
          const wait = over.value.epochMilliseconds - at.epochMilliseconds
          const what = `${timeZone} ${start}-${end} at ${DateTime.formatIso(at)}`
          assert.isTrue(wait > 0 && wait <= (start === "02:30" ? 48 : 25) * 3_600_000, what)
          assert.isTrue(Option.isNone(quietUntil(hours, over.value)), what)
        }
      }
    }
  })

  it("a zone that nobody here knows keeps nothing back", () => {
    assert.strictEqual(until("00:00-23:59", "Europe/Atlantis", "2024-05-01T12:00:00Z"), undefined)
  })
})
