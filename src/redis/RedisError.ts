import { type Endpoint, unavailable } from "../core/StartUp.ts"
import {
  AuthenticationFailed,
  ConnectionLost,
  Forbidden,
  InvalidStatement,
  NotPrimary,
  type Outcome,
  Overloaded,
  type Reason,
  ResourceExhausted,
  StoreError,
  Unclassified
} from "../core/StoreError.ts"

/** What is known of a command when its failure is looked at. */
export interface Sent {
  readonly operation: string
  /** A read applies nothing, whatever becomes of its answer. */
  readonly kind: "read" | "write"
  /** Whether its bytes were given to a socket. */
  readonly written: boolean
}

/** An answer that is an error: `WRONGTYPE Operation against a key …`. */
interface ReplyError extends Error {
  readonly name: "ReplyError"
}

const isReplyError = (cause: unknown): cause is ReplyError => cause instanceof Error && cause.name === "ReplyError"

/** The first word of an answer that is an error is its code. */
const firstWord = (message: string): string => /^[A-Z][A-Z0-9_]*(?=\s|$)/.exec(message)?.[0] ?? "ERR"

/** The code of a failure: an answer's first word, or the errno of the socket. */
export const codeOf = (cause: unknown): string | undefined => {
  if (isReplyError(cause)) return firstWord(cause.message)
  if (!(cause instanceof Error)) return undefined
  // A cluster client reports what its last node said beside its own error.
  if ("lastNodeError" in cause && cause.lastNodeError instanceof Error) return codeOf(cause.lastNodeError)
  return "code" in cause && typeof cause.code === "string" ? cause.code : undefined
}

/** What the server said after its code, up to the first quote: behind quotes it repeats arguments. */
const detailOf = (cause: ReplyError): string | undefined => {
  const said = cause.message.slice(firstWord(cause.message).length).split(/['"`]/, 1)[0]?.trim()
  return said === undefined || said === "" ? undefined : said
}

type Said = { readonly code: string; readonly detail?: string }

/** How each code of an answer is read; from the error replies in the server's source (server.c, cluster.c, acl.c, eval.c). */
const reasons: Record<string, (said: Said, endpoint: Endpoint) => Reason> = {
  LOADING: (said, endpoint) => unavailable(endpoint, said),
  MASTERDOWN: (said, endpoint) => unavailable(endpoint, said),
  CLUSTERDOWN: (said, endpoint) => unavailable(endpoint, said),
  NOREPLICAS: (said, endpoint) => unavailable(endpoint, said),
  TRYAGAIN: (said, endpoint) => unavailable(endpoint, said),
  MOVED: (said, endpoint) => unavailable(endpoint, { code: said.code }),
  ASK: (said, endpoint) => unavailable(endpoint, { code: said.code }),
  BUSY: (said) => new Overloaded(said),
  NOAUTH: (said) => new AuthenticationFailed(said),
  WRONGPASS: (said) => new AuthenticationFailed(said),
  NOPERM: (said) => new Forbidden(said),
  DENIED: (said) => new Forbidden(said),
  OOM: (said) => new ResourceExhausted(said),
  MISCONF: (said) => new ResourceExhausted(said),
  READONLY: (said) => new NotPrimary(said),
  UNBLOCKED: (said) => new NotPrimary(said),
  ERR: (said) => new InvalidStatement(said),
  WRONGTYPE: (said) => new InvalidStatement(said),
  NOSCRIPT: (said) => new InvalidStatement(said),
  CROSSSLOT: (said) => new InvalidStatement(said),
  EXECABORT: (said) => new InvalidStatement(said),
  NOPROTO: (said) => new InvalidStatement(said),
  BUSYGROUP: (said) => new InvalidStatement(said),
  NOGROUP: (said) => new InvalidStatement(said),
  BUSYKEY: (said) => new InvalidStatement(said)
}

// The one refusal that has no code of its own: the server sends this fixed line and closes (networking.c).
const tooManyClients = "ERR max number of clients reached"

const ofReply = (cause: ReplyError, endpoint: Endpoint): Reason => {
  const code = firstWord(cause.message)
  const detail = detailOf(cause)
  const said = { code, ...(detail === undefined ? {} : { detail }) }
  if (cause.message === tooManyClients) return new Overloaded(said)
  return reasons[code]?.(said, endpoint) ?? new Unclassified(said)
}

const make = (sent: Sent, outcome: Outcome, reason: Reason): StoreError =>
  new StoreError({ store: "redis", operation: sent.operation, outcome, reason })

/** What is known of a command whose answer never came. */
export const outcomeOf = (sent: Sent): Outcome => (sent.kind === "write" && sent.written ? "unknown" : "not-applied")

/**
 * Turns a driver's failure into a `StoreError`, by the answer's first word or the socket's errno.
 *
 * An answer that is an error says that nothing was applied (but see {@link scriptError}). The driver's error is not kept as the cause, because it carries the command's arguments.
 */
export const redisError = (cause: unknown, sent: Sent, endpoint: Endpoint): StoreError => {
  if (isReplyError(cause)) return make(sent, "not-applied", ofReply(cause, endpoint))
  const code = codeOf(cause)
  if (!sent.written) return make(sent, "not-applied", unavailable(endpoint, { code }))
  return make(sent, outcomeOf(sent), new ConnectionLost(code === undefined ? {} : { code }))
}

// The server says these before a script has run, or at its first write; any other may come in the middle.
const beforeScripts = new Set(
  "NOSCRIPT NOAUTH LOADING BUSY MASTERDOWN CLUSTERDOWN TRYAGAIN MOVED ASK READONLY OOM MISCONF NOREPLICAS".split(" ")
)

/** Like {@link redisError}, for a script: one that fails half-way keeps what it wrote. */
export const scriptError = (cause: unknown, sent: Sent, endpoint: Endpoint): StoreError => {
  const error = redisError(cause, sent, endpoint)
  if (sent.kind === "read" || !isReplyError(cause) || beforeScripts.has(firstWord(cause.message))) return error
  return make(sent, "unknown", error.reason)
}

/** What a failure to connect says: the server's own answer where there was one, else that it cannot be reached. */
export const connectError = (cause: unknown, operation: string, endpoint: Endpoint): StoreError => {
  const sent: Sent = { operation, kind: "read", written: false }
  const last = cause instanceof Error && "lastNodeError" in cause ? cause.lastNodeError : cause
  return redisError(last, sent, endpoint)
}
