/** What a repository adds to the client that it calls. */
import { Context, Effect, Layer, Option, Redacted } from "effect"
import * as PlatformMigrations from "../../../src/platform/PlatformMigrations.ts"
import { userColumns } from "../../../src/platform/users/UserRow.ts"
import { Users } from "../../../src/platform/users/Users.ts"
import * as UsersLive from "../../../src/platform/users/UsersLive.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { type Bench, compare } from "../../harness.ts"
import { fibers, wrong } from "../../loops.ts"
import { emailOf, ground, hash, keyOf } from "./ground.ts"

const users = 100
const emailAt = (i: number): string => emailOf(keyOf(i) % users)

const check = (email: string, found: { readonly email: string } | undefined) => {
  if (found?.email !== email) wrong(`a user by ${email}`, found)
}

const repository = (callers: number): Bench => ({
  name: `postgres/repository-${callers}`,
  about: `Users.findByEmail over the same statement by the client, undecoded; ${callers} at once`,
  needs: ["postgresql"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client } = yield* ground(settings)
      const { keyed, query } = client
      const layer = UsersLive.layer.pipe(
        Layer.provide(PlatformMigrations.layerPostgres),
        Layer.provide(Layer.succeed(PostgresClient, client))
      )
      const { create, findByEmail } = Context.get(yield* Layer.build(layer), Users)
      yield* Effect.forEach(Array.from({ length: users }).keys(), (id) =>
        create({ email: emailOf(id), username: `user${id}`, passwordHash: Redacted.make(hash) })
      )
      const columns = userColumns(keyed)
      return [
        yield* compare({
          bench: `postgres/repository-${callers}`,
          unit: "ops/s",
          settings,
          concurrency: callers,
          variants: [
            {
              name: "query, undecoded",
              run: fibers(callers, (i) => {
                const email = emailAt(i)
                const statement = keyed<{ readonly email: string }>`select ${columns} from ai_core.users
                  where lower(email collate "C") = lower(${email}::text collate "C")`
                return Effect.map(query({ operation: "Users.findByEmail", kind: "read" }, statement), ([row]) =>
                  check(email, row)
                )
              })
            },
            {
              name: "Users.findByEmail",
              run: fibers(callers, (i) => {
                const email = emailAt(i)
                return Effect.map(findByEmail(email), (found) => check(email, Option.getOrUndefined(found)))
              })
            }
          ]
        })
      ]
    })
})

export const repositories: ReadonlyArray<Bench> = [repository(1), repository(64)]
