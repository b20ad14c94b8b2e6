import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Deadline } from "../../core/Deadline.ts"
import { isStoreError } from "../../core/StoreError.ts"
import * as TimeRange from "../../platform/TimeRange.ts"
import { cursorAfter, type NewUser, type User, UserCursor, UserId, Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime, unique } from "../Contract.ts"
import { pages, refuses, refusesOtherLists, untyped } from "../Expectations.ts"
import { nobody } from "./users.ts"

type Run = Effect.Effect<void, unknown, Users | Transaction>

const hash = (text = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA") => Redacted.make(text)

const fresh = (given: Partial<NewUser> = {}): Effect.Effect<NewUser> =>
  Effect.map(unique("user"), (name) => ({
    email: `${name}@example.com`,
    username: name,
    passwordHash: hash(),
    ...given
  }))

const created = (given: Partial<NewUser> = {}): Effect.Effect<User, unknown, Users> =>
  Effect.gen(function* () {
    const users = yield* Users
    return yield* users.create(yield* fresh(given))
  })

const createdMany = (count: number): Effect.Effect<ReadonlyArray<User>, unknown, Users> =>
  Effect.forEach(Array.from({ length: count }), () => created())

/** Users made after this one are the case's own: others share the store. */
const marked = Effect.map(created(), (user) => cursorAfter("oldest-first", user))

const ids = (users: ReadonlyArray<User>): ReadonlyArray<string> => users.map(({ id }) => id)

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, unknown, R> => Effect.flip(effect)

const stop = { _tag: "Stop" } as const

const creating: Record<string, Run> = {
  "create gives back what was stored, at version 1": Effect.gen(function* () {
    const users = yield* Users
    const given = yield* fresh()
    const before = yield* DateTime.now
    const user = yield* users.create(given)
    assert.equal(user.email, given.email)
    assert.equal(user.username, given.username)
    assert.equal(Redacted.value(user.passwordHash), Redacted.value(given.passwordHash))
    assert.equal(user.version, 1)
    assert.ok(DateTime.isGreaterThanOrEqualTo(user.createdAt, before))
    assert.deepEqual(user.updatedAt, user.createdAt)
    assert.deepEqual(yield* users.findById(user.id), Option.some(user))
  }),
  "ids are UUIDv7 and sort by the time of their making": Effect.gen(function* () {
    const made = ids(yield* createdMany(20))
    for (const id of made) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.deepEqual([...made].sort(), made)
  }),
  "an e-mail is taken once": Effect.gen(function* () {
    const users = yield* Users
    const { email } = yield* created()
    const error = yield* failure(users.create(yield* fresh({ email })))
    assert.equal(error._tag, "EmailTaken")
  }),
  "an e-mail is taken whatever its case, and kept as it was given": Effect.gen(function* () {
    const users = yield* Users
    const name = yield* unique("Mixed")
    const user = yield* created({ email: `${name}@Example.COM` })
    assert.equal(user.email, `${name}@Example.COM`)
    const error = yield* failure(users.create(yield* fresh({ email: `${name}@example.com`.toUpperCase() })))
    assert.equal(error._tag, "EmailTaken")
  }),
  "a username is taken whatever its case": Effect.gen(function* () {
    const users = yield* Users
    const { username } = yield* created()
    const error = yield* failure(users.create(yield* fresh({ username: username.toUpperCase() })))
    assert.equal(error._tag, "UsernameTaken")
  }),
  "only the case of A to Z is ignored": Effect.gen(function* () {
    const users = yield* Users
    const name = yield* unique("é")
    yield* created({ username: name })
    const other = yield* users.create(yield* fresh({ username: name.replace("é", "É") }))
    assert.ok(other.username.startsWith("É"))
  }),
  "where both are taken, the e-mail is told": Effect.gen(function* () {
    const users = yield* Users
    const { email, username } = yield* created()
    assert.equal((yield* failure(users.create({ email, username, passwordHash: hash() })))._tag, "EmailTaken")
  }),
  "a refused user is not stored, not even in part": Effect.gen(function* () {
    const users = yield* Users
    const { email } = yield* created()
    const given = yield* fresh({ email })
    yield* failure(users.create(given))
    const again = yield* users.create({ ...(yield* fresh()), username: given.username })
    assert.equal(again.username, given.username)
  }),
  "text that looks like SQL is stored as text": Effect.gen(function* () {
    const users = yield* Users
    const tail = yield* unique("x")
    for (const attack of [
      `'; drop table ai_core.users; --${tail}`,
      `" or 1=1 /*${tail}`,
      `$$; \\x27 %s ?1 {${tail}}`
    ]) {
      const user = yield* created({ username: attack, passwordHash: hash(attack) })
      const read = Option.getOrThrow(yield* users.findById(user.id))
      assert.equal(read.username, attack)
      assert.equal(Redacted.value(read.passwordHash), attack)
    }
    const email = `o'brien.${tail}"--;@example.com`
    const user = yield* created({ email })
    assert.deepEqual(yield* users.findByEmail(email), Option.some(user))
  }),
  "Unicode and the longest texts survive": Effect.gen(function* () {
    const users = yield* Users
    const tail = yield* unique("-")
    const username = `Zoë 🦊 ${"字".repeat(80 - tail.length)}${tail}`
    const passwordHash = hash("h".repeat(255))
    const domain = `${"d".repeat(50)}.${"e".repeat(50)}.${"f".repeat(50)}.example.com`
    const email = `${tail}${"a".repeat(64 - tail.length)}@${domain}`
    const user = yield* created({ username, passwordHash, email })
    assert.deepEqual(yield* users.findById(user.id), Option.some(user))
  }),
  "a password hash is redacted wherever it appears": Effect.gen(function* () {
    const user = yield* created({ passwordHash: hash("$argon2id$canary") })
    assert.ok(!JSON.stringify(user).includes("canary"))
    assert.ok(!String(user.passwordHash).includes("canary"))
  })
}

const creatingMany: Record<string, Run> = {
  "many are created at once, in their order, as one after the other would be": Effect.gen(function* () {
    const users = yield* Users
    const start = yield* marked
    const given = yield* Effect.forEach(Array.from({ length: 30 }), () => fresh())
    const made = yield* users.createMany(given)
    assert.deepEqual(
      made.map(({ email, username, version }) => [email, username, version]),
      given.map(({ email, username }) => [email, username, 1])
    )
    assert.ok(
      made.every(({ passwordHash }, i) => Redacted.value(passwordHash) === Redacted.value(given[i]!.passwordHash))
    )
    assert.deepEqual(yield* users.findMany(made.map(({ id }) => id)), made.map(Option.some))
    assert.deepEqual((yield* users.list({ after: start })).items, made)
    assert.deepEqual(yield* users.createMany([]), [])
  }),
  "of many with a taken e-mail or name none is created, and the first of them is told": Effect.gen(function* () {
    const users = yield* Users
    const { email, username } = yield* created()
    const [a, b, c] = [yield* fresh(), yield* fresh(), yield* fresh()]
    const refused = (...given: ReadonlyArray<NewUser>) =>
      Effect.map(failure(users.createMany(given)), (error) =>
        error._tag === "EmailTaken" ? error.email : error._tag === "UsernameTaken" ? error.username : error
      )
    const upper = email.toUpperCase()
    assert.equal(yield* refused(a, { ...b, email: upper }, { ...c, username }), upper)
    assert.equal(yield* refused(a, { ...b, username: username.toUpperCase() }, { ...c, email }), username.toUpperCase())
    assert.equal(yield* refused(a, { ...b, email, username }), email)
    assert.equal(yield* refused(a, b, { ...c, email: a.email.toUpperCase() }), a.email.toUpperCase())
    assert.equal(yield* refused(a, b, { ...c, username: b.username }), b.username)
    for (const one of [a, b, c]) assert.deepEqual(yield* users.findByEmail(one.email), Option.none())
    assert.equal((yield* users.createMany([a, b, c])).length, 3)
  }),
  "what refuses many leaves the transaction around usable, without any of them": Effect.gen(function* () {
    const users = yield* Users
    const { run } = yield* Transaction
    const { email } = yield* created()
    const [a, b, later] = [yield* fresh(), yield* fresh({ email }), yield* fresh()]
    yield* run(
      Effect.gen(function* () {
        assert.equal((yield* failure(users.createMany([a, b])))._tag, "EmailTaken")
        yield* users.createMany([later])
      })
    )
    assert.deepEqual(yield* users.findByEmail(a.email), Option.none())
    assert.ok(Option.isSome(yield* users.findByEmail(later.email)))
    yield* Effect.flip(run(Effect.andThen(users.createMany([a]), Effect.fail(stop))))
    assert.deepEqual(yield* users.findByEmail(a.email), Option.none())
  })
}

const finding: Record<string, Run> = {
  "findById of nobody is none": Effect.gen(function* () {
    const users = yield* Users
    assert.deepEqual(yield* users.findById(nobody), Option.none())
  }),
  "findById at the same time finds each its own": Effect.gen(function* () {
    const users = yield* Users
    const [one, two] = [yield* created(), yield* created()]
    const found = yield* Effect.forEach([two.id, nobody, one.id, two.id], (id) => users.findById(id), {
      concurrency: "unbounded"
    })
    assert.deepEqual(found, [Option.some(two), Option.none(), Option.some(one), Option.some(two)])
  }),
  "findMany gives each user in the place of its id, and none for nobody": Effect.gen(function* () {
    const users = yield* Users
    const [one, two] = [yield* created(), yield* created()]
    assert.deepEqual(yield* users.findMany([two.id, nobody, one.id, two.id]), [
      Option.some(two),
      Option.none(),
      Option.some(one),
      Option.some(two)
    ])
    assert.deepEqual(yield* users.findMany([]), [])
  }),
  "findMany finds more users than fit in one statement": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const strangers = Array.from({ length: 2500 }, (_, i) =>
      UserId.make(`01900000-0000-7000-8000-${String(i).padStart(12, "0")}`)
    )
    const found = yield* users.findMany([...strangers, user.id])
    assert.equal(found.length, 2501)
    assert.deepEqual(found[2500], Option.some(user))
    assert.ok(found.slice(0, 2500).every(Option.isNone))
  }),
  "findByEmail ignores the case of A to Z": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    assert.deepEqual(yield* users.findByEmail(user.email.toUpperCase()), Option.some(user))
  }),
  "findByEmail of nobody is none": Effect.gen(function* () {
    const users = yield* Users
    assert.deepEqual(yield* users.findByEmail(`${yield* unique("nobody")}@example.com`), Option.none())
  }),
  "findByUsername ignores the case of A to Z, and takes wildcards as they are": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created({ username: yield* unique("É name") })
    assert.deepEqual(yield* users.findByUsername(user.username.replace("name", "NAME")), Option.some(user))
    assert.deepEqual(yield* users.findByUsername(user.username.replace("É", "é")), Option.none())
    assert.deepEqual(yield* users.findByUsername(user.email), Option.none())
    assert.deepEqual(yield* users.findByUsername("É %"), Option.none())
    assert.deepEqual(yield* users.findByUsername(user.username.replace("name", "_ame")), Option.none())
  }),
  "findByEmail takes wildcards as they are": Effect.gen(function* () {
    const users = yield* Users
    yield* created()
    assert.deepEqual(yield* users.findByEmail("%@example.com"), Option.none())
    assert.deepEqual(yield* users.findByEmail("user_%@example.com"), Option.none())
  })
}

