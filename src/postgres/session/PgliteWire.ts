import type { PGlite } from "@electric-sql/pglite"
import { Duplex } from "node:stream"

const cancelRequest = 80_877_102
const sslRequest = 80_877_103
const startupHeader = 8
const messageHeader = 5
const terminate = 0x58

/** Parameters of a start-up packet that are no session settings. */
const notSettings = new Set(["user", "database", "replication", "options", "client_encoding"])

/** Lets one caller at a time use the engine: it has a single session. */
export interface Turns {
  readonly take: <A>(use: () => Promise<A>) => Promise<A>
}

export const makeTurns = (): Turns => {
  let last: Promise<unknown> = Promise.resolve()
  return {
    take: (use) => {
      const mine = last.then(use, use)
      last = mine
      return mine
    }
  }
}

const simpleQuery = (sql: string): Buffer => {
  const text = Buffer.from(`${sql}\0`)
  const header = Buffer.alloc(messageHeader)
  header.write("Q", 0, "latin1")
  header.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([header, text])
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** The settings of a start-up packet, which PGlite does not read, as a statement. */
const settingsOf = (packet: Buffer): string | undefined => {
  const words = packet.subarray(startupHeader).toString("utf8").split("\0")
  const calls: Array<string> = []
  for (let i = 0; i + 1 < words.length; i += 2) {
    const name = words[i] ?? ""
    if (name === "" || notSettings.has(name)) continue
    calls.push(`set_config(${literal(name)}, ${literal(words[i + 1] ?? "")}, false)`)
  }
  return calls.length === 0 ? undefined : `select ${calls.join(", ")}`
}

/**
 * One connection to PGlite as a stream of PostgreSQL's wire protocol.
 *
 * PGlite is one session in this process. Ending the stream therefore does what the end of a connection does on a server: it
 * rolls back and discards the session's state, so that the next stream finds a clean one.
 */
export class PgliteWire extends Duplex {
  readonly #engine: PGlite
  readonly #turns: Turns
  #received: Buffer = Buffer.alloc(0)
  #started = false

  constructor(engine: PGlite, turns: Turns) {
    super()
    this.#engine = engine
    this.#turns = turns
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (!this.#started) return this.#startUp(done)
    const complete = this.#takeComplete()
    if (complete.length === 0) return done()
    this.#exchange(() => this.#ask(complete), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#started || this.#engine.closed) return done(error)
    this.#started = false
    this.#turns
      .take<unknown>(() =>
        this.#engine.closed
          ? Promise.resolve(undefined)
          : this.#ask(simpleQuery("rollback")).then(() => this.#ask(simpleQuery("discard all")))
      )
      .then(
        () => done(error),
        (failure: Error) => done(error ?? failure)
      )
  }

  #startUp(done: (error?: Error | null) => void): void {
    if (this.#received.length < startupHeader) return done()
    const length = this.#received.readInt32BE(0)
    if (this.#received.length < length) return done()
    const packet = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    const code = packet.readInt32BE(4)
    if (code === sslRequest) {
      this.push(Buffer.from("N"))
      return done()
    }
    // A statement runs to its end before this process can do anything else, so there is never one to cancel.
    if (code === cancelRequest) {
      this.push(null)
      return done()
    }
    this.#started = true
    const settings = settingsOf(packet)
    this.#exchange(
      () =>
        this.#ask(packet).then((answer) =>
          settings === undefined ? answer : this.#ask(simpleQuery(settings)).then(() => answer)
        ),
      done
    )
  }

  /** Whole messages only: a write may end in the middle of one. */
  #takeComplete(): Buffer {
    const bytes = this.#received
    let end = 0
    while (bytes.length - end >= messageHeader) {
      const length = bytes.readInt32BE(end + 1) + 1
      if (bytes.length - end < length || bytes[end] === terminate) break
      end += length
    }
    const complete = bytes.subarray(0, end)
    this.#received = bytes.subarray(end)
    return complete
  }

  /** The answer is copied, because PGlite reuses its bytes for the next one. */
  #ask(message: Uint8Array): Promise<Buffer> {
    return this.#engine.execProtocolRaw(message).then((answer) => Buffer.from(answer))
  }

  #exchange(ask: () => Promise<Uint8Array>, done: (error?: Error | null) => void): void {
    this.#turns.take(ask).then(
      (answer) => {
        if (answer.length > 0 && !this.destroyed) this.push(answer)
        done()
      },
      (failure: Error) => done(failure)
    )
  }
}
