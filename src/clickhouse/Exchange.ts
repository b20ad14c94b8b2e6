import { Readable } from "node:stream"
import type { ClickHouseSettings } from "@clickhouse/client"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Calls } from "../core/Calls.ts"
import { Deadline } from "../core/Deadline.ts"
import type { Endpoint } from "../core/StartUp.ts"
import { PoolExhausted, StoreError } from "../core/StoreError.ts"
import { type Body, makeBody } from "./Body.ts"
import { type Attempt, fromTransport, withStatement } from "./ClickHouseError.ts"
import type { Connection } from "./Connections.ts"
import type { Slots } from "./Slots.ts"

/** One request. */
export interface Request {
  readonly operation: string
  readonly access: "read" | "write"
  readonly query: string
  readonly params: Readonly<Record<string, unknown>> | undefined
  /** Rows of an INSERT, as they are sent. */
  readonly values?: string | undefined
  readonly settings: ClickHouseSettings
  /** Its consumer sets the pace, so the server must not count the time. */
  readonly streamed?: boolean | undefined
}

/** The part of an HTTP answer that is known before its body. */
export interface AnswerHead {
  readonly status: number
  readonly exceptionCode: string | undefined
}

/** An answer whose body is still to come. */
export interface Answer {
  readonly attempt: Attempt
  readonly head: AnswerHead
  readonly body: Body
}

/** An answer that is read as it comes; whoever holds it calls `close`. */
export interface OpenAnswer extends Answer {
  readonly calls: Calls
  readonly clock: Clock.Clock
  readonly timeoutMillis: number
}

export interface Exchange {
  /** Sends a request and reads its whole answer by `receive`, within the timeout and the Context's Deadline. */
  readonly send: <A>(
    request: Request,
    receive: (answer: Answer, done: (result: Effect.Effect<A, StoreError>) => void) => void
  ) => Effect.Effect<A, StoreError>
  /** Sends a request and gives out its answer with the body unread; the scope ends what is left of it. */
  readonly open: (request: Request) => Effect.Effect<OpenAnswer, StoreError, Scope.Scope>
}

const header = (
  answer: { readonly response_headers: Readonly<Record<string, unknown>> },
  name: string
): string | undefined => {
  const value = answer.response_headers[name]
  return typeof value === "string" ? value : undefined
}

/** Seconds the server may take: the client's limit, or the request's own where that is sooner. Zero would be none at all. */
const executionLimit = ({ settings }: Request, limitMillis: number): number =>
  Math.max(0.001, Math.min(Number(settings.max_execution_time ?? 0) || Number.POSITIVE_INFINITY, limitMillis / 1000))

// A query may be killed before the server has entered it in its list, hence more than once.
const killPauses = [0, 50, 250, 1000]

const kill = (connection: Connection, queryId: string): Effect.Effect<void> => {
  const once = Effect.tryPromise((signal) =>
    connection.killer
      .exec({
        query: "KILL QUERY WHERE query_id = {id:String} ASYNC FORMAT TabSeparated",
        query_params: { id: queryId },
        abort_signal: signal,
        auth: connection.auth
      })
      .then(({ stream }) => stream.toArray())
  )
  const from = (attempt: number): Effect.Effect<void> => {
    const pause = killPauses[attempt]
    if (pause === undefined) return Effect.void
    return Effect.sleep(pause).pipe(
      Effect.andThen(Effect.timeout(once, "2 seconds")),
      Effect.matchEffect({
        onFailure: () => Effect.void,
        onSuccess: (chunks) => (chunks.length > 0 ? Effect.void : from(attempt + 1))
      })
    )
  }
  return from(0)
}