const updating: Record<string, Run> = {
  "update changes what it names and leaves the rest": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    yield* passTime("5 millis")
    const username = yield* unique("renamed")
    const updated = yield* users.update(user.id, 1, { username })
    assert.deepEqual({ ...updated, updatedAt: user.updatedAt }, { ...user, username, version: 2 })
    assert.ok(DateTime.isGreaterThan(updated.updatedAt, user.updatedAt))
    assert.deepEqual(yield* users.findById(user.id), Option.some(updated))
  }),
  "an update of the e-mail alone leaves name and password hash": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const { email } = yield* fresh()
    const updated = yield* users.update(user.id, 1, { email })
    assert.deepEqual({ ...updated, updatedAt: user.updatedAt }, { ...user, email, version: 2 })
    assert.deepEqual(yield* users.findById(user.id), Option.some(updated))
  }),
  "update changes several fields at once": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const given = { ...(yield* fresh()), passwordHash: hash("$argon2id$new") }
    const updated = yield* users.update(user.id, 1, given)
    assert.deepEqual([updated.email, updated.username], [given.email, given.username])
    assert.equal(Redacted.value(updated.passwordHash), "$argon2id$new")
    assert.deepEqual(yield* users.findByEmail(user.email), Option.none())
    assert.deepEqual(yield* users.findByEmail(given.email), Option.some(updated))
  }),
  "of two updates of one version the second fails and changes nothing": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const won = yield* users.update(user.id, user.version, { username: yield* unique("first") })
    const error = yield* failure(users.update(user.id, user.version, { username: yield* unique("second") }))
    assert.equal(error._tag, "VersionConflict")
    if (error._tag === "VersionConflict") assert.deepEqual([error.id, error.expected, error.actual], [user.id, 1, 2])
    assert.deepEqual(yield* users.findById(user.id), Option.some(won))
  }),
  "a version that is not reached yet is a conflict": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const error = yield* failure(users.update(user.id, 7, { username: yield* unique("early") }))
    assert.equal(error._tag, "VersionConflict")
  }),
  "update of nobody is UserNotFound": Effect.gen(function* () {
    const users = yield* Users
    const error = yield* failure(users.update(nobody, 1, { username: "nobody" }))
    assert.equal(error._tag, "UserNotFound")
  }),
  "update refuses another user's e-mail and name, and changes nothing": Effect.gen(function* () {
    const users = yield* Users
    const [one, two] = [yield* created(), yield* created()]
    const byEmail = yield* failure(users.update(two.id, 1, { email: one.email.toUpperCase() }))
    assert.equal(byEmail._tag, "EmailTaken")
    const byName = yield* failure(users.update(two.id, 1, { username: one.username.toUpperCase() }))
    assert.equal(byName._tag, "UsernameTaken")
    assert.deepEqual(yield* users.findById(two.id), Option.some(two))
  }),
  "a user may change the case of its own e-mail and name": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const updated = yield* users.update(user.id, 1, {
      email: user.email.toUpperCase(),
      username: user.username.toUpperCase()
    })
    assert.equal(updated.email, user.email.toUpperCase())
    assert.equal(updated.username, user.username.toUpperCase())
  }),
  "a conflict of versions is told before a taken e-mail": Effect.gen(function* () {
    const users = yield* Users
    const [one, two] = [yield* created(), yield* created()]
    assert.equal((yield* failure(users.update(two.id, 9, { email: one.email })))._tag, "VersionConflict")
  }),
  "what an update gives up is free for others": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    yield* users.update(user.id, 1, { email: (yield* fresh()).email, username: yield* unique("moved") })
    const heir = yield* users.create({ email: user.email, username: user.username, passwordHash: hash() })
    assert.notEqual(heir.id, user.id)
  })
}

