import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Deadline, within } from "../core/Deadline.ts"
import type { StoreError } from "../core/StoreError.ts"
import type { CacheKey } from "./CacheKey.ts"
import { tooLate } from "./InTime.ts"
import { invalidInput } from "./InvalidInput.ts"
import { type Life, SharedCache } from "./SharedCache.ts"
import { makeSingleFlight } from "./SingleFlight.ts"

/** The few commands that a cache is made of. */
export interface CacheStore {
  readonly get: (key: string, options: { readonly retry: boolean }) => Effect.Effect<string | null, StoreError>
  readonly getMany: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string | null>, StoreError>
  /** Without `ttlMillis` the value stays. */
  readonly set: (key: string, value: string, ttlMillis: number | undefined) => Effect.Effect<void, StoreError>
  readonly delete: (key: string) => Effect.Effect<boolean, StoreError>
  readonly has: (key: string) => Effect.Effect<boolean, StoreError>
  /** As PTTL answers: -2 where there is no value, -1 where it stays. */
  readonly ttl: (key: string) => Effect.Effect<number, StoreError>
}

/** A life in whole milliseconds, or nothing for one without end. */
const millisOf = (operation: string, ttl: Duration.Duration): Effect.Effect<number | undefined, StoreError> => {
  const millis = Duration.toMillis(ttl)
  if (millis === Number.POSITIVE_INFINITY) return Effect.succeed(undefined)
  return millis > 0
    ? Effect.succeed(Math.min(Math.ceil(millis), Number.MAX_SAFE_INTEGER))
    : Effect.fail(invalidInput(operation, [{ field: "ttl", problem: "must be a length of time above 0" }]))
}

const read = <A>(operation: string, key: CacheKey<A>, stored: string | null): Effect.Effect<Option.Option<A>> =>
  stored === null ? Effect.succeedNone : Effect.option(key.decode(operation, stored))

/** Waits this long at most, and leaves half of the time up to the caller's Deadline for what comes after. */
const patiently = (patience: Duration.Input) => {
  const most = Duration.toMillis(patience)
  return <A>(self: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
    Effect.withFiber((fiber) => {
      const left = fiber.getRef(Deadline) - fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      return within(Math.min(most, left / 2))(self)
    })
}

const stillLoading = "the load had not ended"

/** Builds the capability on the commands: keys, values, lives and single flight are the same for every implementation. */
export const makeSharedCache = (
  store: CacheStore,
  options: {
    readonly prefix: string
    readonly defaultTtl: Duration.Duration
    /** How long `getOrSet` waits for the store before it goes on without it. */
    readonly patience: Duration.Input
    /** How many values `setMany` stores at once. */
    readonly width: number
  }
): Effect.Effect<SharedCache["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const flights = yield* makeSingleFlight
    const { defaultTtl, prefix, width } = options
    const inPatience = patiently(options.patience)

    const keyOf = (operation: string, key: Pick<CacheKey<unknown>, "text">): Effect.Effect<string, StoreError> =>
      Effect.map(key.text(operation), (text) => `${prefix}:${text}`)

    const lifeOf = (operation: string, life: Life | undefined): Effect.Effect<number | undefined, StoreError> =>
      millisOf(
        operation,
        life?.ttl === undefined
          ? defaultTtl
          : // What does not parse is as wrong as what is not above 0.
            Option.getOrElse(Duration.fromInput(life.ttl), () => Duration.zero)
      )

    // Written out, because a generator costs as much as the decoding.
    const get: SharedCache["Service"]["get"] = (key) =>
      Effect.flatMap(keyOf("SharedCache.get", key), (name) =>
        Effect.flatMap(store.get(name, { retry: true }), (stored) => read("SharedCache.get", key, stored))
      )

    const getMany: SharedCache["Service"]["getMany"] = Effect.fnUntraced(function* <A>(
      keys: ReadonlyArray<CacheKey<A>>
    ) {
      if (keys.length === 0) return []
      const operation = "SharedCache.getMany"
      const names = yield* Effect.forEach(keys, (key) => keyOf(operation, key))
      const stored = yield* store.getMany(names)
      return yield* Effect.forEach(keys, (key, i) => read(operation, key, stored[i] ?? null))
    })

    const set: SharedCache["Service"]["set"] = Effect.fnUntraced(function* (key, value, life) {
      const operation = "SharedCache.set"
      const millis = yield* lifeOf(operation, life)
      const name = yield* keyOf(operation, key)
      yield* store.set(name, yield* key.encode(operation, value), millis)
    })

    const setMany: SharedCache["Service"]["setMany"] = Effect.fnUntraced(function* (entries, life) {
      const operation = "SharedCache.setMany"
      const millis = yield* lifeOf(operation, life)
      const encoded = yield* Effect.forEach(entries, ([key, value]) =>
        Effect.all([keyOf(operation, key), key.encode(operation, value)])
      )
      yield* Effect.forEach(encoded, ([name, text]) => store.set(name, text, millis), {
        concurrency: width,
        discard: true
      })
    })

    const getOrSet: SharedCache["Service"]["getOrSet"] = Effect.fnUntraced(function* <A, E, R>(
      key: CacheKey<A>,
      life: Life,
      load: Effect.Effect<A, E, R>
    ) {
      const operation = "SharedCache.getOrSet"
      const millis = yield* lifeOf(operation, life)
      const name = yield* keyOf(operation, key)
      const late = (afterMillis: number) =>
        tooLate(operation, afterMillis, afterMillis === 0 ? undefined : stillLoading)
      const lookUp = Effect.gen(function* () {
        const stored = yield* inPatience(store.get(name, { retry: false }))
        return yield* read(operation, key, stored)
      })
      const found = yield* Effect.result(lookUp)
      if (Result.isSuccess(found) && Option.isSome(found.success)) return found.success.value

      // Where Redis could not be asked just now, asking again would only make this caller wait longer.
      if (Result.isFailure(found)) return yield* flights.run<A, E | StoreError, R>(name, load, late)
      return yield* flights.run<A, E | StoreError, R>(
        name,
        Effect.gen(function* () {
          // Looked up again: an earlier run may have stored the value between this caller's look and its turn.
          const stored = yield* Effect.catch(lookUp, () => Effect.succeedNone)
          if (Option.isSome(stored)) return stored.value
          const loaded = yield* load
          const text = yield* key.encode(operation, loaded)
          yield* Effect.ignore(inPatience(store.set(name, text, millis)))
          return loaded
        }),
        late
      )
    })

    return SharedCache.of({
      get,
      getMany,
      set,
      setMany,
      getOrSet,
      delete: (key) => Effect.flatMap(keyOf("SharedCache.delete", key), store.delete),
      has: (key) => Effect.flatMap(keyOf("SharedCache.has", key), store.has),
      ttl: (key) =>
        Effect.map(Effect.flatMap(keyOf("SharedCache.ttl", key), store.ttl), (millis) => {
          if (millis === -2) return Option.none()
          return Option.some(millis === -1 ? Duration.infinity : Duration.millis(millis))
        })
    })
  })
