import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { Redacted } from "effect"
import * as E from "../../src/core/StoreError.ts"
import { render } from "../../src/core/StoreErrorReport.ts"

const lines = (...text: ReadonlyArray<string>): string => text.join("\n")

const taken = new E.StoreError({
  store: "postgresql",
  operation: "Users.create",
  outcome: "not-applied",
  reason: new E.ConstraintViolated({
    kind: "unique",
    constraint: "users_email_key",
    table: "users",
    code: "23505",
    detail: "Key (email) already exists"
  }),
  statement: {
    text: "INSERT INTO users (email, age) VALUES ($1, $2)",
    arguments: [
      { type: "text", value: Redacted.make("alice@example.com") },
      { type: "int4", value: Redacted.make(42) }
    ]
  }
})

const statementOf = (text: string, position?: number): string => {
  const error = new E.StoreError({
    store: "postgresql",
    operation: "query",
    outcome: "not-applied",
    reason: new E.InvalidStatement({ code: "42601" }),
    statement: { text, ...(position === undefined ? {} : { position }) }
  })
  const rendered = render(error)
  return rendered.slice(rendered.indexOf("  Statement\n") + 12, rendered.indexOf("\n\n  Outcome"))
}

describe("a report", () => {
  it("says what failed, why, what to do, and whether again; argument values are hidden", () => {
    assert.equal(
      render(taken),
      lines(
        "PostgreSQL · Users.create failed: ConstraintViolated",
        "",
        "  Problem  unique rule users_email_key of users refused the write",
        "  Detail   Key (email) already exists (code 23505)",
        "  Hint     Change the value, or the row that it collides with.",
        "",
        "  Statement",
        "    INSERT INTO users (email, age) VALUES ($1, $2)",
        "",
        "  Arguments",
        "    $1 text",
        "    $2 int4",
        "",
        "  Outcome  not applied",
        "  Retry    no"
      )
    )
  })

  it("shows argument values where it is asked to", () => {
    assert.match(render(taken, { values: true }), /\$1 text "alice@example\.com"\n {4}\$2 int4 42\n/)
  })

  it("shows values that JSON has no word for", () => {
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    const values = [10n, undefined, Number.NaN, new Uint8Array([1, 2]), circular, Redacted.make("secret"), null]
    const odd = new E.StoreError({
      ...taken,
      statement: { text: "SELECT", arguments: values.map((value) => ({ type: "any", value: Redacted.make(value) })) }
    })
    const shown = render(odd, { values: true })
    assert.match(shown, /\$1 any 10n?\n/)
    assert.match(shown, /\$2 any undefined\n/)
    assert.match(shown, /\$3 any NaN\n/)
    assert.match(shown, /\$7 any null\n/)
    assert.doesNotMatch(shown, /secret/)
  })

  it("tells an unknown outcome, and what to do about it", () => {
    const lost = new E.StoreError({
      store: "redis",
      operation: "INCR",
      outcome: "unknown",
      reason: new E.ConnectionLost({ code: "ECONNRESET" })
    })
    assert.equal(
      render(lost),
      lines(
        "Redis · INCR failed: ConnectionLost",
        "",
        "  Problem  the connection ended before the answer came",
        "  Detail   code ECONNRESET",
        "  Hint     The write may have been applied: read it back before sending it again.",
        "",
        "  Outcome  unknown: it may have been applied",
        "  Retry    only if running it twice is harmless"
      )
    )
  })

  it("tells who holds the connections of a pool", () => {
    const exhausted = new E.StoreError({
      store: "postgresql",
      operation: "Users.findById",
      outcome: "not-applied",
      reason: new E.PoolExhausted({
        limit: 20,
        waiting: 3,
        waitedMillis: 10_000.4,
        holders: [{ operation: "Reports.build", heldMillis: 61_000.2 }]
      })
    })
    assert.equal(
      render(exhausted),
      lines(
        "PostgreSQL · Users.findById failed: PoolExhausted",
        "",
        "  Problem  all 20 connections were in use for 10000 ms, 3 waiting",
        "  Hint     Raise the pool's maximum, shorten what holds its connections, or let callers wait longer.",
        "",
        "  Held by",
        "    Reports.build for 61000 ms",
        "",
        "  Outcome  not applied",
        "  Retry    yes, after a pause"
      )
    )
  })

  it("says why a pool is exhausted: the diagnosis, what speaks for it, and what to do", () => {
    const exhausted = (diagnosis: E.PoolDiagnosis, detail?: string) =>
      render(
        new E.StoreError({
          store: "postgresql",
          operation: "Users.findById",
          outcome: "not-applied",
          reason: new E.PoolExhausted({
            limit: 5,
            waiting: 3,
            waitedMillis: 2000,
            diagnosis,
            ...(detail === undefined ? {} : { detail }),
            ...(diagnosis === "unreachable" ? { open: 2 } : {}),
            holders: [{ operation: "Transaction", heldMillis: 61_000.2, fiber: 12, statement: "SELECT '…'" }]
          })
        })
      )
        .split("\n")
        .filter((line) => line !== "" && !/Outcome|Retry/.test(line))
    assert.deepEqual(exhausted("leaked", "1 of 5 have been held for more than 60 s"), [
      "PostgreSQL · Users.findById failed: PoolExhausted (leaked)",
      "  Problem  all 5 connections were in use for 2000 ms, 3 waiting",
      "  Detail   1 of 5 have been held for more than 60 s",
      "  Hint     Let the holders below give their connections back: end their transactions, close their scopes.",
      "  Held by",
      "    Transaction for 61000 ms, fiber #12: SELECT '…'"
    ])
    assert.deepEqual(exhausted("unreachable").slice(0, 3), [
      "PostgreSQL · Users.findById failed: PoolExhausted (unreachable)",
      "  Problem  all 2 connections were in use for 2000 ms, 3 waiting",
      "  Hint     See why no more connections can be opened: the server's limit, its health, the network."
    ])
    assert.match(exhausted("slow")[2]!, /^ {2}Hint {5}See what the holders below wait for/)
    assert.match(exhausted("saturated")[2]!, /^ {2}Hint {5}Raise the pool's maximum/)
  })

  it("does not ask whether a server runs whose certificate was refused", () => {
    const hint = (code?: string) =>
      render(
        new E.StoreError({
          store: "postgresql",
          operation: "connect",
          outcome: "not-applied",
          reason: new E.Unavailable({ host: "db", ...(code === undefined ? {} : { code }) })
        })
      )
        .split("\n")
        .find((line) => line.includes("Hint"))
    const running = "  Hint     Is PostgreSQL running, and reachable from here at that address?"
    const certificate =
      "  Hint     The server's certificate was not accepted: check the host name and the root certificate."
    for (const code of [undefined, "ECONNREFUSED", "57P03"]) assert.equal(hint(code), running)
    for (const code of ["ERR_TLS_CERT_ALTNAME_INVALID", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CERT_HAS_EXPIRED"])
      assert.equal(hint(code), certificate)
  })

  it("names the wrong fields of an input", () => {
    const invalid = new E.StoreError({
      store: "mongodb",
      operation: "Campaigns.insert",
      outcome: "not-applied",
      reason: new E.InvalidData({
        subject: "input",
        problems: [
          { field: "items[2].price", problem: "must be number" },
          { field: "extra", problem: "is not a known field" }
        ]
      })
    })
    assert.match(
      render(invalid),
      /Problem {2}input: items\[2\]\.price must be number; extra is not a known field\n {2}Hint {5}Correct the fields named above; nothing was sent\./
    )
  })

  it("is coloured where it is asked to, and the text is the same", () => {
    const coloured = render(taken, { color: true })
    // oxlint-disable-next-line no-control-regex -- what it looks for is the escape character
    assert.equal(coloured.replace(/\u001b\[[0-9;]*m/g, ""), render(taken))
    assert.ok(coloured.startsWith("\u001b[1mPostgreSQL · Users.create failed: ConstraintViolated\u001b[0m\n"))
    assert.ok(coloured.includes("\u001b[31m  Problem  unique rule users_email_key of users refused the write\u001b[0m"))
    assert.ok(!render(taken).includes("\u001b"))
  })

  it("every reason has a sentence, a hint and an answer about retrying", () => {
    const reasons: ReadonlyArray<E.Reason> = [
      new E.Unavailable({ host: "db", port: 5432 }),
      new E.Overloaded({}),
      new E.AuthenticationFailed({}),
      new E.Forbidden({}),
      new E.Timeout({ afterMillis: 12.6 }),
      new E.CommitUnknown({}),
      new E.Conflict({}),
      new E.NotPrimary({}),
      new E.Backpressure({}),
      new E.ResourceExhausted({}),
      new E.InvalidStatement({}),
      new E.LimitExceeded({}),
      new E.LeaseLost({}),
      new E.Cancelled({}),
      new E.Raised({ code: "QU001" }),
      new E.Unclassified({ code: "XX000" })
    ]
    for (const reason of reasons) {
      const text = render(
        new E.StoreError({ store: "clickhouse", operation: "insert", outcome: "not-applied", reason })
      )
      assert.match(text, new RegExp(`^ClickHouse · insert failed: ${reason._tag}\n\n {2}Problem {2}\\S.*\n`))
      assert.match(text, /\n {2}Hint {5}\S.*\.\n|\n {2}Hint {5}\S.*\?\n/)
      assert.match(text, /\n {2}Retry {4}(yes|no|only)/)
    }
  })
})

describe("the mark under a statement", () => {
  it("stands under the character that broke", () => {
    assert.equal(statementOf("SELEC 1", 0), lines("    SELEC 1", "    ^"))
    assert.equal(statementOf("SELECT * FORM users", 9), lines("    SELECT * FORM users", "             ^"))
  })

  it("stands past the end where the statement ends too soon", () => {
    assert.equal(statementOf("SELECT (1", 9), lines("    SELECT (1", "             ^"))
  })

  it("stands in the right line, also at its very end", () => {
    assert.equal(
      statementOf("SELECT *\n  FORM users\n WHERE id = 1", 11),
      lines("    SELECT *", "      FORM users", "      ^", "     WHERE id = 1")
    )
    assert.equal(statementOf("SELECT\nid\nFROM", 9), lines("    SELECT", "    id", "      ^", "    FROM"))
    assert.equal(statementOf("\n\nSELEC", 2), lines("    ", "    ", "    SELEC", "    ^"))
  })

  it("keeps tabs, so that it stands where the terminal puts the character", () => {
    assert.equal(statementOf("\tSELECT\t*\tFORM", 10), lines("    \tSELECT\t*\tFORM", "    \t      \t \t^"))
  })

  it("is left out where the store tells no place, or one outside", () => {
    assert.equal(statementOf("SELECT 1"), "    SELECT 1")
    assert.equal(statementOf("SELECT 1", 50), "    SELECT 1")
    assert.equal(statementOf("SELECT 1", -1), "    SELECT 1")
  })
})