const deleting: Record<string, Run> = {
  "delete removes a user, and frees e-mail and name": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    yield* users.delete(user.id)
    assert.deepEqual(yield* users.findById(user.id), Option.none())
    assert.deepEqual(yield* users.findByEmail(user.email), Option.none())
    const heir = yield* users.create({ email: user.email, username: user.username, passwordHash: hash() })
    assert.notEqual(heir.id, user.id)
  }),
  "delete of nobody, and a second delete, is UserNotFound": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    yield* users.delete(user.id)
    assert.equal((yield* failure(users.delete(user.id)))._tag, "UserNotFound")
    assert.equal((yield* failure(users.delete(nobody)))._tag, "UserNotFound")
  })
}

/** What was stored of a user that says who it was. */
const tellsOf = ({ email, passwordHash, username }: User, erased: User) =>
  [email, username, Redacted.value(passwordHash)].filter((text) =>
    [erased.email, erased.username, Redacted.value(erased.passwordHash)].some((stored) => stored.includes(text))
  )

const erasing: Record<string, Run> = {
  "an erased user stays, and nothing of it says who it was": Effect.gen(function* () {
    const users = yield* Users
    const [user, other] = [yield* created(), yield* created()]
    yield* passTime("5 millis")
    const erased = yield* users.erase(user.id)
    assert.deepEqual(tellsOf(user, erased), [])
    assert.deepEqual([erased.id, erased.createdAt, erased.version], [user.id, user.createdAt, 2])
    assert.equal(erased.emailVerifiedAt, null)
    assert.ok(erased.erasedAt !== null && DateTime.isGreaterThan(erased.erasedAt, user.updatedAt))
    assert.deepEqual(erased.updatedAt, erased.erasedAt)
    assert.deepEqual(yield* users.findById(user.id), Option.some(erased))
    assert.deepEqual(yield* users.findMany([user.id]), [Option.some(erased)])
    assert.deepEqual(yield* users.findById(other.id), Option.some(other))
    assert.equal(other.erasedAt, null)
  }),
  "an erased user is found by nobody who looks for an e-mail or a name": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const erased = yield* users.erase(user.id)
    for (const email of [user.email, erased.email]) assert.deepEqual(yield* users.findByEmail(email), Option.none())
    for (const username of [user.username, erased.username]) {
      assert.deepEqual(yield* users.findByUsername(username), Option.none())
    }
  }),
  "what an erased user had is free, and so is what stands in its place": Effect.gen(function* () {
    const users = yield* Users
    const { email, id, passwordHash, username } = yield* created()
    const erased = yield* users.erase(id)
    const heir = yield* users.create({ email, username, passwordHash })
    assert.deepEqual(yield* users.findByEmail(email), Option.some(heir))
    const late = yield* created({ email: erased.email, username: erased.username })
    assert.deepEqual(yield* users.findByUsername(erased.username), Option.some(late))
    assert.deepEqual(yield* users.findById(id), Option.some(erased))
    yield* users.erase(late.id)
    yield* users.update(heir.id, 1, { email: erased.email, username: erased.username })
  }),
  "erasing twice is erasing once": Effect.gen(function* () {
    const users = yield* Users
    const { id } = yield* created()
    const erased = yield* users.erase(id)
    yield* passTime("5 millis")
    assert.deepEqual(yield* users.erase(id), erased)
    assert.deepEqual(yield* users.findById(id), Option.some(erased))
    assert.equal((yield* failure(users.erase(nobody)))._tag, "UserNotFound")
    yield* users.delete(id)
    assert.equal((yield* failure(users.erase(id)))._tag, "UserNotFound")
  }),
  "an erased user is not changed, whatever the version": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const other = yield* created()
    const { id } = yield* created()
    const erased = yield* users.erase(id)
    for (const version of [1, 2, 3]) {
      const error = yield* failure(users.update(id, version, { email: other.email, passwordHash: hash() }))
      assert.ok(error._tag === "UserErased" && error.id === id, String(error))
    }
    yield* transaction.run(
      Effect.gen(function* () {
        yield* failure(users.update(id, 2, { username: yield* unique("back") }))
        yield* created()
      })
    )
    assert.deepEqual(yield* users.findById(id), Option.some(erased))
  }),
  "an erasure that its transaction takes back is none": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const user = yield* created()
    yield* failure(transaction.run(Effect.andThen(users.erase(user.id), Effect.fail(stop))))
    assert.deepEqual(yield* users.findByEmail(user.email), Option.some(user))
    const [again] = yield* transaction.run(Effect.all([users.erase(user.id), users.findById(user.id)]))
    assert.equal(again.version, 2)
  }),
  "what ends all that others have given is refused where a snapshot would hide it": Effect.gen(function* () {
    const users = yield* Users
    const { run } = yield* Transaction
    const user = yield* created()
    const email = `${yield* unique("new")}@example.com`
    for (const isolation of ["repeatable read", "serializable"] as const) {
      const within = <A, E>(effect: Effect.Effect<A, E>) => run(effect, { isolation })
      yield* refuses(within(users.erase(user.id)), "Users.erase", ["isolation"])
      yield* refuses(within(users.update(user.id, 1, { email })), "Users.update", ["isolation"])
      yield* refuses(within(users.update(user.id, 1, { passwordHash: hash() })), "Users.update", ["isolation"])
    }
    assert.deepEqual(yield* users.findById(user.id), Option.some(user))
    const username = yield* unique("new")
    yield* run(users.update(user.id, 1, { username }), { isolation: "serializable" })
    yield* run(Effect.andThen(users.update(user.id, 2, { email }), users.erase(user.id)), {
      isolation: "read committed"
    })
  }),
  "lists leave erased users out, unless they are asked for": Effect.gen(function* () {
    const users = yield* Users
    const start = yield* marked
    const made = yield* createdMany(6)
    const gone = [yield* users.erase(made[1]!.id), yield* users.erase(made[4]!.id)]
    const there = made.filter((_, i) => i !== 1 && i !== 4)
    assert.deepEqual((yield* pagesFrom(start, 2)).flat(), there)
    assert.deepEqual((yield* users.list({ after: start, erased: false })).items, there)
    assert.deepEqual((yield* users.list({ after: start, erased: true })).items, gone)
    const own = new Set(ids(made))
    const streamed = (erased: boolean) =>
      Stream.runCollect(Stream.filter(users.stream({ erased, pageSize: 2 }), ({ id }) => own.has(id)))
    assert.deepEqual(yield* streamed(false), there)
    assert.deepEqual(yield* streamed(true), gone)
    const newest = yield* users.list({ erased: true, order: "newest-first", limit: 2 })
    assert.deepEqual(newest.items, gone.toReversed())
  })
}

