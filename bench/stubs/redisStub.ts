/** A Redis in this process that knows one value. */
import { tcpStub } from "./tcpStub.ts"

const hello = "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n"

/** Length of the number that starts at `at`, and the number. */
const header = (bytes: Buffer, at: number): { readonly next: number; readonly value: number } | undefined => {
  const end = bytes.indexOf("\r\n", at)
  return end === -1 ? undefined : { next: end + 2, value: Number(bytes.toString("latin1", at + 1, end)) }
}

const replyTo = (command: string, value: string): string => {
  switch (command.toUpperCase()) {
    case "GET":
      return `$${Buffer.byteLength(value)}\r\n${value}\r\n`
    case "HELLO":
      return hello
    case "PING":
      return "+PONG\r\n"
    default:
      return "+OK\r\n"
  }
}

/** Port of a stub that answers every GET with this value. */
export const redisStub = (value: string) =>
  tcpStub((received) => {
    let taken = 0
    let reply = ""
    while (taken < received.length) {
      const array = header(received, taken)
      if (array === undefined) break
      let at = array.next
      let command = ""
      let whole = true
      for (let i = 0; i < array.value; i++) {
        const bulk = header(received, at)
        if (bulk === undefined || received.length < bulk.next + bulk.value + 2) {
          whole = false
          break
        }
        if (i === 0) command = received.toString("latin1", bulk.next, bulk.next + bulk.value)
        at = bulk.next + bulk.value + 2
      }
      if (!whole) break
      taken = at
      reply += replyTo(command, value)
    }
    return { taken, reply }
  })
