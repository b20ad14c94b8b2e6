import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as assert from "node:assert/strict"
import { SignInId, UserTokens } from "../../platform/users/UserTokens.ts"
import { Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { failsWith, refuses, untyped } from "../Expectations.ts"
import { hostile, nobody, someUser } from "./users.ts"

type Run = Effect.Effect<void, unknown, UserTokens | Users | Transaction>

/** Why a token is refused. */
const because = <A, E extends { readonly _tag: string }, R>(use: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(use), (error) => ("because" in error ? error.because : error._tag))

const refreshing = (secret: Redacted.Redacted) =>
  Effect.flatMap(UserTokens, (tokens) => tokens.refresh(secret, "1 hour"))

const newHash = Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$bmV3$bmV3")

const signingIn: Record<string, Run> = {
  "each token of a sign-in is good once, and gives the next": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const first = yield* tokens.signIn(user.id, "1 hour")
    assert.equal(first.userId, user.id)
    const second = yield* tokens.refresh(first.secret, "1 hour")
    assert.deepEqual([second.userId, second.signIn], [user.id, first.signIn])
    assert.notEqual(Redacted.value(second.secret), Redacted.value(first.secret))
    const third = yield* tokens.refresh(second.secret, "1 hour")
    assert.equal(third.signIn, first.signIn)
  }),
  "a used token that comes back ends its sign-in, and no other": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const stolen = yield* tokens.signIn(user.id, "1 hour")
    const other = yield* tokens.signIn(user.id, "1 hour")
    const next = yield* tokens.refresh(stolen.secret, "1 hour")
    assert.equal(yield* because(refreshing(stolen.secret)), "used")
    assert.equal(yield* because(refreshing(next.secret)), "revoked")
    assert.equal((yield* refreshing(other.secret)).signIn, other.signIn)
  }),
  "the end of a stolen sign-in stays inside a transaction that goes on": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const { run } = yield* Transaction
    const user = yield* someUser()
    const stolen = yield* tokens.signIn(user.id, "1 hour")
    const next = yield* tokens.refresh(stolen.secret, "1 hour")
    yield* run(Effect.asVoid(Effect.flip(refreshing(stolen.secret))))
    assert.equal(yield* because(refreshing(next.secret)), "revoked")
  }),
  "a stolen sign-in ends although the transaction around fails, or a part of it": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const { run } = yield* Transaction
    const user = yield* someUser()
    const around: ReadonlyArray<
      (refused: ReturnType<typeof refreshing>) => Effect.Effect<unknown, unknown, UserTokens>
    > = [
      (refused) => run(refused),
      (refused) => run(run(refused)),
      (refused) => run(Effect.andThen(Effect.flip(refused), Effect.fail("later"))),
      (refused) => Effect.flip(run(Effect.flip(run(refused)))),
      // The transaction holds the user itself.
      (refused) => run(Effect.andThen(tokens.signIn(user.id, "1 hour"), refused))
    ]
    for (const [i, within] of around.entries()) {
      const stolen = yield* tokens.signIn(user.id, "1 hour")
      const other = yield* tokens.signIn(user.id, "1 hour")
      const next = yield* tokens.refresh(stolen.secret, "1 hour")
      assert.ok(Exit.isFailure(yield* Effect.exit(within(refreshing(stolen.secret)))), `case ${i}`)
      assert.equal(yield* because(refreshing(next.secret)), "revoked", `case ${i}`)
      assert.equal((yield* refreshing(other.secret)).signIn, other.signIn)
    }
  }),
  "a token expires, and is no theft then": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const first = yield* tokens.signIn(user.id, "300 millis")
    yield* passTime("300 millis")
    assert.equal(yield* because(refreshing(first.secret)), "expired")
  }),
  "a used token that comes back after its time ends its sign-in too, whose next token lives on": Effect.gen(
    function* () {
      const tokens = yield* UserTokens
      const user = yield* someUser()
      const stolen = yield* tokens.signIn(user.id, "2 seconds")
      const next = yield* tokens.refresh(stolen.secret, "1 hour")
      yield* passTime("2 seconds")
      const last = yield* refreshing(next.secret)
      assert.equal(yield* because(refreshing(stolen.secret)), "used")
      assert.equal(yield* because(refreshing(last.secret)), "revoked")
    }
  ),
  "signing out ends one sign-in; signing out again changes nothing": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const one = yield* tokens.signIn(user.id, "1 hour")
    const other = yield* tokens.signIn(user.id, "1 hour")
    yield* tokens.signOut(one.signIn)
    yield* tokens.signOut(one.signIn)
    assert.equal(yield* because(refreshing(one.secret)), "revoked")
    assert.equal((yield* refreshing(other.secret)).userId, user.id)
  }),
  "signing out everywhere ends the sign-ins that were good, and tells how many": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const neighbour = yield* tokens.signIn((yield* someUser()).id, "1 hour")
    const one = yield* tokens.signIn(user.id, "1 hour")
    const next = yield* tokens.refresh(one.secret, "1 hour")
    const two = yield* tokens.signIn(user.id, "1 hour")
    yield* tokens.signOut((yield* tokens.signIn(user.id, "1 hour")).signIn)
    yield* tokens.signIn(user.id, "20 millis")
    yield* passTime("20 millis")
    assert.equal(yield* tokens.signOutEverywhere(user.id), 2)
    assert.equal(yield* tokens.signOutEverywhere(user.id), 0)
    assert.equal(yield* because(refreshing(next.secret)), "revoked")
    assert.equal(yield* because(refreshing(two.secret)), "revoked")
    assert.equal((yield* refreshing(neighbour.secret)).signIn, neighbour.signIn)
  }),
  "nobody signs in, and no token is no token": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const { run } = yield* Transaction
    const user = yield* someUser()
    const { secret } = yield* run(
      Effect.andThen(failsWith(tokens.signIn(nobody, "1 hour"), "UserNotFound"), tokens.signIn(user.id, "1 hour"))
    )
    assert.equal((yield* refreshing(secret)).userId, user.id)
    assert.equal(yield* because(refreshing(Redacted.make(hostile))), "unknown")
  }),
  "a removed user is signed in nowhere, and what was sent to it is good for nothing": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    const { secret } = yield* tokens.signIn(user.id, "1 hour")
    const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
    yield* users.delete(user.id)
    assert.equal(yield* because(refreshing(secret)), "unknown")
    assert.equal(yield* because(tokens.resetPassword(sent.secret, newHash)), "unknown")
  })
}