const pagesFrom = (start: UserCursor, limit: number) =>
  Effect.flatMap(Users, (users) => pages((after: UserCursor = start) => users.list({ after, limit })))

const listing: Record<string, Run> = {
  "a list is narrowed by how e-mails begin, whatever the case of A to Z, and by when users were made": Effect.gen(
    function* () {
      const users = yield* Users
      const start = yield* marked
      const name = (yield* unique("Prefix")).replaceAll(/[^A-Za-z0-9]/g, "")
      const emails = [`${name}.a@example.com`, `${name.toUpperCase()}.B@example.com`, `x${name}.a@example.com`]
      const made: Array<User> = []
      for (const email of [...emails, `${name}_%\\@example.com`, `${name}é@example.com`]) {
        made.push(yield* created({ email }))
        yield* passTime("2 millis")
      }
      const [a, b, , wild, foreign] = made
      const listed = (emailPrefix: string) => Effect.map(users.list({ emailPrefix }), ({ items }) => ids(items))
      assert.deepEqual(yield* listed(name), ids([a!, b!, wild!, foreign!]))
      assert.deepEqual(yield* listed(`${name.toLowerCase()}.`), ids([a!, b!]))
      assert.deepEqual(yield* listed(`${name}_%\\`), ids([wild!]))
      assert.deepEqual(yield* listed(`${name}É`), [])
      assert.deepEqual(yield* listed(`${name}%`), [])
      const during = TimeRange.between(b!.createdAt, wild!.createdAt)
      assert.deepEqual(ids((yield* users.list({ after: start, during })).items), ids([b!, made[2]!]))
      assert.deepEqual(ids((yield* users.list({ during, emailPrefix: name })).items), ids([b!]))
      const newest = yield* users.list({ emailPrefix: name, order: "newest-first", limit: 3 })
      const rest = yield* users.list({
        emailPrefix: name,
        order: "newest-first",
        limit: 3,
        after: Option.getOrThrow(newest.next)
      })
      assert.deepEqual(ids([...newest.items, ...rest.items]), ids([foreign!, wild!, b!, a!]))
      assert.deepEqual(ids(yield* Stream.runCollect(users.stream({ emailPrefix: name, during, pageSize: 1 }))), [b!.id])
      const erased = yield* users.erase(a!.id)
      assert.deepEqual(yield* listed(`${name}.a`), [])
      const gone = yield* users.list({ erased: true, emailPrefix: erased.id })
      assert.deepEqual(gone.items, [erased])
    }
  ),
  "pages hold every user once, in order, the last one short": Effect.gen(function* () {
    const start = yield* marked
    const made = yield* createdMany(8)
    const pages = yield* pagesFrom(start, 3)
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 2]
    )
    assert.deepEqual(pages.flat(), made)
  }),
  "a last page that is full has no next": Effect.gen(function* () {
    const start = yield* marked
    yield* createdMany(6)
    const pages = yield* pagesFrom(start, 3)
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3]
    )
  }),
  "users of one moment are listed once each": Effect.gen(function* () {
    const users = yield* Users
    const start = yield* marked
    const given = yield* Effect.forEach(Array.from({ length: 24 }), () => fresh())
    const made = yield* Effect.forEach(given, users.create, { concurrency: 24 })
    const listed = (yield* pagesFrom(start, 5)).flat()
    assert.deepEqual([...ids(listed)].sort(), [...ids(made)].sort())
  }),
  "newest-first is the reverse of oldest-first": Effect.gen(function* () {
    const users = yield* Users
    const made = yield* createdMany(5)
    yield* passTime("2 millis")
    const last = yield* created()
    const { items } = yield* users.list({
      order: "newest-first",
      limit: 5,
      after: cursorAfter("newest-first", last)
    })
    assert.deepEqual(ids(items), ids(made).toReversed())
  }),
  "users made or deleted between pages move nobody": Effect.gen(function* () {
    const users = yield* Users
    const start = yield* marked
    const made = yield* createdMany(6)
    const first = yield* users.list({ after: start, limit: 3 })
    yield* users.delete(made[1]!.id)
    yield* users.delete(made[3]!.id)
    const late = yield* created()
    const rest = yield* users.list({ after: Option.getOrThrow(first.next), limit: 10 })
    assert.deepEqual(ids(first.items), ids(made.slice(0, 3)))
    assert.deepEqual(ids(rest.items), [made[4]!.id, made[5]!.id, late.id])
  }),
  "a page ends at 50 where nothing is said": Effect.gen(function* () {
    const users = yield* Users
    const start = yield* marked
    yield* createdMany(51)
    const page = yield* users.list({ after: start })
    assert.equal(page.items.length, 50)
    assert.ok(Option.isSome(page.next))
  }),
  "a stream reads all users, in order, over several pages": Effect.gen(function* () {
    const users = yield* Users
    const made = yield* createdMany(12)
    const own = new Set(ids(made))
    const read = yield* users.stream({ pageSize: 5 }).pipe(
      Stream.filter(({ id }) => own.has(id)),
      Stream.runCollect
    )
    assert.deepEqual(read, made)
  }),
  "a stream may begin with the newest": Effect.gen(function* () {
    const users = yield* Users
    const made = yield* createdMany(5)
    const own = new Set(ids(made))
    const read = yield* users.stream({ order: "newest-first", pageSize: 2 }).pipe(
      Stream.filter(({ id }) => own.has(id)),
      Stream.take(5),
      Stream.runCollect
    )
    assert.deepEqual(read, made.toReversed())
  }),
  "the consumer of a stream may query and write": Effect.gen(function* () {
    const users = yield* Users
    const made = yield* createdMany(4)
    const own = new Set(ids(made))
    const renamed = yield* users.stream({ pageSize: 2 }).pipe(
      Stream.filter(({ id }) => own.has(id)),
      Stream.mapEffect((user) =>
        Effect.gen(function* () {
          const found = Option.getOrThrow(yield* users.findById(user.id))
          return yield* users.update(found.id, found.version, { username: yield* unique("streamed") })
        })
      ),
      Stream.runCollect
    )
    assert.deepEqual(
      renamed.map(({ id, version }) => [id, version]),
      made.map(({ id }) => [id, 2])
    )
  }),
  "a stream reads no further than its consumer": Effect.gen(function* () {
    const users = yield* Users
    yield* createdMany(6)
    const some = yield* users.stream({ pageSize: 2 }).pipe(Stream.take(3), Stream.runCollect)
    assert.equal(some.length, 3)
  })
}