export const makeExchange = (client: {
  readonly endpoint: Endpoint
  readonly connection: Effect.Effect<Connection, StoreError>
  readonly calls: Calls
  readonly slots: Slots
  readonly clock: Clock.Clock
  readonly timeoutMillis: number
  readonly outage: () => string | undefined
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}): Exchange => {
  const { calls, clock, slots, timeoutMillis } = client
  const prefix = crypto.randomUUID()
  let serial = 0

  /** Sends, and hands the answer on while the slot is still held; `leave` gives up whatever is under way. */
  const begin = (
    request: Request,
    connection: Connection,
    attempt: Attempt,
    limitMillis: number,
    onAnswer: (answer: Answer) => void,
    onFailure: (error: StoreError) => void
  ) => {
    const controller = new AbortController()
    const queryId = `${prefix}-${(++serial).toString(36)}`
    let body: Body | undefined
    let left = false
    const common = {
      query: request.query,
      ...(request.params === undefined ? {} : { query_params: request.params }),
      query_id: queryId,
      auth: connection.auth,
      abort_signal: controller.signal,
      // The answer is read as it is: the driver's own errors lose the HTTP status, and its decompressor the last bytes.
      ignore_error_response: true,
      decompress_response_stream: false,
      clickhouse_settings: {
        ...request.settings,
        ...(request.streamed === true ? {} : { max_execution_time: executionLimit(request, limitMillis) })
      }
    }
    const slot = slots.take(() => {
      connection.driver
        .exec(request.values === undefined ? common : { ...common, values: Readable.from([request.values]) })
        .then(
          (answer) => {
            if (left) {
              // Once nobody listens, an error of the stream would end the process.
              answer.stream.on("error", () => {}).destroy()
              return
            }
            body = makeBody(answer.stream, header(answer, "content-encoding"))
            onAnswer({
              attempt,
              body,
              head: {
                status: answer.http_status_code ?? 200,
                exceptionCode: header(answer, "x-clickhouse-exception-code")
              }
            })
          },
          (cause: unknown) => onFailure(fromTransport(attempt, cause))
        )
    })
    return {
      slot,
      leave: () => {
        if (left) return
        left = true
        controller.abort()
        body?.bytes.destroy()
        if (slot.granted()) client.fork(kill(connection, queryId))
        slot.giveBack()
      }
    }
  }

  const attemptOf = (request: Request): Attempt => {
    const startedAt = clock.currentTimeMillisUnsafe()
    return {
      endpoint: client.endpoint,
      operation: request.operation,
      access: request.access,
      query: request.query,
      params: request.params,
      elapsed: () => clock.currentTimeMillisUnsafe() - startedAt,
      outage: client.outage
    }
  }

  /** The register's Timeout, told as what it was: nothing sent, because no connection came free; or no answer. */
  const explain = (attempt: Attempt, waiting: number | undefined) => (error: StoreError) => {
    if (error.reason._tag !== "Timeout" || error.statement !== undefined) return error
    if (waiting === undefined) return withStatement(attempt, error)
    return new StoreError({
      store: "clickhouse",
      operation: attempt.operation,
      outcome: "not-applied",
      reason: new PoolExhausted({ limit: slots.limit, waiting, waitedMillis: attempt.elapsed() })
    })
  }

  const limitOf = (deadline: number): number => Math.min(timeoutMillis, deadline - clock.currentTimeMillisUnsafe())

  const send: Exchange["send"] = (request, receive) =>
    Effect.flatMap(client.connection, (connection) =>
      Effect.flatMap(Deadline, (deadline) => {
        const attempt = attemptOf(request)
        let waiting: number | undefined
        return Effect.mapError(
          calls.run({
            operation: request.operation,
            timeoutMillis,
            outcome: request.access === "read" ? "not-applied" : "unknown",
            start: (done) => {
              const { leave, slot } = begin(
                request,
                connection,
                attempt,
                limitOf(deadline),
                (answer) =>
                  receive(answer, (result) => {
                    slot.giveBack()
                    done(result)
                  }),
                (error) => {
                  slot.giveBack()
                  done(Effect.fail(error))
                }
              )
              return () => {
                waiting = slot.granted() ? undefined : slots.waiting()
                leave()
              }
            }
          }),
          (error) => explain(attempt, waiting)(error)
        )
      })
    )

  const open: Exchange["open"] = (request) =>
    Effect.gen(function* () {
      // Set by the answer itself and closed by a finalizer that is there before it: an interruption cannot come between.
      let close: (() => void) | undefined
      yield* Effect.addFinalizer(() => Effect.sync(() => close?.()))
      const connection = yield* client.connection
      const attempt = attemptOf(request)
      let waiting: number | undefined
      const answer = yield* Effect.mapError(
        calls.run<Answer>({
          operation: request.operation,
          timeoutMillis,
          outcome: "not-applied",
          start: (done) => {
            const { leave, slot } = begin(
              request,
              connection,
              attempt,
              timeoutMillis,
              (answer) => {
                // Entered for as long as it is open, so that shutdown waits for its consumer.
                const entry = calls.begin(request.operation, Number.POSITIVE_INFINITY, () =>
                  answer.body.bytes.destroy()
                )
                close = () => {
                  calls.end(entry)
                  if (answer.body.bytes.readableEnded) slot.giveBack()
                  else leave()
                }
                done(Effect.succeed(answer))
              },
              (error) => {
                slot.giveBack()
                done(Effect.fail(error))
              }
            )
            return () => {
              waiting = slot.granted() ? undefined : slots.waiting()
              leave()
            }
          }
        }),
        (error) => explain(attempt, waiting)(error)
      )
      return { ...answer, calls, clock, timeoutMillis }
    })

  return { send, open }
}
