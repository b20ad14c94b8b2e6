/** Users on PostgreSQL: create, find, change under a version, page, stream, and a transaction that is undone. */
import { type StoreError, Transaction, Users, VersionConflict } from "@ai-core/database"
import { Console, Effect, Option, Redacted, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { runExample } from "./support/runExample.ts"

const run = randomUUID().slice(0, 8)
const person = (name: string) => ({
  email: `${name}+${run}@example.com`,
  username: `${name}-${run}`,
  passwordHash: Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")
})

const program = Effect.gen(function* () {
  const transaction = yield* Transaction
  const users = yield* Users

  const alice = yield* users.create(person("alice"))
  yield* Console.log(`created   ${alice.username} at version ${alice.version}`)

  const found = yield* users.findByEmail(alice.email.toUpperCase())
  yield* Console.log(`found     ${Option.getOrThrow(found).username} by an e-mail in capitals`)

  const renamed = yield* users.update(alice.id, alice.version, { username: `alicia-${run}` })
  yield* Console.log(`renamed   ${renamed.username} at version ${renamed.version}`)

  const late = yield* Effect.flip(users.update(alice.id, alice.version, { username: `late-${run}` }))
  yield* Console.log(`refused   ${late instanceof VersionConflict ? late.message : late._tag}`)

  const taken = yield* Effect.flip(users.create(person("alice")))
  yield* Console.log(`refused   ${taken._tag}`)

  // Either both exist or neither: the failure undoes the first insert.
  const undone = transaction.run(
    Effect.gen(function* () {
      yield* users.create(person("bob"))
      return yield* Effect.fail("changed my mind" as const)
    })
  )
  yield* Effect.ignore(undone)
  const bob = yield* users.findByEmail(person("bob").email)
  yield* Console.log(`undone    bob ${Option.isNone(bob) ? "was never there" : "is still there"}`)

  yield* transaction.run(Effect.forEach(["carol", "dave", "erin"], (name) => users.create(person(name))))
  const page = yield* users.list({ order: "newest-first", limit: 2 })
  yield* Console.log(
    `newest    ${page.items.map(({ username }) => username).join(", ")}, and more: ${Option.isSome(page.next)}`
  )

  const mine = yield* users.stream({ pageSize: 100 }).pipe(
    Stream.filter(({ username }) => username.endsWith(run)),
    Stream.runCollect
  )
  yield* Console.log(`streamed  ${mine.map(({ username }) => username).join(", ")}`)

  yield* Effect.forEach(mine, ({ id }) => users.delete(id), { discard: true })
  yield* Console.log(`deleted   ${mine.length}`)

  const wrong: Effect.Effect<unknown, StoreError | { readonly _tag: string }> = users.create({
    ...person("eve"),
    email: "not an address"
  })
  yield* Console.log(`refused   ${(yield* Effect.flip(wrong))._tag}: an e-mail that is none`)
})

export const main = (): void => runExample(program)

if (import.meta.main) main()
