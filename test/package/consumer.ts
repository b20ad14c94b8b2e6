import { type Capabilities, CacheKey, type EmailTaken, SharedCache, type StoreError, Users } from "@ai-core/database"
import { DatabaseMemory } from "@ai-core/database/memory"
import { Contract, UsersContract } from "@ai-core/database/testing"
import { Effect, Layer, Option, Redacted, Schema } from "effect"

const profile = CacheKey.make("profile", { key: Schema.String, value: Schema.Struct({ name: Schema.String }) })

// Every type is written out, so that one which came out of the package as `any` does not pass unseen.
const program: Effect.Effect<string, StoreError | EmailTaken | Error, Users | SharedCache> = Effect.gen(function* () {
  const users: Users["Service"] = yield* Users
  const cache: SharedCache["Service"] = yield* SharedCache
  const alice = yield* users.create({
    email: "alice@example.com",
    username: "alice",
    passwordHash: Redacted.make("$argon2id$hash")
  })
  const found = Option.getOrThrow(yield* users.findByEmail("ALICE@example.com"))
  if (found.id !== alice.id) return yield* Effect.fail(new Error("another user was found"))
  yield* cache.set(profile("alice"), { name: found.username })
  const { name } = Option.getOrThrow(yield* cache.get(profile("alice")))
  return name
})

// @ts-expect-error -- a program that asks for a capability does not run without a layer
export const unprovided: Effect.Effect<string, unknown> = program

const layer: Layer.Layer<Capabilities> = DatabaseMemory

const main = Effect.gen(function* () {
  const name = yield* Effect.provide(program, Layer.fresh(layer))
  if (name !== "alice") return yield* Effect.fail(new Error(`read back ${name}`))
  const contract: Contract.Contract<never> = Contract.make("Nothing", { "does nothing": Effect.void })
  if (contract.cases.length !== 1 || UsersContract.cases.length === 0) {
    return yield* Effect.fail(new Error("the contracts are empty"))
  }
  for (const { run } of UsersContract.cases.slice(0, 3)) yield* Effect.provide(run, Layer.fresh(layer))
})

await Effect.runPromise(main)
console.log("consumer: ok")
