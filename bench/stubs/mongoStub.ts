/** A MongoDB in this process that finds the same document each time. */
import { BSON } from "mongodb"
import { tcpStub } from "./tcpStub.ts"

const opReply = 1
const opQuery = 2004
const opMsg = 2013
const headerLength = 16

const message = (opcode: number, body: Buffer, responseTo: number): Buffer => {
  const bytes = Buffer.alloc(headerLength + body.length)
  bytes.writeInt32LE(bytes.length, 0)
  bytes.writeInt32LE(1, 4)
  bytes.writeInt32LE(responseTo, 8)
  bytes.writeInt32LE(opcode, 12)
  body.copy(bytes, headerLength)
  return bytes
}

/** Flags (4 bytes, none), then one section of kind 0. */
const msgBody = (document: Uint8Array): Buffer => Buffer.concat([Buffer.alloc(5), document])

/** Flags, cursor id, start, one document. */
const replyBody = (document: Uint8Array): Buffer => {
  const head = Buffer.alloc(20)
  head.writeInt32LE(1, headerLength)
  return Buffer.concat([head, document])
}

const hello = BSON.serialize({
  helloOk: true,
  ismaster: true,
  isWritablePrimary: true,
  maxBsonObjectSize: 16 * 2 ** 20,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  logicalSessionTimeoutMinutes: 30,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
  ok: 1
})
const done = msgBody(BSON.serialize({ ok: 1 }))

const commandOf = (bytes: Buffer, document: number): string =>
  bytes.toString("latin1", document + 5, bytes.indexOf(0, document + 5))

/** Port of a stub that answers every find with this document. */
export const mongoStub = (document: Readonly<Record<string, unknown>>) => {
  const found = msgBody(
    BSON.serialize({ cursor: { id: new BSON.Long(0), ns: "bench.items", firstBatch: [document] }, ok: 1 })
  )
  const answerTo = (command: string): Buffer => {
    if (command === "find") return found
    return command.toLowerCase() === "hello" || command === "ismaster" ? msgBody(hello) : done
  }
  return tcpStub((received) => {
    const replies: Array<Buffer> = []
    let at = 0
    while (received.length - at >= headerLength) {
      const length = received.readInt32LE(at)
      if (received.length - at < length) break
      const id = received.readInt32LE(at + 4)
      const opcode = received.readInt32LE(at + 12)
      if (opcode === opQuery) replies.push(message(opReply, replyBody(hello), id))
      else if (opcode === opMsg) replies.push(message(opMsg, answerTo(commandOf(received, at + headerLength + 5)), id))
      else throw new Error(`the stub does not know opcode ${opcode}`)
      at += length
    }
    return { taken: at, reply: replies.length === 1 ? (replies[0] ?? "") : Buffer.concat(replies) }
  })
}
