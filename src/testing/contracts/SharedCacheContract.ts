import * as assert from "node:assert/strict"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { within } from "../../core/Deadline.ts"
import type { StoreError } from "../../core/StoreError.ts"
import * as CacheKey from "../../redis/CacheKey.ts"
import { SharedCache } from "../../redis/SharedCache.ts"
import * as Contract from "../Contract.ts"

const Profile = Schema.Struct({
  name: Schema.String,
  age: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  joined: Schema.DateTimeUtc,
  tags: Schema.Array(Schema.String)
})
type Profile = typeof Profile.Type

const profileKey = CacheKey.make("profile", { key: Schema.String, value: Profile })
const textKey = CacheKey.make("text", { key: Schema.String, value: Schema.String })
const countKey = CacheKey.make("count", { key: Schema.String, value: Schema.Int })

const alice: Profile = {
  name: "Älice \u0000 \u{1F600} ${x} {y}",
  age: 41,
  joined: DateTime.makeUnsafe("2024-02-29T12:34:56.789Z"),
  tags: ["a:b", ""]
}

const fresh = Effect.map(Contract.unique("key"), textKey)

/** The fields that an `InvalidData` names. */
const wrongFields = (error: StoreError): ReadonlyArray<string> =>
  error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]

/** What every implementation of `SharedCache` does. */
export const SharedCacheContract: Contract.Contract<SharedCache> = Contract.make("SharedCache", {
  "what was never set is absent": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    assert.deepEqual(yield* cache.get(key), Option.none())
    assert.equal(yield* cache.has(key), false)
    assert.deepEqual(yield* cache.ttl(key), Option.none())
  }),

  "what was set is read back, decoded": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = profileKey(yield* Contract.unique("alice"))
    yield* cache.set(key, alice)
    const read = Option.getOrThrow(yield* cache.get(key))
    assert.equal(read.name, alice.name)
    assert.equal(read.age, 41)
    assert.ok(DateTime.isDateTime(read.joined))
    assert.equal(DateTime.toEpochMillis(read.joined), DateTime.toEpochMillis(alice.joined))
    assert.deepEqual(read.tags, ["a:b", ""])
    assert.equal(yield* cache.has(key), true)
  }),

  "an empty text is a value": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "")
    assert.deepEqual(yield* cache.get(key), Option.some(""))
  }),

  "setting again replaces the value": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "first")
    yield* cache.set(key, "second")
    assert.deepEqual(yield* cache.get(key), Option.some("second"))
  }),

  "a value is there before its TTL has passed and gone after": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "short", { ttl: "2 seconds" })
    yield* Contract.passTime("100 millis")
    assert.deepEqual(yield* cache.get(key), Option.some("short"))
    yield* Contract.passTime("2 seconds")
    assert.deepEqual(yield* cache.get(key), Option.none())
    assert.equal(yield* cache.has(key), false)
    assert.deepEqual(yield* cache.ttl(key), Option.none())
  }),

  "a value is gone at the moment its TTL has passed": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: "50 millis" })
    yield* Contract.passTime("50 millis")
    // A server counts whole milliseconds of its own clock, and asking takes it past this one; a TestClock stands still.
    const left = yield* Effect.repeat(cache.get(key), { until: Option.isNone, times: 1000 })
    assert.deepEqual(left, Option.none())
  }),

  "ttl tells what is left": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: "10 seconds" })
    yield* Contract.passTime("50 millis")
    const left = Duration.toMillis(Option.getOrThrow(yield* cache.ttl(key)))
    assert.ok(left > 5_000 && left <= 9_960, `${left} ms`)
  }),

  "a value set without a TTL has the default one": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x")
    const left = Duration.toSeconds(Option.getOrThrow(yield* cache.ttl(key)))
    assert.ok(left > 3_500 && left <= 3_600, `${left} s`)
  }),

  "a value with an infinite TTL stays": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: Duration.infinity })
    assert.deepEqual(yield* cache.ttl(key), Option.some(Duration.infinity))
    yield* cache.delete(key)
  }),

  "setting again begins a new life": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: "200 millis" })
    yield* cache.set(key, "y", { ttl: "60 seconds" })
    yield* Contract.passTime("250 millis")
    assert.deepEqual(yield* cache.get(key), Option.some("y"))
  }),

  "a TTL below a millisecond is a millisecond, not for ever": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: "200 micros" })
    yield* Contract.passTime("20 millis")
    assert.deepEqual(yield* cache.get(key), Option.none())
  }),

  "a TTL of zero or less is refused, naming the field": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    for (const ttl of [0, -1, Duration.negativeInfinity, Duration.seconds(-5)]) {
      assert.deepEqual(wrongFields(yield* Effect.flip(cache.set(key, "x", { ttl }))), ["ttl"])
      assert.deepEqual(wrongFields(yield* Effect.flip(cache.setMany([[key, "x"]], { ttl }))), ["ttl"])
      const load = Effect.die("a load must not begin")
      assert.deepEqual(wrongFields(yield* Effect.flip(cache.getOrSet(key, { ttl }, load))), ["ttl"])
    }
    assert.deepEqual(yield* cache.get(key), Option.none())
  }),

  "a value that does not fit its schema is refused, naming the field": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = profileKey(yield* Contract.unique("bad"))
    const error = yield* Effect.flip(cache.set(key, { ...alice, age: -3 }))
    assert.deepEqual(wrongFields(error), ["value.age"])
    assert.equal(error.outcome, "not-applied")
    assert.ok(!error.message.includes("-3"))
    assert.equal(yield* cache.has(key), false)
  }),

  "a key that does not fit its schema is refused, naming it": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = CacheKey.make("small", { key: Schema.Int, value: Schema.String })
    assert.deepEqual(wrongFields(yield* Effect.flip(cache.get(key(0.5)))), ["key"])
    assert.deepEqual(wrongFields(yield* Effect.flip(cache.delete(key(Number.NaN)))), ["key"])
  }),

  "delete removes, and says whether there was a value": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x")
    assert.equal(yield* cache.delete(key), true)
    assert.equal(yield* cache.delete(key), false)
    assert.deepEqual(yield* cache.get(key), Option.none())
  }),

  "delete of an expired value says that there was none": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    yield* cache.set(key, "x", { ttl: "50 millis" })
    yield* Contract.passTime("100 millis")
    assert.equal(yield* cache.delete(key), false)
  }),

  "no two keys collide, whatever text they are made of": Effect.gen(function* () {
    const cache = yield* SharedCache
    const run = yield* Contract.unique("collide")
    const pair = CacheKey.make(run, { key: Schema.Tuple([Schema.String, Schema.String]), value: Schema.Int })
    const either = CacheKey.make(run, { key: Schema.Union([Schema.String, Schema.Int]), value: Schema.Int })
    const other = CacheKey.make(`${run}:a`, { key: Schema.String, value: Schema.Int })
    const keys = [
      pair(["a:b", "c"]),
      pair(["a", "b:c"]),
      pair(["a", '","']),
      either("1"),
      either(1),
      either("=1"),
      either("a:b"),
      other("b"),
      either("%3A"),
      either(":"),
      either("{x}"),
      either("*"),
      either("\u{D800}"),
      either("\u{D801}"),
      either("\u{FFFD}"),
      either("%uD800"),
      either("é"),
      either("e\u0301"),
      either(""),
      either(" "),
      either("\n")
    ]
    yield* Effect.forEach(keys, (key, i) => cache.set(key, i), { discard: true })
    const read = yield* Effect.forEach(keys, (key) => cache.get(key))
    assert.deepEqual(
      read,
      keys.map((_, i) => Option.some(i))
    )
  }),

  "no two keys collide, whatever they are made of, and one that is equal is the same": Effect.gen(function* () {
    const cache = yield* SharedCache
    const run = yield* Contract.unique("types")
    const Atom = Schema.Union([
      Schema.String,
      Schema.Number,
      Schema.BigInt,
      Schema.Date,
      Schema.Boolean,
      Schema.Null,
      Schema.Undefined
    ])
    const atoms = (): ReadonlyArray<typeof Atom.Type> => {
      const epoch = new Date(0)
      const texts = ["NaN", "Infinity", "1", "null", "true", "undefined", epoch.toISOString(), 'Date("1")', "=1", ""]
      return [...texts, Number.NaN, Number.POSITIVE_INFINITY, 1, 0, 1n, epoch, true, null, undefined]
    }
    const of = <K>(family: string, key: Schema.ConstraintCodec<K, unknown>) =>
      CacheKey.make(`${run}-${family}`, { key, value: Schema.Int })
    const one = of("same", Atom)
    const inArray = of("same", Schema.Array(Atom))
    const inStruct = of("same", Schema.Struct({ a: Atom, b: Schema.String }))
    const inMap = of("same", Schema.ReadonlyMap(Atom, Schema.String))
    const keys = () =>
      atoms().flatMap((atom) => [
        one(atom),
        inArray([atom]),
        inStruct({ a: atom, b: "b" }),
        inMap(new Map([[atom, "b"]]))
      ])
    yield* cache.setMany(keys().map((key, i) => [key, i]))
    assert.deepEqual(
      yield* cache.getMany(keys()),
      keys().map((_, i) => Option.some(i))
    )
    const record = of("record", Schema.Record(Schema.String, Schema.Number))
    yield* cache.set(record({ a: 1, b: 2 }), 7)
    assert.deepEqual(yield* cache.get(record({ b: 2, a: 1 })), Option.some(7))
    assert.deepEqual(yield* cache.get(record({ b: 1, a: 2 })), Option.none())
  }),

  "a call that begins after its Deadline is refused, and does nothing": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const other = yield* fresh
    yield* cache.set(other, "there")
    const load = Effect.die("a load must not begin")
    const calls: ReadonlyArray<Effect.Effect<unknown, StoreError>> = [
      cache.get(other),
      cache.getMany([other]),
      cache.set(key, "x"),
      cache.setMany([[key, "x"]]),
      cache.getOrSet(key, {}, load),
      cache.delete(other),
      cache.has(other),
      cache.ttl(other)
    ]
    for (const call of calls) {
      const error = yield* Effect.flip(within(0)(call))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "not-applied"], error.operation)
    }
    assert.deepEqual(yield* cache.getMany([key, other]), [Option.none(), Option.some("there")])
  }),

  "getMany answers in the order of its keys, with none for what is absent": Effect.gen(function* () {
    const cache = yield* SharedCache
    const run = yield* Contract.unique("many")
    const keys = ["a", "b", "c"].map((name) => countKey(`${run}-${name}`))
    const [a, b, c] = keys
    yield* cache.setMany([
      [c!, 3],
      [a!, 1]
    ])
    assert.deepEqual(yield* cache.getMany([a!, b!, c!, a!]), [
      Option.some(1),
      Option.none(),
      Option.some(3),
      Option.some(1)
    ])
    assert.deepEqual(yield* cache.getMany<number>([]), [])
  }),

  "setMany gives each value the life": Effect.gen(function* () {
    const cache = yield* SharedCache
    const run = yield* Contract.unique("many")
    const keys = Array.from({ length: 20 }, (_, i) => countKey(`${run}-${i}`))
    yield* cache.setMany(
      keys.map((key, i) => [key, i]),
      { ttl: "2 seconds" }
    )
    assert.deepEqual(
      yield* cache.getMany(keys),
      keys.map((_, i) => Option.some(i))
    )
    yield* Contract.passTime("2 seconds")
    assert.deepEqual(
      yield* cache.getMany(keys),
      keys.map(() => Option.none())
    )
    yield* cache.setMany<number>([])
  }),

  "a stored value that no longer decodes is absent": Effect.gen(function* () {
    const cache = yield* SharedCache
    const name = yield* Contract.unique("old")
    const before = CacheKey.make("schema", { key: Schema.String, value: Schema.String })(name)
    const after = CacheKey.make("schema", { key: Schema.String, value: Schema.Struct({ v: Schema.Int }) })(name)
    yield* cache.set(before, "text")
    assert.deepEqual(yield* cache.get(after), Option.none())
    assert.deepEqual(yield* cache.getMany([after]), [Option.none()])
    assert.equal(yield* cache.has(after), true)
  }),

  "getOrSet loads over a stored value that no longer decodes": Effect.gen(function* () {
    const cache = yield* SharedCache
    const name = yield* Contract.unique("old")
    const before = CacheKey.make("schema", { key: Schema.String, value: Schema.String })(name)
    const after = CacheKey.make("schema", { key: Schema.String, value: Schema.Struct({ v: Schema.Int }) })(name)
    yield* cache.set(before, "text")
    assert.deepEqual(yield* cache.getOrSet(after, {}, Effect.succeed({ v: 7 })), { v: 7 })
    assert.deepEqual(yield* cache.get(after), Option.some({ v: 7 }))
  }),

  "getOrSet loads once, stores, and then answers from the cache": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    let loads = 0
    const load = Effect.sync(() => `load ${++loads}`)
    assert.equal(yield* cache.getOrSet(key, { ttl: "2 seconds" }, load), "load 1")
    assert.equal(yield* cache.getOrSet(key, { ttl: "2 seconds" }, load), "load 1")
    assert.deepEqual(yield* cache.get(key), Option.some("load 1"))
    yield* Contract.passTime("2 seconds")
    assert.equal(yield* cache.getOrSet(key, { ttl: "2 seconds" }, load), "load 2")
  }),

  "getOrSet shares one load between concurrent callers": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    let loads = 0
    const load = Effect.gen(function* () {
      loads++
      yield* Deferred.succeed(started, undefined)
      yield* Deferred.await(gate)
      return "shared"
    })
    const callers = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: 50 }, () => cache.getOrSet(key, {}, load)),
        { concurrency: "unbounded" }
      )
    )
    yield* Deferred.await(started)
    const late = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    yield* Effect.yieldNow
    yield* Deferred.succeed(gate, undefined)
    assert.deepEqual(
      yield* Fiber.join(callers),
      Array.from({ length: 50 }, () => "shared")
    )
    assert.equal(yield* Fiber.join(late), "shared")
    assert.equal(loads, 1)
  }),

  "loads of different keys do not wait for each other": Effect.gen(function* () {
    const cache = yield* SharedCache
    const [one, two] = [yield* fresh, yield* fresh]
    const gate = yield* Deferred.make<void>()
    const first = yield* Effect.forkChild(cache.getOrSet(one, {}, Effect.as(Deferred.await(gate), "one")))
    assert.equal(yield* cache.getOrSet(two, {}, Effect.as(Deferred.succeed(gate, undefined), "two")), "two")
    assert.equal(yield* Fiber.join(first), "one")
  }),

  "a failed load is given to all who wait and is not stored": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    let loads = 0
    const load = Effect.gen(function* () {
      loads++
      yield* Deferred.succeed(started, undefined)
      yield* Deferred.await(gate)
      return yield* Effect.fail("no such profile" as const)
    })
    const callers = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 10 }), () => Effect.flip(cache.getOrSet(key, {}, load)), {
        concurrency: "unbounded"
      })
    )
    yield* Deferred.await(started)
    yield* Contract.passTime("50 millis")
    yield* Deferred.succeed(gate, undefined)
    assert.deepEqual(
      yield* Fiber.join(callers),
      Array.from({ length: 10 }, () => "no such profile")
    )
    assert.equal(loads, 1)
    assert.deepEqual(yield* cache.get(key), Option.none())
    assert.equal(yield* cache.getOrSet(key, {}, Effect.succeed("then")), "then")
  }),

  "the first caller's interruption does not fail the others": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    let loads = 0
    const load = Effect.gen(function* () {
      loads++
      yield* Deferred.succeed(started, undefined)
      yield* Deferred.await(gate)
      return "survived"
    })
    const first = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    yield* Deferred.await(started)
    const second = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    // The second must have come to wait, which takes a look-up on a server.
    yield* Contract.passTime("500 millis")
    const interrupted = yield* Effect.andThen(Fiber.interrupt(first), Fiber.await(first))
    assert.ok(Exit.hasInterrupts(interrupted))
    yield* Deferred.succeed(gate, undefined)
    assert.equal(yield* Fiber.join(second), "survived")
    assert.equal(loads, 1)
    assert.deepEqual(yield* cache.get(key), Option.some("survived"))
  }),

  "a load that nobody waits for any more is interrupted, and the next caller loads anew": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<void>()
    const load = Deferred.succeed(started, undefined).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
    )
    const only = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    yield* Deferred.await(started)
    yield* Fiber.interrupt(only)
    yield* Deferred.await(ended)
    assert.equal(yield* cache.getOrSet(key, {}, Effect.succeed("anew")), "anew")
  }),

  "each caller waits until its own Deadline, and the load goes on for those who have longer": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    let loads = 0
    const load = Effect.gen(function* () {
      loads++
      yield* Deferred.succeed(started, undefined)
      yield* Deferred.await(gate)
      // A store call of the load's own has all the time it needs, too.
      yield* cache.has(key)
      return "worth it"
    })
    const hasty = cache.getOrSet(key, {}, load).pipe(within("2 seconds"), Effect.flip, Effect.forkChild)
    const leader = yield* hasty
    yield* Deferred.await(started)
    const patient = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    const joiner = yield* hasty
    yield* Contract.passTime("100 millis")
    yield* Contract.passTime("2 seconds")
    for (const fiber of [leader, joiner]) {
      const error = yield* Fiber.join(fiber)
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "not-applied"])
      assert.equal(error.operation, "SharedCache.getOrSet")
    }
    yield* Deferred.succeed(gate, undefined)
    assert.equal(yield* Fiber.join(patient), "worth it")
    assert.equal(loads, 1)
    assert.deepEqual(yield* cache.get(key), Option.some("worth it"))
  }),

  "a load that every caller's Deadline has left is interrupted, and the next caller loads anew": Effect.gen(
    function* () {
      const cache = yield* SharedCache
      const key = yield* fresh
      const ended = yield* Deferred.make<void>()
      const load = Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))
      const only = yield* cache.getOrSet(key, {}, load).pipe(within("1 second"), Effect.flip, Effect.forkChild)
      yield* Contract.passTime("50 millis")
      yield* Contract.passTime("1 second")
      assert.equal((yield* Fiber.join(only)).reason._tag, "Timeout")
      yield* Deferred.await(ended)
      assert.equal(yield* cache.getOrSet(key, {}, Effect.succeed("anew")), "anew")
    }
  ),

  "a load that interrupts itself does not end those who joined it": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = yield* fresh
    const started = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    const load = Deferred.succeed(started, undefined).pipe(
      Effect.andThen(Deferred.await(gate)),
      Effect.andThen(Effect.interrupt)
    )
    const leader = yield* Effect.forkChild(cache.getOrSet(key, {}, load))
    yield* Deferred.await(started)
    const joiner = yield* Effect.forkChild(cache.getOrSet(key, {}, Effect.succeed("mine")))
    yield* Contract.passTime("100 millis")
    yield* Deferred.succeed(gate, undefined)
    assert.ok(Exit.hasInterrupts(yield* Fiber.await(leader)))
    assert.equal(yield* Fiber.join(joiner), "mine")
  }),

  "a load that asks for its own key does not wait for itself": Effect.gen(function* () {
    const cache = yield* SharedCache
    const [a, b] = [yield* fresh, yield* fresh]
    const inner = cache.getOrSet(a, {}, Effect.succeed("inner"))
    assert.equal(
      yield* cache.getOrSet(
        a,
        {},
        Effect.map(inner, (text) => `${text}, outer`)
      ),
      "inner, outer"
    )
    assert.deepEqual(yield* cache.get(a), Option.some("inner, outer"))
    yield* cache.delete(a)
    assert.equal(yield* cache.getOrSet(a, {}, cache.getOrSet(b, {}, inner)), "inner")
    assert.deepEqual(yield* cache.getMany([a, b]), [Option.some("inner"), Option.some("inner")])
  }),

  "loads that ask for each other's keys do not wait for each other for ever": Effect.gen(function* () {
    const cache = yield* SharedCache
    const [a, b] = [yield* fresh, yield* fresh]
    const both = yield* Deferred.make<void>()
    let begun = 0
    const asking = (mine: CacheKey.CacheKey<string>, theirs: CacheKey.CacheKey<string>) =>
      cache.getOrSet(
        mine,
        {},
        Effect.gen(function* () {
          if (++begun === 2) yield* Deferred.succeed(both, undefined)
          yield* Deferred.await(both)
          return yield* cache.getOrSet(theirs, {}, Effect.succeed("leaf"))
        })
      )
    assert.deepEqual(yield* Effect.all([asking(a, b), asking(b, a)], { concurrency: 2 }), ["leaf", "leaf"])
    assert.equal(begun, 2)
  }),

  "a load's value that does not fit the schema is refused and not stored": Effect.gen(function* () {
    const cache = yield* SharedCache
    const key = countKey(yield* Contract.unique("bad"))
    const error = yield* Effect.flip(cache.getOrSet(key, {}, Effect.succeed(1.5)))
    assert.deepEqual(wrongFields(error), ["value"])
    assert.equal(yield* cache.has(key), false)
  })
})
