import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { type UserId, Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { describeLive } from "../servers/index.ts"

const over = <E>(client: Layer.Layer<PostgresClient, E>) =>
  UsersLive.layer.pipe(Layer.provide(PlatformMigrations.layerPostgres), Layer.provideMerge(client))

const theDefault = "01900000-0000-7000-8000-00000000000d"

/** What a program keeps of its users, in tables that refer to each other too, and to a user more than once. */
const ownTables = [
  `create table ai_core.orders (id int primary key, buyer uuid references ai_core.users (id) on delete cascade)`,
  `create table ai_core.items (id int primary key, order_id int not null references ai_core.orders (id),
    buyer uuid references ai_core.users (id) on delete cascade)`,
  `create table ai_core.posts (id int primary key, author uuid references ai_core.users (id) on delete cascade,
    editor uuid references ai_core.users (id) on delete set null,
    owner uuid default '${theDefault}' references ai_core.users (id) on delete set default,
    reader uuid references ai_core.users (id) on delete set default)`
]

const rowsFor = (gone: UserId, other: UserId): ReadonlyArray<string> => [
  `insert into ai_core.users (id, email, username, password_hash) values ('${theDefault}', 'd@example.com', 'd', '*')`,
  `insert into ai_core.orders values (1, '${gone}'), (2, '${other}')`,
  `insert into ai_core.items values (1, 1, '${gone}'), (2, 2, '${other}'), (3, 2, '${gone}')`,
  `insert into ai_core.posts values (1, '${gone}', '${gone}', '${gone}', '${gone}'),
    (2, '${other}', '${gone}', '${gone}', '${other}'), (3, '${other}', '${other}', '${other}', '${gone}'),
    (4, null, null, null, null)`
]

const kept = Effect.flatMap(PostgresClient, ({ sql }) =>
  Effect.all([
    sql`select id, buyer from ai_core.orders order by id`,
    sql`select id, buyer from ai_core.items order by id`,
    sql`select * from ai_core.posts order by id`
  ])
)

/** Lets a user go in one way; gives what is left of the program's rows. */
const after = (letGo: (typeof ways)[number]) =>
  Effect.gen(function* () {
    const users = yield* Users
    const { sql } = yield* PostgresClient
    const [gone, other] = [(yield* someUser()).id, (yield* someUser()).id]
    for (const statement of [...ownTables, ...rowsFor(gone, other)]) yield* sql.unsafe(statement)
    yield* letGo(users, gone)
    const left = yield* kept
    yield* sql`drop table ai_core.orders, ai_core.items, ai_core.posts`
    yield* sql`delete from ai_core.users where id = ${theDefault}`
    return { left, other }
  })

const ways: ReadonlyArray<(users: Users["Service"], id: UserId) => Effect.Effect<unknown, unknown>> = [
  (users, id) => users.delete(id),
  (users, id) => users.erase(id)
]

const alike = Effect.forEach(
  ways,
  Effect.fnUntraced(function* (way) {
    const { left, other } = yield* after(way)
    assert.deepEqual(left, [
      [{ id: 2, buyer: other }],
      [{ id: 2, buyer: other }],
      [
        { id: 2, author: other, editor: null, owner: theDefault, reader: other },
        { id: 3, author: other, editor: other, owner: other, reader: null },
        { id: 4, author: null, editor: null, owner: null, reader: null }
      ]
    ])
  })
)

const title = "an erasure does to a program's own rows what a deletion does, whichever tables they are in"

it.layer(over(sharedEngine), { excludeTestServices: true, timeout: "1 minute" })(
  "Erasure on the embedded engine",
  (it) => {
    it.effect(title, () => alike)
  }
)

describeLive("postgresql", "Erasure", () => {
  it.layer(over(freshClient()), { excludeTestServices: true, timeout: "1 minute" })("on a server", (it) => {
    it.effect(title, () => alike)
  })
})
