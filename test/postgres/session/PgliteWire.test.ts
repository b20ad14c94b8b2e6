import { PGlite } from "@electric-sql/pglite"
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { makeTurns, PgliteWire } from "../../../src/postgres/session/PgliteWire.ts"

let engine: PGlite
const turns = makeTurns()
beforeAll(async () => {
  engine = await PGlite.create()
}, 60_000)
afterAll(() => engine.close())

const int32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(n)
  return bytes
}
const startup = (settings: Record<string, string>): Buffer => {
  const words = Object.entries({ user: "postgres", database: "postgres", ...settings }).flat()
  const body = Buffer.concat([int32(196_608), Buffer.from(`${words.join("\0")}\0\0`)])
  return Buffer.concat([int32(body.length + 4), body])
}
const query = (sql: string): Buffer => {
  const text = Buffer.from(`${sql}\0`)
  return Buffer.concat([Buffer.from("Q"), int32(text.length + 4), text])
}

/** The messages of what came: type, and the text of rows and of the status. */
const messages = (bytes: Buffer): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let i = 0; i < bytes.length;) {
    const type = String.fromCharCode(bytes[i]!)
    const end = i + 1 + bytes.readInt32BE(i + 1)
    if (type === "Z") found.push(`Z${String.fromCharCode(bytes[end - 1]!)}`)
    else if (type === "D") found.push(`D${bytes.subarray(i + 11, end).toString()}`)
    else if (type === "E") found.push("E")
    i = end
  }
  return found
}

/** A wire, and what it answers until it is ready for the next query this many times. */
const open = () => {
  const wire = new PgliteWire(engine, turns)
  let received = Buffer.alloc(0)
  let onData: (() => void) | undefined
  wire.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    onData?.()
  })
  const untilReady = (times: number): Effect.Effect<ReadonlyArray<string>> =>
    Effect.callback((resume) => {
      onData = () => {
        const found = messages(received)
        if (found.filter((message) => message.startsWith("Z")).length < times) return
        received = Buffer.alloc(0)
        onData = undefined
        resume(Effect.succeed(found))
      }
      onData()
    })
  return { wire, untilReady }
}

const closed = (wire: PgliteWire): Effect.Effect<void> =>
  Effect.callback((resume) => {
    wire.once("close", () => resume(Effect.void))
    wire.destroy()
  })

describe("PgliteWire", () => {
  it.effect("messages may arrive in any pieces, and several at once", () =>
    Effect.gen(function* () {
      const { untilReady, wire } = open()
      const sent = Buffer.concat([
        startup({ application_name: "in pieces" }),
        query("select 'one'"),
        query("selec"),
        query("select current_setting('application_name')")
      ])
      for (let i = 0; i < sent.length; i += 3) wire.write(sent.subarray(i, i + 3))
      assert.deepEqual(yield* untilReady(4), ["ZI", "Done", "ZI", "E", "ZI", "Din pieces", "ZI"])
      yield* closed(wire)
    })
  )

  it.effect("settings of the start-up packet apply, their quotes taken as text", () =>
    Effect.gen(function* () {
      const { untilReady, wire } = open()
      wire.write(startup({ application_name: "it's; select", statement_timeout: "1234" }))
      wire.write(query("select current_setting('application_name') || current_setting('statement_timeout')"))
      assert.deepEqual(yield* untilReady(2), ["ZI", "Dit's; select1234ms", "ZI"])
      yield* closed(wire)
    })
  )

  it.effect("the end of a wire ends its transaction and its session's state", () =>
    Effect.gen(function* () {
      const first = open()
      first.wire.write(startup({}))
      first.wire.write(query("create table if not exists lasting (n int)"))
      first.wire.write(query("set statement_timeout = 999; prepare p as select 1; create temp table passing (n int)"))
      first.wire.write(query("begin; insert into lasting values (1)"))
      assert.equal((yield* first.untilReady(4)).at(-1), "ZT")
      yield* closed(first.wire)

      const second = open()
      second.wire.write(startup({}))
      second.wire.write(query("select (select count(*) from lasting) || current_setting('statement_timeout')"))
      second.wire.write(
        query("select (select count(*) from pg_prepared_statements) || coalesce(to_regclass('passing')::text, ' gone')")
      )
      assert.deepEqual(yield* second.untilReady(3), ["ZI", "D00", "ZI", "D0 gone", "ZI"])
      yield* closed(second.wire)
    })
  )

  it.effect("a wire opened while another still closes finds a clean session", () =>
    Effect.gen(function* () {
      const first = open()
      first.wire.write(startup({}))
      first.wire.write(query("begin"))
      yield* first.untilReady(2)
      first.wire.destroy()
      const second = open()
      second.wire.write(startup({}))
      second.wire.write(query("select 'fine'"))
      assert.deepEqual(yield* second.untilReady(2), ["ZI", "Dfine", "ZI"])
      yield* closed(second.wire)
    })
  )

  it.effect("a cancel request ends without an answer, TLS is declined", () =>
    Effect.gen(function* () {
      const cancel = open()
      yield* Effect.callback<void>((resume) => {
        cancel.wire.once("end", () => resume(Effect.void))
        cancel.wire.write(Buffer.concat([int32(16), int32(80_877_102), int32(1), int32(2)]))
      })
      const tls = open()
      const answer = yield* Effect.callback<Buffer>((resume) => {
        tls.wire.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk)))
        tls.wire.write(Buffer.concat([int32(8), int32(80_877_103)]))
      })
      assert.equal(answer.toString(), "N")
    })
  )
})