const erasing: Record<string, Run> = {
  "an erased user is signed in nowhere, what was sent to it is good for nothing, and nothing more is given": Effect.gen(
    function* () {
      const tokens = yield* UserTokens
      const users = yield* Users
      const { run } = yield* Transaction
      const user = yield* someUser()
      const neighbour = yield* tokens.signIn((yield* someUser()).id, "1 hour")
      const { secret } = yield* tokens.signIn(user.id, "1 hour")
      const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
      const verification = yield* tokens.send(user.id, "email-verification", "1 hour")
      const erased = yield* users.erase(user.id)
      assert.equal(yield* because(refreshing(secret)), "unknown")
      assert.equal(yield* because(tokens.resetPassword(sent.secret, newHash)), "unknown")
      assert.equal(yield* because(tokens.verifyEmail(verification.secret)), "unknown")
      yield* run(
        Effect.gen(function* () {
          yield* failsWith(tokens.signIn(user.id, "1 hour"), "UserNotFound")
          yield* failsWith(tokens.send(user.id, "password-reset", "1 hour"), "UserNotFound")
          assert.equal((yield* refreshing(neighbour.secret)).signIn, neighbour.signIn)
        })
      )
      assert.equal(yield* tokens.signOutEverywhere(user.id), 0)
      assert.deepEqual(yield* users.findById(user.id), Option.some(erased))
    }
  )
}

