import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isStoreError } from "../../../src/core/StoreError.ts"
import { render } from "../../../src/core/StoreErrorReport.ts"
import * as PostgresBackup from "../../../src/postgres/migrations/PostgresBackup.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { onPath } from "../../servers/binaries.ts"
import { forward, hasIpv6 } from "../../servers/forward.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { temporaryFolder } from "../../servers/startServer.ts"
import { query } from "./tlsServer.ts"

/** Which database answers at this URL, and how the client names where that is. */
const asked = (url: string) =>
  query(url, ({ endpoint, sql }) =>
    Effect.map(
      sql<{ database: string; application: string }>`
        SELECT current_database() AS database, current_setting('application_name') AS application`,
      ([row]) => ({ ...row, host: endpoint.host, port: endpoint.port })
    )
  )

/** Why there is no client of this URL. */
const refusal = (url: string) =>
  Effect.map(Effect.flip(asked(url)), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error
  })

const problems = (url: string) =>
  Effect.map(refusal(url), ({ reason }) => {
    assert.ok(reason._tag === "InvalidData", reason._tag)
    return reason.problems.map(({ field, problem }) => `${field} ${problem}`).join()
  })

/** A database of one's own: where its server is, and a folder in which its Unix socket is. */
const scene = Effect.gen(function* () {
  const { host, password, pathname, port, username } = new URL(yield* freshPostgres)
  const folder = yield* temporaryFolder("postgresql")
  yield* forward(Number(port), { path: join(folder, ".s.PGSQL.5499") })
  const user = password === "" ? username : `${username}:${password}`
  return { folder, host, port: Number(port), user, username, password, database: pathname.slice(1) }
})

const installed = onPath("pg_dump") !== undefined && onPath("pg_restore") !== undefined

/** What pg_dump was asked to do for this URL: its last argument, taken apart, and the password in its environment. */
const dumped = (url: string) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder("postgresql")
    const said = join(folder, "said")
    writeFileSync(
      join(folder, "pg_dump"),
      `#!/bin/sh\nfor last; do true; done\nprintf '%s\\n%s' "$last" "$PGPASSWORD" > ${said}\n`,
      { mode: 0o755 }
    )
    writeFileSync(join(folder, "pg_restore"), "#!/bin/sh\necho '1; one'\n", { mode: 0o755 })
    yield* PostgresBackup.make({ url: Redacted.make(url), folder: join(folder, "kept"), programs: folder })(["app"])
    const [argument = "", password] = readFileSync(said, "utf8").split("\n")
    const given = new URL(argument.replace("--dbname=", ""))
    return { authority: given.host, ...Object.fromEntries(given.searchParams), password }
  })

