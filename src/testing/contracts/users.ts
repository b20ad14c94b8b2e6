import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type NewUser, type User, UserId, Users } from "../../platform/users/Users.ts"
import { unique } from "../Contract.ts"

/** A user that no other case has made. */
export const someUser = (given: Partial<NewUser> = {}): Effect.Effect<User, unknown, Users> =>
  Effect.gen(function* () {
    const users = yield* Users
    const name = yield* unique("user")
    return yield* users.create({
      email: `${name}@example.com`,
      username: name,
      passwordHash: Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
      ...given
    })
  })

/** The id of no user. */
export const nobody = UserId.make("01900000-0000-7000-8000-000000000000")

/** Runs the effect at a time of the Clock that is this much later, where waiting for it would take too long on a server. */
export const later =
  (duration: Duration.Input) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const millis = Duration.toMillis(duration)
    const nanos = BigInt(millis) * 1_000_000n
    return Effect.updateService(effect, Clock.Clock, (clock) => ({
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + millis,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + millis),
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + nanos,
      currentTimeNanos: Effect.map(clock.currentTimeNanos, (now) => now + nanos),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (time) => clock.sleep(time)
    }))
  }

/** Text that would do harm if it ever became part of a statement. */
export const hostile = `'); drop table ai_core.users; --"\\$1 $$ %s {{x}}`
