import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { render } from "../../src/core/StoreErrorReport.ts"
import { parseStoreUrl } from "../../src/core/StoreUrl.ts"

const parse = (url: string, defaultPort?: number) => parseStoreUrl("mongodb", Redacted.make(url), defaultPort)

describe("parseStoreUrl", () => {
  it.effect("takes a URL apart, with what is encoded in it decoded", () =>
    Effect.gen(function* () {
      const url = yield* parse("postgresql://ann%40x:p%2Fw%23@db.example:6543/my%20shop?sslmode=require")
      assert.deepEqual(
        [url.protocol, url.host, url.port, url.username, url.database, url.parameters.get("sslmode")],
        ["postgresql", "db.example", 6543, "ann@x", "my shop", "require"]
      )
      assert.equal(Redacted.value(url.password!), "p/w#")
    })
  )

  it.effect("what a URL leaves out is undefined, the port the store's own", () =>
    Effect.gen(function* () {
      const url = yield* parse("redis://cache", 6379)
      assert.deepEqual(
        [url.host, url.port, url.username, url.password, url.database],
        ["cache", 6379, undefined, undefined, undefined]
      )
    })
  )

  it.effect("the first of a list of hosts names the endpoint", () =>
    Effect.gen(function* () {
      const lists = {
        "mongodb://a:1,b:2,c:3/app?replicaSet=rs0": ["a", 1, undefined, "app"],
        "mongodb://ann:secret@a,b:2/app": ["a", 27017, "secret", "app"],
        "mongodb://a:1,b:2": ["a", 1, undefined, undefined],
        "mongodb://ann:se,cret@a:1,b:2/app": ["a", 1, "se,cret", "app"],
        "mongodb://ann:se,cret@a:1/app?tags=x,y": ["a", 1, "se,cret", "app"],
        "mongodb+srv://ann:secret@cluster.example/app": ["cluster.example", 27017, "secret", "app"]
      }
      for (const [text, [host, port, password, database]] of Object.entries(lists)) {
        const url = yield* parse(text, 27017)
        assert.deepEqual(
          [url.host, url.port, url.password === undefined ? undefined : Redacted.value(url.password), url.database],
          [host, port, password, database],
          text
        )
      }
    })
  )

  it.effect("of a list of hosts only MongoDB makes use", () =>
    Effect.gen(function* () {
      for (const store of ["postgresql", "redis", "clickhouse"] as const) {
        const { reason } = yield* Effect.flip(parseStoreUrl(store, Redacted.make("redis://ann:se,cret@a:1,b:2/0")))
        assert.deepEqual(reason._tag === "InvalidData" && reason.problems, [
          { field: "url", problem: "must name one host: a list of hosts is not supported" }
        ])
      }
    })
  )

  it.effect("an IPv6 address has no brackets, an encoded host is decoded, and none is this machine", () =>
    Effect.gen(function* () {
      for (const [text, host, port] of [
        ["redis://[::1]:7/0", "::1", 7],
        ["https://[2001:db8::1]/x", "2001:db8::1", 1],
        ["mongodb://ann:secret@[::1]:7,[::2]:8/app", "::1", 7],
        ["mongodb://%2Ftmp%2Fmongodb-27017.sock/app", "/tmp/mongodb-27017.sock", 1],
        ["postgresql:///app", "localhost", 1],
        ["postgresql://ann:secret@/app", "localhost", 1],
        ["postgresql://ann@:7/app", "localhost", 7],
        ["postgresql://:7?x=1", "localhost", 7]
      ] as const) {
        const url = yield* parse(text, 1)
        assert.deepEqual([url.host, url.port], [host, port], text)
      }
    })
  )

  it.effect("what is no URL is told without repeating it", () =>
    Effect.gen(function* () {
      for (const text of ["secret", "postgresql://ann:%zz-secret@db/x", "mongodb://secret:x:y@:z", "", "//secret"]) {
        const error = yield* Effect.flip(parse(text))
        assert.equal(error.reason._tag, "InvalidData")
        assert.equal(error.outcome, "not-applied")
        for (const printed of [
          error.message,
          JSON.stringify(error),
          render(error, { values: true }),
          String(error.cause)
        ]) {
          assert.doesNotMatch(printed, /secret/)
        }
      }
    })
  )

  it.effect("neither the URL's parts nor its failure print the password", () =>
    Effect.gen(function* () {
      const url = yield* parse("postgresql://ann:secret@db/shop")
      assert.doesNotMatch(JSON.stringify(url), /secret/)
    })
  )
})
