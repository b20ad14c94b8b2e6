import { Effect } from "effect"
import assert from "node:assert/strict"
import * as PlatformMigrations from "../../../src/platform/PlatformMigrations.ts"
import { Roles } from "../../../src/platform/users/Roles.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { someUser } from "../../../src/testing/contracts/users.ts"

/** A row that was written again, be it to the same text, has another xmin than before. */
const read = (username: string) =>
  Effect.flatMap(
    PostgresClient,
    ({ sql }) => sql<object>`select
      (select json_agg(json_build_array(note, xmin::text)) from public.canary) as rows,
      (select json_build_array(last_value, is_called) from public.canary_seq) as sequence,
      (select xmin::text from ai_core.users where username = ${username}) as "user",
      (select count(*)::int from pg_roles where rolname = 'intruder') as intruders,
      (select json_agg(oid::regclass::text order by oid) from pg_class where relnamespace = 'public'::regnamespace) as names`
  )

/** Plants what hostile texts go for, and gives what fails unless all of it, and the platform's tables, are as they were. */
export const plant = Effect.gen(function* () {
  const { sql } = yield* PostgresClient
  yield* sql`create table public.canary (note text not null)`
  yield* sql`insert into public.canary values ('alive')`
  yield* sql`create sequence public.canary_seq`
  const { username } = yield* someUser()
  // Something to be found where a search lets too much in.
  yield* (yield* Roles).create({ name: "canary" })
  const before = yield* read(username)
  assert.match(JSON.stringify(before), /alive/)
  return Effect.gen(function* () {
    assert.deepEqual(yield* read(username), before)
    const { drift, ok } = yield* (yield* PlatformMigrations.migrations()).verify
    assert.deepEqual([ok, drift], [true, { missing: [], unexpected: [] }])
  })
})
