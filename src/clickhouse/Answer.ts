import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Deadline } from "../core/Deadline.ts"
import { decodeStored } from "../core/Decode.ts"
import { isStoreError, StoreError, Timeout } from "../core/StoreError.ts"
import { type Attempt, exceptionIn, fromException, fromStatus, fromTransport, unreadable } from "./ClickHouseError.ts"
import type { Body } from "./Body.ts"
import type { Answer, AnswerHead, OpenAnswer } from "./Exchange.ts"

const newline = 0x0a
const carriageReturn = 0x0d
const exceptionMark = "__exception__"

const textOf = (buffer: Buffer, start: number, end: number): string =>
  buffer.toString("utf8", start, end > start && buffer[end - 1] === carriageReturn ? end - 1 : end)

/**
 * Reads an answer line by line as its bytes come, and notices the exception that ClickHouse writes into the middle of a
 * result it had already begun.
 */
export interface AnswerReader {
  /** The whole lines that these bytes end. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<string>
  /** What the answer was, once its last byte has come: its last line, or a failure; `cut` where it broke off. */
  readonly end: (cut: ReturnType<Body["cut"]>) => ReadonlyArray<string> | StoreError
}

export const makeAnswerReader = (attempt: Attempt, head: AnswerHead): AnswerReader => {
  const wrong = head.exceptionCode !== undefined || head.status !== 200
  // Pieces of a line that has not ended: joined once, for joining at every piece takes the square of a long line's length.
  let carried: Array<Buffer> = []
  let exception: Array<string> | undefined = wrong ? [] : undefined

  const keep = (lines: Array<string>, line: string) => {
    if (exception !== undefined) exception.push(line)
    // No row of a JSON format starts like this: these lines are the exception's, in the middle of a result.
    else if (line === exceptionMark) exception = []
    else if (/^Code: \d+\. DB::Exception/.test(line)) exception = [line]
    else if (line !== "") lines.push(line)
  }

  return {
    push: (bytes) => {
      const lines: Array<string> = []
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let start = 0
      let at = buffer.indexOf(newline)
      if (at !== -1 && carried.length > 0) {
        const line = Buffer.concat([...carried, buffer.subarray(0, at)])
        carried = []
        keep(lines, textOf(line, 0, line.length))
        start = at + 1
        at = buffer.indexOf(newline, start)
      }
      for (; at !== -1; at = buffer.indexOf(newline, start)) {
        keep(lines, textOf(buffer, start, at))
        start = at + 1
      }
      if (start < buffer.length) carried.push(start === 0 ? buffer : Buffer.from(buffer.subarray(start)))
      return lines
    },
    end: (cut) => {
      const lines: Array<string> = []
      if (carried.length > 0) keep(lines, Buffer.concat(carried).toString("utf8"))
      carried = []
      if (exception === undefined) return cut === undefined ? lines : fromTransport(attempt, cut.cause)
      // In mid-result the exception's text comes between a random tag and its length.
      const from = exception.findIndex((line) => line.startsWith("Code: "))
      const to = exception.lastIndexOf(exceptionMark)
      const text = exception.slice(Math.max(0, from), to > from ? to - 1 : undefined).join("\n")
      const told = exceptionIn(head.exceptionCode, text)
      if (told !== undefined) return fromException(attempt, told)
      return cut === undefined ? fromStatus(attempt, head.status) : fromTransport(attempt, cut.cause)
    }
  }
}

/** Reads a whole answer: its lines, in memory. */
export const collectLines = (
  { attempt, body, head }: Answer,
  done: (
    result: Effect.Effect<{ readonly attempt: Attempt; readonly lines: ReadonlyArray<string> }, StoreError>
  ) => void
): void => {
  const reader = makeAnswerReader(attempt, head)
  const lines: Array<string> = []
  const keep = (more: ReadonlyArray<string>) => {
    for (const line of more) lines.push(line)
  }
  body.bytes
    .on("data", (bytes: Uint8Array) => keep(reader.push(bytes)))
    .on("end", () => {
      const rest = reader.end(body.cut())
      if (isStoreError(rest)) return done(Effect.fail(rest))
      keep(rest)
      done(Effect.succeed({ attempt, lines }))
    })
}

/** Decodes lines into rows; `first` is the number of the first one, for the error that names it. */
export const decodeRows = <A>(
  attempt: Attempt,
  schema: Schema.ConstraintDecoder<A>,
  lines: ReadonlyArray<string>,
  first: number
): Effect.Effect<ReadonlyArray<A>, StoreError> => {
  const decode = decodeStored(schema)
  return Effect.forEach(lines, (line, i) => {
    const subject = `row ${first + i + 1}`
    return Effect.flatMap(
      Effect.try({
        try: (): unknown => JSON.parse(line),
        catch: () => unreadable(attempt, `${subject} is not JSON: the result was cut short, or asks for another format`)
      }),
      (row) => decode({ store: "clickhouse", operation: attempt.operation, subject }, row)
    )
  })
}

/** Waits for the next bytes of a body; undefined at its end. The server's silence ends at the timeout. */
const nextBytes = ({
  attempt,
  body,
  calls,
  clock,
  timeoutMillis
}: OpenAnswer): Effect.Effect<Uint8Array | undefined, StoreError> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      const { bytes } = body
      const startedAt = clock.currentTimeMillisUnsafe()
      const deadline = Math.min(startedAt + timeoutMillis, fiber.getRef(Deadline))
      const stop = () => {
        calls.end(call)
        bytes.off("readable", look).off("end", look).off("close", look)
      }
      const finish = (result: Effect.Effect<Uint8Array | undefined, StoreError>) => {
        stop()
        resume(result)
      }
      const look = () => {
        const some: Uint8Array | null = bytes.read()
        if (some !== null) finish(Effect.succeed(some))
        else if (bytes.readableEnded) finish(Effect.succeed(undefined))
        // The register gave it up when its shutdown timeout passed.
        else if (bytes.destroyed) finish(Effect.fail(fromTransport(attempt, undefined)))
      }
      const call = calls.begin(attempt.operation, deadline, () =>
        finish(
          Effect.fail(
            new StoreError({
              store: "clickhouse",
              operation: attempt.operation,
              outcome: "not-applied",
              reason: new Timeout({ afterMillis: clock.currentTimeMillisUnsafe() - startedAt })
            })
          )
        )
      )
      bytes.on("readable", look).on("end", look).on("close", look)
      look()
      return Effect.sync(stop)
    })
  )

/** The rows of an open answer, decoded as its bytes come. */
export const rowsOf = <A>(answer: OpenAnswer, schema: Schema.ConstraintDecoder<A>): Stream.Stream<A, StoreError> => {
  const reader = makeAnswerReader(answer.attempt, answer.head)
  let count = 0
  let ended = false
  const rows = (lines: ReadonlyArray<string>) => {
    const first = count
    count += lines.length
    return decodeRows(answer.attempt, schema, lines, first)
  }
  const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<A>, StoreError> = Effect.suspend(() =>
    ended
      ? Cause.done()
      : Effect.flatMap(nextBytes(answer), (bytes) => {
          if (bytes === undefined) ended = true
          const lines = bytes === undefined ? reader.end(answer.body.cut()) : reader.push(bytes)
          return isStoreError(lines) ? Effect.fail(lines) : rows(lines)
        }).pipe(Effect.flatMap((some) => (Arr.isReadonlyArrayNonEmpty(some) ? Effect.succeed(some) : pull)))
  )
  return Stream.fromPull(Effect.succeed(pull))
}
