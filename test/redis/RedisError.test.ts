import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ReplyError } from "ioredis"
import { connectError, redisError, scriptError } from "../../src/redis/RedisError.ts"

const endpoint = { store: "redis", host: "cache.internal", port: 6380 } as const
const sentWrite = { operation: "test", kind: "write", written: true } as const

/** Answers as servers give them (Redis 7), and how each is read. */
const answers: ReadonlyArray<readonly [answer: string, reason: string, code: string, retry: string]> = [
  ["LOADING Redis is loading the dataset in memory", "Unavailable", "LOADING", "backoff"],
  [
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "Unavailable",
    "MASTERDOWN",
    "backoff"
  ],
  ["CLUSTERDOWN Hash slot not served", "Unavailable", "CLUSTERDOWN", "backoff"],
  ["TRYAGAIN Multiple keys request during rehashing of slot", "Unavailable", "TRYAGAIN", "backoff"],
  ["MOVED 3999 127.0.0.1:6381", "Unavailable", "MOVED", "backoff"],
  ["NOREPLICAS Not enough good replicas to write.", "Unavailable", "NOREPLICAS", "backoff"],
  ["BUSY Redis is busy running a script.", "Overloaded", "BUSY", "backoff"],
  ["ERR max number of clients reached", "Overloaded", "ERR", "backoff"],
  ["NOAUTH Authentication required.", "AuthenticationFailed", "NOAUTH", "never"],
  ["WRONGPASS invalid username-password pair or user is disabled.", "AuthenticationFailed", "WRONGPASS", "never"],
  ["NOPERM User reader has no permissions to run the 'set' command", "Forbidden", "NOPERM", "never"],
  ["DENIED Redis is running in protected mode", "Forbidden", "DENIED", "never"],
  ["OOM command not allowed when used memory > 'maxmemory'.", "ResourceExhausted", "OOM", "slowly"],
  ["MISCONF Redis is configured to save RDB snapshots", "ResourceExhausted", "MISCONF", "slowly"],
  ["READONLY You can't write against a read only replica.", "NotPrimary", "READONLY", "reconnect"],
  ["UNBLOCKED force unblock from blocking operation", "NotPrimary", "UNBLOCKED", "reconnect"],
  ["ERR unknown command 'FOO', with args beginning with: 'secret'", "InvalidStatement", "ERR", "never"],
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "InvalidStatement", "WRONGTYPE", "never"],
  ["NOSCRIPT No matching script. Please use EVAL.", "InvalidStatement", "NOSCRIPT", "never"],
  ["CROSSSLOT Keys in request don't hash to the same slot", "InvalidStatement", "CROSSSLOT", "never"],
  ["SOMETHINGNEW from a later version", "Unclassified", "SOMETHINGNEW", "never"]
]

describe("Redis error classification", () => {
  for (const [answer, reason, code, retry] of answers) {
    it.effect(`${code}: ${reason}`, () =>
      Effect.sync(() => {
        const error = redisError(new ReplyError(answer), sentWrite, endpoint)
        assert.equal(error.reason._tag, reason)
        assert.equal("code" in error.reason ? error.reason.code : undefined, code)
        assert.equal(error.retry, retry)
        assert.equal(error.outcome, "not-applied")
        assert.ok(!JSON.stringify(error).includes("secret"))
      })
    )
  }

  it.effect("a lost connection: unknown for a write that left, not applied for a read or what never left", () =>
    Effect.sync(() => {
      const cause = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
      const outcomes = [
        redisError(cause, sentWrite, endpoint),
        redisError(cause, { ...sentWrite, kind: "read" }, endpoint),
        redisError(cause, { ...sentWrite, written: false }, endpoint)
      ].map(({ outcome, reason }) => [reason._tag, outcome])
      assert.deepEqual(outcomes, [
        ["ConnectionLost", "unknown"],
        ["ConnectionLost", "not-applied"],
        ["Unavailable", "not-applied"]
      ])
    })
  )

  it.effect("a script's own failure: unknown, because earlier writes stay", () =>
    Effect.sync(() => {
      const own = new ReplyError("ERR user_script:1: Script attempted to access nonexistent global variable 'x'")
      assert.equal(scriptError(own, sentWrite, endpoint).outcome, "unknown")
      assert.equal(scriptError(own, { ...sentWrite, kind: "read" }, endpoint).outcome, "not-applied")
      const refused = new ReplyError("NOSCRIPT No matching script. Please use EVAL.")
      assert.equal(scriptError(refused, sentWrite, endpoint).outcome, "not-applied")
    })
  )

  it.effect("the driver's error is not kept: it carries the arguments", () =>
    Effect.sync(() => {
      const cause = Object.assign(new ReplyError("ERR syntax error"), { command: { name: "set", args: ["secret"] } })
      const error = redisError(cause, sentWrite, endpoint)
      assert.equal(error.cause, undefined)
    })
  )

  it.effect("a cluster client's own error tells what its last node said", () =>
    Effect.sync(() => {
      const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
      const down = connectError(Object.assign(new Error("Failed"), { lastNodeError: refused }), "connect", endpoint)
      assert.ok(down.reason._tag === "Unavailable")
      assert.deepEqual([down.reason.code, down.reason.host, down.reason.port], ["ECONNREFUSED", "cache.internal", 6380])
      const wrong = new ReplyError("WRONGPASS invalid username-password pair or user is disabled.")
      const denied = connectError(Object.assign(new Error("Failed"), { lastNodeError: wrong }), "connect", endpoint)
      assert.equal(denied.reason._tag, "AuthenticationFailed")
    })
  )
})