const sending: Record<string, Run> = {
  "a token proves the e-mail it was sent to, once": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    assert.equal(user.emailVerifiedAt, null)
    const sent = yield* tokens.send(user.id, "email-verification", "1 hour")
    assert.deepEqual([sent.userId, sent.email], [user.id, user.email])
    yield* passTime("2 millis")
    const verified = yield* tokens.verifyEmail(sent.secret)
    assert.ok(verified.emailVerifiedAt !== null)
    assert.equal(verified.version, 2)
    assert.deepEqual(verified.updatedAt, verified.emailVerifiedAt)
    assert.ok(DateTime.isGreaterThan(verified.updatedAt, user.updatedAt))
    assert.deepEqual(yield* users.findById(user.id), Option.some(verified))
    assert.equal(yield* because(tokens.verifyEmail(sent.secret)), "used")
  }),
  "an e-mail that changed is not proved by what was sent to the old one": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    const sent = yield* tokens.send(user.id, "email-verification", "1 hour")
    const changed = yield* users.update(user.id, 1, { email: `${yield* unique("new")}@example.com` })
    assert.equal(yield* because(tokens.verifyEmail(sent.secret)), "revoked")
    assert.deepEqual(yield* users.findById(user.id), Option.some(changed))
  }),
  "a new e-mail is not proved, the same one stays so": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    const sent = yield* tokens.send(user.id, "email-verification", "1 hour")
    const { emailVerifiedAt } = yield* tokens.verifyEmail(sent.secret)
    const named = yield* users.update(user.id, 2, { username: yield* unique("named"), email: user.email })
    assert.deepEqual(named.emailVerifiedAt, emailVerifiedAt)
    const moved = yield* users.update(user.id, 3, { email: `${yield* unique("new")}@example.com` })
    assert.equal(moved.emailVerifiedAt, null)
  }),
  "a password is reset once, and that ends every sign-in of its user": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    const signedIn = yield* tokens.signIn(user.id, "1 hour")
    const neighbour = yield* tokens.signIn((yield* someUser()).id, "1 hour")
    const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
    const reset = yield* tokens.resetPassword(sent.secret, newHash)
    assert.equal(Redacted.value(reset.passwordHash), Redacted.value(newHash))
    assert.equal(reset.version, 2)
    assert.deepEqual(yield* users.findById(user.id), Option.some(reset))
    assert.equal(yield* because(refreshing(signedIn.secret)), "revoked")
    assert.equal((yield* refreshing(neighbour.secret)).signIn, neighbour.signIn)
    assert.equal(yield* because(tokens.resetPassword(sent.secret, newHash)), "used")
  }),
  "a new e-mail ends what was sent to the old one, also where the old one comes back": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const users = yield* Users
    const user = yield* someUser()
    const reset = yield* tokens.send(user.id, "password-reset", "1 hour")
    const verification = yield* tokens.send(user.id, "email-verification", "1 hour")
    const neighbour = yield* tokens.send((yield* someUser()).id, "password-reset", "1 hour")
    const moved = yield* users.update(user.id, 1, { email: `${yield* unique("new")}@example.com` })
    assert.equal(yield* because(tokens.resetPassword(reset.secret, newHash)), "revoked")
    assert.equal(yield* because(tokens.verifyEmail(verification.secret)), "revoked")
    assert.deepEqual(yield* users.findById(user.id), Option.some(moved))
    const back = yield* users.update(user.id, 2, { email: user.email })
    assert.equal(yield* because(tokens.resetPassword(reset.secret, newHash)), "revoked")
    assert.equal(yield* because(tokens.verifyEmail(verification.secret)), "revoked")
    assert.deepEqual(yield* users.findById(user.id), Option.some(back))
    const again = yield* tokens.send(user.id, "password-reset", "1 hour")
    assert.equal((yield* tokens.resetPassword(again.secret, newHash)).version, 4)
    assert.equal((yield* tokens.resetPassword(neighbour.secret, newHash)).id, neighbour.userId)
  }),
  "a new password, however it is set, ends every sign-in and what would reset it; what proves the e-mail stays good":
    Effect.gen(function* () {
      const tokens = yield* UserTokens
      const users = yield* Users
      const user = yield* someUser()
      const signedIn = yield* tokens.signIn(user.id, "1 hour")
      const reset = yield* tokens.send(user.id, "password-reset", "1 hour")
      const verification = yield* tokens.send(user.id, "email-verification", "1 hour")
      const neighbour = yield* someUser()
      const others = yield* tokens.signIn(neighbour.id, "1 hour")
      const sentToOthers = yield* tokens.send(neighbour.id, "password-reset", "1 hour")
      yield* users.update(user.id, 1, { passwordHash: newHash })
      assert.equal(yield* because(refreshing(signedIn.secret)), "revoked")
      assert.equal(yield* because(tokens.resetPassword(reset.secret, newHash)), "revoked")
      assert.equal((yield* tokens.verifyEmail(verification.secret)).version, 3)
      assert.equal((yield* refreshing(others.secret)).signIn, others.signIn)
      assert.equal((yield* tokens.resetPassword(sentToOthers.secret, newHash)).id, neighbour.id)
    }),
  "a change that keeps e-mail and password ends nothing, nor does one that is refused or taken back": Effect.gen(
    function* () {
      const tokens = yield* UserTokens
      const users = yield* Users
      const { run } = yield* Transaction
      const user = yield* someUser()
      const neighbour = yield* someUser()
      const signedIn = yield* tokens.signIn(user.id, "1 hour")
      const reset = yield* tokens.send(user.id, "password-reset", "1 hour")
      const verification = yield* tokens.send(user.id, "email-verification", "1 hour")
      yield* users.update(user.id, 1, { username: yield* unique("named"), email: user.email })
      yield* failsWith(users.update(user.id, 1, { passwordHash: newHash }), "VersionConflict")
      yield* failsWith(users.update(user.id, 2, { passwordHash: newHash, email: neighbour.email }), "EmailTaken")
      const email = `${yield* unique("new")}@example.com`
      yield* Effect.flip(
        run(
          Effect.andThen(
            users.update(user.id, 2, { passwordHash: newHash, email }),
            Effect.fail({ _tag: "No" as const })
          )
        )
      )
      assert.equal((yield* refreshing(signedIn.secret)).signIn, signedIn.signIn)
      assert.equal((yield* tokens.verifyEmail(verification.secret)).id, user.id)
      assert.equal((yield* tokens.resetPassword(reset.secret, newHash)).id, user.id)
    }
  ),
  "the newest token for a purpose is the good one": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const older = yield* tokens.send(user.id, "password-reset", "1 hour")
    const other = yield* tokens.send(user.id, "email-verification", "1 hour")
    const neighbour = yield* someUser()
    const foreign = yield* tokens.send(neighbour.id, "password-reset", "1 hour")
    const newer = yield* tokens.send(user.id, "password-reset", "1 hour")
    assert.equal(yield* because(tokens.resetPassword(older.secret, newHash)), "used")
    assert.equal((yield* tokens.resetPassword(newer.secret, newHash)).id, user.id)
    assert.equal((yield* tokens.verifyEmail(other.secret)).id, user.id)
    assert.equal((yield* tokens.resetPassword(foreign.secret, newHash)).id, neighbour.id)
  }),
  "a token is good for its purpose only, and until it expires": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const sent = yield* tokens.send(user.id, "password-reset", "300 millis")
    assert.equal(yield* because(tokens.verifyEmail(sent.secret)), "unknown")
    assert.equal(yield* because(refreshing(sent.secret)), "unknown")
    yield* passTime("300 millis")
    assert.equal(yield* because(tokens.resetPassword(sent.secret, newHash)), "expired")
    yield* failsWith(tokens.send(nobody, "password-reset", "1 hour"), "UserNotFound")
  }),
  "a use that its transaction takes back is no use": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const { run } = yield* Transaction
    const user = yield* someUser()
    const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
    yield* Effect.flip(run(Effect.andThen(tokens.resetPassword(sent.secret, newHash), Effect.fail("no" as const))))
    assert.equal((yield* tokens.resetPassword(sent.secret, newHash)).version, 2)
  }),
  "what ends all that others have given is refused where a snapshot would hide it": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const { run } = yield* Transaction
    const { id } = yield* someUser()
    const { secret } = yield* tokens.send(id, "password-reset", "1 hour")
    for (const isolation of ["repeatable read", "serializable"] as const) {
      const within = <A, E>(effect: Effect.Effect<A, E>) => run(effect, { isolation })
      yield* refuses(within(tokens.signOutEverywhere(id)), "UserTokens.signOutEverywhere", ["isolation"])
      yield* refuses(within(tokens.send(id, "password-reset", "1 hour")), "UserTokens.send", ["isolation"])
      yield* refuses(within(tokens.resetPassword(secret, newHash)), "UserTokens.resetPassword", ["isolation"])
      yield* within(tokens.signIn(id, "1 hour"))
    }
    yield* run(tokens.resetPassword(secret, newHash), { isolation: "read committed" })
  }),
  "what expired long ago is removed, and counted; what is good, or was just now, is not": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    yield* tokens.removeExpired("1 millis")
    const old = yield* tokens.signIn(user.id, "20 millis")
    const oldToo = yield* tokens.send(user.id, "password-reset", "20 millis")
    const good = yield* tokens.signIn(user.id, "1 hour")
    const just = yield* tokens.signIn(user.id, "50 millis")
    yield* passTime("60 millis")
    assert.equal(yield* tokens.removeExpired("1 hour"), 0)
    assert.equal(yield* because(refreshing(just.secret)), "expired")
    assert.ok((yield* tokens.removeExpired("10 millis")) >= 2)
    assert.equal(yield* because(refreshing(old.secret)), "unknown")
    assert.equal(yield* because(tokens.resetPassword(oldToo.secret, newHash)), "unknown")
    assert.equal((yield* refreshing(good.secret)).signIn, good.signIn)
  }),
  "a token lives as long as it is told": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const user = yield* someUser()
    const before = yield* DateTime.now
    const { expiresAt } = yield* tokens.signIn(user.id, "2 days")
    const after = yield* DateTime.now
    const life = (from: DateTime.Utc) => DateTime.toEpochMillis(expiresAt) - DateTime.toEpochMillis(from)
    assert.ok(life(before) >= 172_800_000 && life(after) <= 172_800_000)
  }),
  "wrong input is refused before anything is sent, each field by name": Effect.gen(function* () {
    const tokens = yield* UserTokens
    const secret = Redacted.make("x")
    yield* refuses(tokens.signIn(untyped(hostile), 0), "UserTokens.signIn", ["user", "timeToLive"])
    yield* refuses(tokens.refresh(untyped("x"), "1 hour"), "UserTokens.refresh", ["secret"])
    yield* refuses(
      tokens.signOut(SignInId.make(untyped("01900000-0000-7000-8000-00000000000G"), { disableChecks: true })),
      "UserTokens.signOut",
      ["signIn"]
    )
    yield* refuses(tokens.send(nobody, untyped("love-letter"), "1 hour"), "UserTokens.send", ["purpose"])
    yield* refuses(tokens.resetPassword(secret, Redacted.make("")), "UserTokens.resetPassword", ["passwordHash"])
    yield* refuses(tokens.removeExpired(Number.NaN), "UserTokens.removeExpired", ["before"])
  })
}

export const UserTokensContract: Contract<UserTokens | Users | Transaction> = make("UserTokens", {
  ...signingIn,
  ...erasing,
  ...sending
})