const transacting: Record<string, Run> = {
  "a transaction that succeeds keeps all its work": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const [one, two] = yield* transaction.run(Effect.all([created(), created()]))
    assert.deepEqual(yield* users.findById(one.id), Option.some(one))
    assert.deepEqual(yield* users.findById(two.id), Option.some(two))
  }),
  "a transaction that fails undoes all its work, and fails with the same failure": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const kept = yield* created()
    const doomed = yield* created()
    const given = yield* fresh()
    const error = yield* failure(
      transaction.run(
        Effect.gen(function* () {
          yield* users.create(given)
          yield* users.update(kept.id, 1, { username: yield* unique("undone") })
          yield* users.delete(doomed.id)
          return yield* Effect.fail(stop)
        })
      )
    )
    assert.deepEqual(error, stop)
    assert.deepEqual(yield* users.findByEmail(given.email), Option.none())
    assert.deepEqual(yield* users.findById(kept.id), Option.some(kept))
    assert.deepEqual(yield* users.findById(doomed.id), Option.some(doomed))
    assert.equal((yield* users.create(given)).email, given.email)
  }),
  "a transaction that is interrupted undoes its work": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const given = yield* fresh()
    const written = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(
      transaction.run(
        Effect.gen(function* () {
          yield* users.create(given)
          yield* Deferred.succeed(written, undefined)
          yield* Effect.never
        })
      )
    )
    yield* Deferred.await(written)
    yield* Fiber.interrupt(fiber)
    assert.deepEqual(yield* users.findByEmail(given.email), Option.none())
    assert.equal((yield* users.create(given)).email, given.email)
  }),
  "a transaction that dies undoes its work": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const given = yield* fresh()
    const exit = yield* Effect.exit(transaction.run(Effect.andThen(users.create(given), Effect.die("a bug"))))
    assert.equal(exit._tag, "Failure")
    assert.deepEqual(yield* users.findByEmail(given.email), Option.none())
  }),
  "inside a transaction its own writes are seen": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    yield* transaction.run(
      Effect.gen(function* () {
        const start = yield* marked
        const user = yield* created()
        assert.deepEqual(yield* users.findById(user.id), Option.some(user))
        assert.deepEqual((yield* users.list({ after: start })).items, [user])
        const updated = yield* users.update(user.id, 1, { username: yield* unique("inside") })
        assert.equal(updated.version, 2)
        assert.equal((yield* failure(users.update(user.id, 1, { username: "late" })))._tag, "VersionConflict")
        yield* users.delete(user.id)
        assert.deepEqual(yield* users.findById(user.id), Option.none())
      })
    )
  }),
  "a nested transaction that fails undoes its own work only": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const [outer, inner, later] = [yield* fresh(), yield* fresh(), yield* fresh()]
    yield* transaction.run(
      Effect.gen(function* () {
        const user = yield* users.create(outer)
        const error = yield* failure(
          transaction.run(
            Effect.gen(function* () {
              yield* users.create(inner)
              yield* users.update(user.id, 1, { username: yield* unique("inner") })
              return yield* Effect.fail(stop)
            })
          )
        )
        assert.deepEqual(error, stop)
        assert.deepEqual(yield* users.findById(user.id), Option.some(user))
        yield* users.create(later)
      })
    )
    assert.ok(Option.isSome(yield* users.findByEmail(outer.email)))
    assert.ok(Option.isNone(yield* users.findByEmail(inner.email)))
    assert.ok(Option.isSome(yield* users.findByEmail(later.email)))
  }),
  "a nested transaction that succeeds falls with the outer one": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const [outer, inner] = [yield* fresh(), yield* fresh()]
    yield* failure(
      transaction.run(
        Effect.gen(function* () {
          yield* users.create(outer)
          yield* transaction.run(transaction.run(users.create(inner)))
          return yield* Effect.fail(stop)
        })
      )
    )
    assert.ok(Option.isNone(yield* users.findByEmail(outer.email)))
    assert.ok(Option.isNone(yield* users.findByEmail(inner.email)))
  }),
  "a transaction goes on after a taken e-mail, a taken name and a conflict": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const [one, two] = [yield* created(), yield* created()]
    const given = yield* fresh()
    const tags = yield* transaction.run(
      Effect.gen(function* () {
        const failures = [
          yield* failure(users.create({ ...given, email: one.email })),
          yield* failure(users.create({ ...given, username: one.username })),
          yield* failure(users.update(two.id, 1, { email: one.email })),
          yield* failure(users.update(two.id, 1, { username: one.username })),
          yield* failure(users.update(two.id, 5, { username: given.username })),
          yield* failure(users.delete(nobody))
        ]
        yield* users.create(given)
        return failures.map(({ _tag }) => _tag)
      })
    )
    assert.deepEqual(tags, [
      "EmailTaken",
      "UsernameTaken",
      "EmailTaken",
      "UsernameTaken",
      "VersionConflict",
      "UserNotFound"
    ])
    assert.ok(Option.isSome(yield* users.findByEmail(given.email)))
  }),
  "a stream may be read inside a transaction": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    yield* transaction.run(
      Effect.gen(function* () {
        const made = yield* createdMany(3)
        const own = new Set(ids(made))
        const read = yield* users.stream({ pageSize: 2 }).pipe(
          Stream.filter(({ id }) => own.has(id)),
          Stream.mapEffect(({ id }) => users.findById(id)),
          Stream.runCollect
        )
        assert.deepEqual(read, made.map(Option.some))
      })
    )
  }),
  "transactions at once do not disturb each other": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const given = yield* Effect.forEach(Array.from({ length: 6 }), () => fresh())
    yield* Effect.forEach(
      given,
      (user, i) =>
        Effect.exit(
          transaction.run(
            Effect.gen(function* () {
              const { id } = yield* users.create(user)
              yield* Effect.yieldNow
              yield* users.update(id, 1, { username: yield* unique("busy") })
              if (i % 2 === 1) yield* Effect.fail(stop)
            })
          )
        ),
      { concurrency: 6 }
    )
    const found = yield* Effect.forEach(given, ({ email }) => users.findByEmail(email))
    assert.deepEqual(
      found.map((user) => Option.map(user, ({ version }) => version)),
      given.map((_, i) => (i % 2 === 1 ? Option.none() : Option.some(2)))
    )
  })
}

