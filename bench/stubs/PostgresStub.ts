/** A PostgreSQL that is a stream in this process and gives every statement the same row at the next turn of the loop, and none to BEGIN and COMMIT. */
import { Duplex } from "node:stream"

const int32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(n)
  return bytes
}
const int16 = (n: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(n)
  return bytes
}
const message = (type: string, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}
const cString = (text: string): Buffer => Buffer.from(`${text}\0`)

const int8 = (n: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(n)
  return bytes
}
const timestamp = "2026-01-02 03:04:05+00"
const binaryTimestamp = int8((BigInt(Date.parse("2026-01-02T03:04:05Z")) - BigInt(Date.UTC(2000, 0, 1))) * 1000n)
const text = (value: string) => ({ text: Buffer.from(value), binary: Buffer.from(value) })

const columns = [
  { name: "id", type: 23, text: Buffer.from("7"), binary: int32(7) },
  { name: "email", type: 25, ...text("user7@example.com") },
  { name: "username", type: 25, ...text("user7") },
  { name: "passwordHash", type: 25, ...text("$argon2id$v=19$m=65536$7") },
  { name: "version", type: 23, text: Buffer.from("1"), binary: int32(1) },
  { name: "createdAt", type: 1184, text: Buffer.from(timestamp), binary: binaryTimestamp },
  { name: "updatedAt", type: 1184, text: Buffer.from(timestamp), binary: binaryTimestamp }
]

/** The row that answers every statement. */
export const stubRow = { id: 7, email: "user7@example.com" }

const description = (binary: boolean): Buffer =>
  message(
    "T",
    int16(columns.length),
    ...columns.map(({ name, type }) =>
      Buffer.concat([cString(name), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(binary ? 1 : 0)])
    )
  )
const row = (binary: boolean): Buffer =>
  message(
    "D",
    int16(columns.length),
    ...columns.map((column) => {
      const value = binary ? column.binary : column.text
      return Buffer.concat([int32(value.length), value])
    })
  )

const answers = {
  ready: message("Z", Buffer.from("I")),
  parsed: message("1"),
  bound: message("2"),
  closed: message("3"),
  parameters: message("t", int16(1), int32(23)),
  noParameters: message("t", int16(0)),
  noRows: message("n"),
  done: message("C", cString("COMMIT")),
  complete: message("C", cString("SELECT 1")),
  text: { description: description(false), row: row(false) },
  binary: { description: description(true), row: row(true) },
  welcome: Buffer.concat([
    message("R", int32(0)),
    ...Object.entries({ server_version: "15.0", client_encoding: "UTF8", TimeZone: "UTC", DateStyle: "ISO, MDY" }).map(
      ([name, value]) => message("S", cString(name), cString(value))
    ),
    message("K", int32(1), int32(1)),
    message("Z", Buffer.from("I"))
  ])
}

const sslRequest = 80_877_103
const code = (letter: string): number => letter.charCodeAt(0)
const [bind, close, describe, execute, parse, query, sync, terminate] = ["B", "C", "D", "E", "P", "Q", "S", "X"].map(
  code
)

/** The text that begins there. */
const cStringAt = (bytes: Buffer, at: number): string => bytes.toString("latin1", at, bytes.indexOf(0, at))

/** Whether a Bind message asks for binary columns. */
const asksBinary = (bytes: Buffer, body: number): boolean => {
  let at = bytes.indexOf(0, bytes.indexOf(0, body) + 1) + 1
  at += 2 + 2 * bytes.readInt16BE(at)
  const parameters = bytes.readInt16BE(at)
  at += 2
  for (let i = 0; i < parameters; i++) at += 4 + Math.max(0, bytes.readInt32BE(at))
  return bytes.readInt16BE(at) > 0 && bytes.readInt16BE(at + 2) === 1
}

export class PostgresStub extends Duplex {
  #started = false
  #binary = false
  /** Whether the bound statement gives a row, and which of the parsed ones do. */
  #givesRow = true
  readonly #rowOf = new Map<string, boolean>()
  #received: Buffer = Buffer.alloc(0)
  #out: Array<Buffer> = []

  /** What a driver expects of a socket. */
  connect(): this {
    setImmediate(() => this.emit("connect"))
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    this.#answer()
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null)
    done()
  }

  #send(...answer: ReadonlyArray<Buffer>): void {
    if (this.#out.length === 0) {
      setImmediate(() => {
        const out = this.#out
        this.#out = []
        if (!this.destroyed) this.push(out.length === 1 ? out[0] : Buffer.concat(out))
      })
    }
    this.#out.push(...answer)
  }

  #answer(): void {
    const bytes = this.#received
    let at = 0
    while (bytes.length - at >= 8 || (this.#started && bytes.length - at >= 5)) {
      const header = this.#started ? 1 : 0
      const end = at + header + bytes.readInt32BE(at + header)
      if (end > bytes.length) break
      if (this.#started) this.#one(bytes, at)
      else if (bytes.readInt32BE(at + 4) === sslRequest) this.#send(Buffer.from("N"))
      else {
        this.#started = true
        this.#send(answers.welcome)
      }
      at = end
    }
    this.#received = bytes.subarray(at)
  }

  #one(bytes: Buffer, at: number): void {
    switch (bytes[at]) {
      case parse: {
        const name = cStringAt(bytes, at + 5)
        this.#rowOf.set(name, !/^(BEGIN|COMMIT|ROLLBACK)/.test(cStringAt(bytes, at + 6 + name.length)))
        return this.#send(answers.parsed)
      }
      case bind: {
        const portal = cStringAt(bytes, at + 5)
        this.#givesRow = this.#rowOf.get(cStringAt(bytes, at + 6 + portal.length)) ?? true
        this.#binary = asksBinary(bytes, at + 5)
        return this.#send(answers.bound)
      }
      case query:
        return this.#send(answers.done, answers.ready)
      case describe: {
        if (bytes[at + 5] === code("S") && this.#rowOf.get(cStringAt(bytes, at + 6)) === false) {
          return this.#send(answers.noParameters, answers.noRows)
        }
        if (!this.#givesRow) return this.#send(answers.noRows)
        const formatted = this.#binary ? answers.binary : answers.text
        return bytes[at + 5] === code("S")
          ? this.#send(answers.parameters, formatted.description)
          : this.#send(formatted.description)
      }
      case execute:
        return this.#givesRow
          ? this.#send((this.#binary ? answers.binary : answers.text).row, answers.complete)
          : this.#send(answers.done)
      case close:
        return this.#send(answers.closed)
      case sync:
        return this.#send(answers.ready)
      case terminate:
        this.end()
        return
      default:
        this.destroy(new Error(`the stub does not know message ${String.fromCharCode(bytes[at] ?? 0)}`))
    }
  }
}
