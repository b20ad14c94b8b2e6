import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, it } from "vitest"
import { runInNewContext } from "node:vm"

const file = (path: string) => new URL(`../../docker/mongodb/${path}`, import.meta.url)

interface Server {
  /** Code of the error that rs.status() fails with; undefined where it answers. */
  readonly statusCode?: number
  readonly primary: boolean
  readonly password?: string
}

/** Runs health.js as mongosh would, against a server that is only imagined. */
const check = (server: Server) => {
  const initiated: Array<unknown> = []
  let exitCode = 0
  const password = server.password ?? "secret"
  try {
    runInNewContext(readFileSync(file("health.js"), "utf8"), {
      process: { env: { MONGO_INITDB_ROOT_USERNAME: "ann", MONGO_INITDB_ROOT_PASSWORD: "secret" } },
      db: {
        getSiblingDB: () => ({
          auth: (_user: string, given: string) => {
            if (given !== password) throw Object.assign(new Error("Authentication failed."), { code: 18 })
          }
        }),
        hello: () => ({ isWritablePrimary: server.primary })
      },
      rs: {
        status: () => {
          if (server.statusCode !== undefined) throw Object.assign(new Error("no"), { code: server.statusCode })
        },
        initiate: (config: { members: ReadonlyArray<unknown> }) => initiated.push(config.members.length)
      },
      quit: (code: number) => {
        exitCode = code
      }
    })
  } catch {
    exitCode = 1
  }
  return { healthy: exitCode === 0, initiated }
}

describe("MongoDB's health check", () => {
  it("starts the replica set once, and is not healthy before there is a primary", () => {
    assert.deepEqual(check({ statusCode: 94, primary: false }), { healthy: false, initiated: [1] })
    assert.deepEqual(check({ primary: false }), { healthy: false, initiated: [] })
    assert.deepEqual(check({ primary: true }), { healthy: true, initiated: [] })
  })

  it("is not healthy while the init files run, without a replica set", () => {
    assert.deepEqual(check({ statusCode: 76, primary: true }), { healthy: false, initiated: [] })
  })

  it("is not healthy with a wrong password", () => {
    assert.deepEqual(check({ primary: true, password: "other" }), { healthy: false, initiated: [] })
  })
})

describe("MongoDB's start", () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "compose-mongodb-"))
    writeFileSync(join(folder, "docker-entrypoint.sh"), '#!/bin/bash\nprintf "%s\\n" "$@"\n')
    chmodSync(join(folder, "docker-entrypoint.sh"), 0o755)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it("makes a key that mongod accepts, keeps it, and hands it to the image's entrypoint", () => {
    const key = join(folder, "replica-set.key")
    const start = () =>
      execFileSync("bash", [file("start.sh").pathname, "mongod", "--replSet", "rs0"], {
        env: { PATH: `${folder}:${process.env["PATH"]}`, KEY_FILE: key },
        encoding: "utf8"
      })
    assert.deepEqual(start().trim().split("\n"), ["mongod", "--replSet", "rs0", "--keyFile", key])
    const made = readFileSync(key, "utf8")
    assert.match(made, /^[A-Za-z0-9+/=]{6,1024}$/)
    assert.equal(statSync(key).mode & 0o777, 0o600)
    start()
    assert.equal(readFileSync(key, "utf8"), made)
  })
})