describeLive("postgresql", "where a URL of PostgreSQL leads", () => {
  it.live.skipIf(!hasIpv6)("an IPv6 address stands in brackets", () =>
    Effect.gen(function* () {
      const { database, port, user } = yield* scene
      const open = yield* forward(port, { host: "::1", port: 0, ipv6Only: true })
      const found = yield* asked(`postgresql://${user}@[::1]:${open}/${database}`)
      assert.deepEqual([found.database, found.host, found.port], [database, "::1", open])
      assert.match((yield* refusal(`postgresql://${user}@[::1]:1/${database}`)).message, /\[::1\]:1 cannot be reached/)
    })
  )

  it.live("a folder is that of a Unix socket, as the host encoded or as `host`, where nothing is encrypted", () =>
    Effect.gen(function* () {
      const { database, folder, user, username } = yield* scene
      const encoded = encodeURIComponent(folder)
      for (const url of [
        `postgresql://${user}@${encoded}:5499/${database}`,
        `postgresql://${user}@/${database}?host=${folder}&port=5499`,
        `postgresql://${user}@:5499/${database}?host=${encoded}`,
        `postgresql://${user}@localhost:5499/${database}?host=${encoded}&sslmode=verify-full`,
        ...(user === username ? [`postgresql:///?dbname=${database}&host=${folder}&port=5499&user=${user}`] : [])
      ]) {
        const found = yield* asked(url)
        assert.deepEqual([found.database, found.host, found.port], [database, folder, 5499], url)
      }
      const { message, reason } = yield* refusal(`postgresql://${user}@${encoded}:5498/${database}`)
      assert.ok(reason._tag === "Unavailable" && reason.code === "ENOENT", message)
    })
  )

  it.live("its parameters hold, over what stands before them", () =>
    Effect.gen(function* () {
      const { database, host, port, user } = yield* scene
      const found = yield* asked(`postgresql://${user}@nowhere:1/x?host=127.0.0.1&port=${port}&dbname=${database}`)
      assert.deepEqual([found.database, found.host, found.port], [database, "127.0.0.1", port])
      assert.equal(found.application, "@ai-core/database")
      const named = yield* query(
        `postgresql://${user}@${host}/${database}?application_name=shop%20one&options=-c%20search_path%3Dfoo&connect_timeout=5`,
        ({ sql }) =>
          sql`SELECT current_setting('application_name') AS application, current_setting('search_path') AS path`
      )
      assert.deepEqual(named, [{ application: "shop one", path: "foo" }])
    })
  )

  it.live("`connect_timeout` ends one attempt to connect before `connectTimeout` ends them all", () =>
    Effect.gen(function* () {
      const attempts = (parameters: string) =>
        Effect.gen(function* () {
          const proxy = yield* TcpProxy.forUrl(yield* freshPostgres)
          yield* proxy.hang
          const url = Redacted.make(`${proxy.url}${parameters}`)
          const layer = PostgresClient.layer({ url, minConnections: 0, connectTimeout: "3 seconds" })
          const error = yield* Effect.flip(Layer.build(layer))
          assert.ok(isStoreError(error) && error.reason._tag === "Timeout", error.message)
          return (yield* proxy.counts).accepted
        })
      assert.equal(yield* attempts(""), 1)
      assert.ok((yield* attempts("?connect_timeout=1")) > 1)
    })
  )

  it.effect("what is not known, or cannot be kept, is refused by its name before anything is sent", () =>
    Effect.gen(function* () {
      const oneHost = "url must name one host: a list of hosts is not supported"
      const parameters =
        "it may have host, port, user, password, dbname, application_name, options, connect_timeout, sslmode, sslrootcert, sslcert, sslkey, sslcrl"
      for (const [rest, problem] of Object.entries({
        "ann@a:1,b:2/app?target_session_attrs=read-write": oneHost,
        "ann@a,b/app": oneHost,
        "ann@a%2Cb/app": oneHost,
        "/app?host=a,b": oneHost,
        "ann@a/app?port=1,2": "url must have a number from 1 to 65535 as port",
        "ann@a/app?port=0": "url must have a number from 1 to 65535 as port",
        "ann@a/app?connect_timeout=soon": "url must have a whole number of seconds above 0 in connect_timeout",
        "ann@a/app?connect_timeout=0": "url must have a whole number of seconds above 0 in connect_timeout",
        "ann@a/app?target_session_attrs=primary": `url must not have target_session_attrs: ${parameters}`,
        "ann@a/app?statement_timeout=5000&currentSchema=x": `url must not have statement_timeout, currentSchema: ${parameters}`,
        "ann@a/app?ssl=true": `url must not have ssl: ${parameters}`,
        // What looks like a part of a password that was not encoded is not shown.
        "ann:1?cret@a/app": `url must not have unknown parameters: ${parameters}`
      })) {
        assert.equal(yield* problems(`postgresql://${rest}`), problem, rest)
      }
      // What a URL that is an Effect gives is looked at when it is there.
      const later = PostgresClient.make({ url: Effect.succeed(Redacted.make("mysql://ann@a/app")) })
      assert.match(String(yield* Effect.flip(later)), /url must begin with postgresql:\/\//)
      const error = yield* refusal("postgresql://ann:1?cret@a/app")
      assert.doesNotMatch(render(error, { values: true }), /cret/)
    })
  )

  it.live("pg_dump is sent where the client goes, and never told the password by its arguments", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* dumped("postgresql://ann:s%20cret@[::1]:5433/app?options=-c%20a%3Db+c"), {
        authority: "",
        host: "::1",
        port: "5433",
        user: "ann",
        dbname: "app",
        options: "-c a=b c",
        password: "s cret"
      })
      assert.deepEqual(
        yield* dumped("postgresql://ann@a:1/x?host=/sock&port=2&dbname=app&password=secret&sslmode=require"),
        {
          authority: "",
          host: "/sock",
          port: "2",
          user: "ann",
          dbname: "app",
          password: "secret"
        }
      )
      for (const [given, tls] of Object.entries({
        "sslmode=verify-full": { sslmode: "verify-full", sslrootcert: "system" },
        "sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/a.pem&sslkey=/a.key&sslcrl=/a.crl": {
          sslmode: "verify-full",
          sslrootcert: "/ca.pem",
          sslcert: "/a.pem",
          sslkey: "/a.key",
          sslcrl: "/a.crl"
        },
        "sslmode=require&sslrootcert=system": { sslmode: "require" },
        "sslmode=disable": { sslmode: "disable" }
      })) {
        const to = { authority: "", host: "db", port: "5432", user: "ann", password: "" }
        assert.deepEqual(yield* dumped(`postgresql://ann@db?${given}`), { ...to, ...tls }, given)
      }
      const list = yield* Effect.flip(dumped("postgresql://ann@a,b/app"))
      assert.match(list._tag === "BackupFailed" ? list.detail : "", /must name one host/)
    })
  )

  it.live.skipIf(!installed)("pg_dump itself backs up over a Unix socket", () =>
    Effect.gen(function* () {
      const { database, folder, user } = yield* scene
      for (const url of [
        `postgresql://${user}@${encodeURIComponent(folder)}:5499/${database}?sslmode=verify-full`,
        `postgresql://${user}@nowhere/?host=${folder}&port=5499&dbname=${database}&options=-c%20lock_timeout%3D3s`
      ]) {
        yield* query(url, ({ sql }) => sql`CREATE TABLE IF NOT EXISTS kept (n int)`)
        const backup = PostgresBackup.make({ url: Redacted.make(url), folder: yield* temporaryFolder("postgresql") })
        assert.match(yield* backup(["public"]), /public-.*\.dump$/)
      }
    })
  )
})