const refusing: Record<string, Run> = {
  "an e-mail that is none is refused": Effect.gen(function* () {
    const users = yield* Users
    for (const email of ["", "alice", "alice@", "@example.com", "a b@example.com", "alice@example", "a@b@c.de"]) {
      yield* refuses(users.create(yield* fresh({ email })), "Users.create", ["email"])
      yield* refuses(users.findByEmail(email), "Users.findByEmail", ["email"])
    }
  }),
  "texts that are too long or empty are refused, every one named": Effect.gen(function* () {
    const users = yield* Users
    const long = { email: `a@${"b".repeat(253)}.de`, username: "u".repeat(101), passwordHash: hash("h".repeat(256)) }
    yield* refuses(users.create(long), "Users.create", ["email", "username", "passwordHash"])
    const empty = { email: "", username: "", passwordHash: hash("") }
    yield* refuses(users.create(empty), "Users.create", ["email", "username", "passwordHash"])
  }),
  "texts that PostgreSQL cannot hold are refused": Effect.gen(function* () {
    const users = yield* Users
    yield* refuses(users.create(yield* fresh({ username: "a\0b" })), "Users.create", ["username"])
    yield* refuses(users.create(yield* fresh({ username: "a\ud800b" })), "Users.create", ["username"])
    yield* refuses(users.create(yield* fresh({ passwordHash: hash("a\0b") })), "Users.create", ["passwordHash"])
    yield* refuses(users.create(yield* fresh({ email: "a\0b@example.com" })), "Users.create", ["email"])
  }),
  "unknown, missing and mistyped fields are refused": Effect.gen(function* () {
    const users = yield* Users
    const given = yield* fresh()
    yield* refuses(users.create(untyped({ ...given, admin: true })), "Users.create", ["admin"])
    yield* refuses(users.create(untyped({ email: given.email })), "Users.create", ["username", "passwordHash"])
    yield* refuses(users.create(untyped({ ...given, username: 7 })), "Users.create", ["username"])
    yield* refuses(users.create(untyped({ ...given, passwordHash: "plain" })), "Users.create", ["passwordHash"])
    yield* refuses(users.create(untyped(undefined)), "Users.create", [""])
  }),
  "ids, versions and changes that are none are refused": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    yield* refuses(users.findById(untyped("1")), "Users.findById", ["id"])
    yield* refuses(users.findMany([user.id, untyped("1")]), "Users.findMany", ["ids[1]"])
    yield* refuses(users.findById(untyped(user.id.toUpperCase())), "Users.findById", ["id"])
    yield* refuses(users.delete(untyped("' or 1=1")), "Users.delete", ["id"])
    yield* refuses(users.erase(untyped("' or 1=1")), "Users.erase", ["id"])
    yield* refuses(users.findByUsername(""), "Users.findByUsername", ["username"])
    yield* refuses(users.findByUsername("a\0b"), "Users.findByUsername", ["username"])
    yield* refuses(users.update(user.id, 0, { username: "x" }), "Users.update", ["expectedVersion"])
    yield* refuses(users.update(user.id, 1.5, { username: "x" }), "Users.update", ["expectedVersion"])
    yield* refuses(users.update(user.id, 3e9, { username: "x" }), "Users.update", ["expectedVersion"])
    yield* refuses(users.update(user.id, 1, {}), "Users.update", ["changes"])
    yield* refuses(users.update(user.id, 1, { email: "none" }), "Users.update", ["changes.email"])
    yield* refuses(users.update(user.id, 1, untyped({ version: 9 })), "Users.update", ["changes.version"])
    assert.deepEqual(yield* users.findById(user.id), Option.some(user))
  }),
  "page sizes and cursors that are none are refused": Effect.gen(function* () {
    const users = yield* Users
    for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
      yield* refuses(users.list({ limit }), "Users.list", ["limit"])
      yield* refuses(users.stream({ pageSize: limit }).pipe(Stream.runDrain), "Users.stream", ["pageSize"])
    }
    for (const after of ["", "page-2", "eyJpZCI6MX0", "!!"]) {
      yield* refuses(users.list({ after: UserCursor.make(after) }), "Users.list", ["after"])
    }
    yield* refuses(users.list(untyped({ order: "random" })), "Users.list", ["order"])
    yield* refuses(users.list({ emailPrefix: "" }), "Users.list", ["emailPrefix"])
    yield* refuses(users.list({ emailPrefix: "\0" }), "Users.list", ["emailPrefix"])
    yield* refuses(users.list({ during: untyped("today") }), "Users.list", ["during"])
    yield* refuses(users.createMany([yield* fresh(), yield* fresh({ email: "no" })]), "Users.createMany", [
      "users[1].email"
    ])
    yield* refuses(users.list(untyped({ erased: "yes" })), "Users.list", ["erased"])
  }),
  "a call whose deadline has passed does nothing": Effect.gen(function* () {
    const users = yield* Users
    const transaction = yield* Transaction
    const given = yield* fresh()
    const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      users.create(given),
      transaction.run(users.create(given)),
      users.list()
    ]
    for (const late of calls) {
      const error = yield* failure(Effect.provideService(late, Deadline, 0))
      assert.ok(isStoreError(error) && error.reason._tag === "Timeout", String(error))
      assert.equal(error.outcome, "not-applied")
    }
    assert.ok(Option.isNone(yield* users.findByEmail(given.email)))
  }),
  "the cursor of another list is refused, and the failure says which one is wanted": Effect.gen(function* () {
    const users = yield* Users
    const after = cursorAfter("oldest-first", yield* created())
    yield* users.list({ after })
    yield* refusesOtherLists((after) => users.list({ after }), after)
  }),
  "a cursor of the other order is refused": Effect.gen(function* () {
    const users = yield* Users
    const user = yield* created()
    const after = cursorAfter("oldest-first", user)
    yield* refuses(users.list({ after, order: "newest-first" }), "Users.list", ["after"])
  })
}

/** What every implementation of `Users` does, under the `Transaction` of the same store. */
export const UsersContract: Contract<Users | Transaction> = make("Users", {
  ...creating,
  ...creatingMany,
  ...finding,
  ...updating,
  ...deleting,
  ...erasing,
  ...listing,
  ...transacting,
  ...refusing
})
