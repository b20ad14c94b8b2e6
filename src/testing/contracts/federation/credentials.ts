import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import type { ProviderCredentialCursor } from "../../../platform/federation/Credentials.ts"
import { Federation } from "../../../platform/federation/Federation.ts"
import { passTime } from "../../Contract.ts"
import {
  aCredential,
  aProvider,
  failsWith,
  ids,
  isNone,
  nothing,
  pages,
  refuses,
  type Run,
  same,
  time,
  times,
  untyped
} from "./support.ts"

const bareSecrets = [
  "",
  "sk-live-0123456789abcdef",
  "hunter2",
  "admin:hunter2",
  "Bearer abc",
  "ghp_0123456789",
  "vault",
  "vault:",
  "https://user:pw@vault.example.com",
  "env:sk-live-0123",
  "env:",
  "env:1A",
  "VAULT:a",
  " vault:a",
  "vault:a b",
  "vault:a\nb",
  "vault:\0",
  "vault:ä",
  "x-:a",
  "x-Y:a",
  "-----BEGIN PRIVATE KEY-----",
  `vault:${"a".repeat(401)}`
]

const rotating: Record<string, Run> = {
  "a credential stands by until it is rotated in": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const expiresAt = time("2999-01-01T00:00:00.123Z")
    const credential = yield* credentials.add({ providerId, kind: "mtls", secretRef: "k8s:ns/tls#key", expiresAt })
    same(credential, {
      id: credential.id,
      providerId,
      kind: "mtls",
      secretRef: "k8s:ns/tls#key",
      state: "standby",
      expiresAt,
      verifiedAt: null,
      activatedAt: null,
      retiredAt: null,
      createdAt: credential.createdAt
    })
    same(yield* credentials.find(credential.id), Option.some(credential))
    isNone(yield* credentials.find(nothing()))
    isNone(yield* credentials.current(providerId))
    const { active, retired } = yield* credentials.rotate(credential.id)
    same(active, { ...credential, state: "active", activatedAt: active.activatedAt })
    assert.notEqual(active.activatedAt, null)
    assert.equal(retired, null)
    same(yield* credentials.current(providerId), Option.some(active))
  }),
  "a rotation retires the old credential of this provider, in one step": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const elsewhere = yield* aCredential()
    yield* credentials.rotate(elsewhere.id)
    const [one, two, three] = yield* times(3, () => aCredential({ providerId }))
    const first = yield* credentials.rotate(one!.id)
    yield* passTime("5 millis")
    const second = yield* credentials.rotate(two!.id)
    same(second.retired, { ...first.active, state: "retired", retiredAt: second.active.activatedAt })
    same(yield* credentials.find(one!.id), Option.fromNullOr(second.retired))
    same(yield* credentials.current(providerId), Option.some(second.active))
    same(yield* credentials.find(three!.id), Option.some(three))
    same((yield* credentials.rotate(three!.id)).retired?.id, two!.id)
    same(ids((yield* credentials.list({ providerId, state: "active" })).items), [three!.id])
    same(Option.getOrThrow(yield* credentials.current(elsewhere.providerId)).id, elsewhere.id)
  }),
  "what is active or retired is not rotated in, and both states are named": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const [one, two] = yield* times(2, () => aCredential({ providerId }))
    yield* credentials.rotate(one!.id)
    const twice = yield* failsWith(credentials.rotate(one!.id), "IllegalTransition")
    same([twice.id, twice.from, twice.to, twice.allowed], [one!.id, "active", "active", ["retired"]])
    yield* credentials.rotate(two!.id)
    const back = yield* failsWith(credentials.rotate(one!.id), "IllegalTransition")
    same([back.from, back.to, back.allowed], ["retired", "active", []])
    same(Option.getOrThrow(yield* credentials.current(providerId)).id, two!.id)
    yield* failsWith(credentials.rotate(nothing()), "ProviderCredentialNotFound")
  }),
  "retiring leaves no credential in use, and happens once": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const [one, two] = yield* times(2, () => aCredential({ providerId }))
    yield* credentials.rotate(one!.id)
    const retired = yield* credentials.retire(one!.id)
    assert.equal(retired.state, "retired")
    assert.notEqual(retired.retiredAt, null)
    isNone(yield* credentials.current(providerId))
    const twice = yield* failsWith(credentials.retire(one!.id), "IllegalTransition")
    same([twice.from, twice.to], ["retired", "retired"])
    same((yield* credentials.retire(two!.id)).activatedAt, null)
    yield* failsWith(credentials.retire(nothing()), "ProviderCredentialNotFound")
  }),
  "an expired credential is not used, nor rotated in: the active one stays": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const expiresAt = DateTime.add(yield* DateTime.now, { seconds: 2 })
    const [short, other] = yield* times(2, () => aCredential({ providerId, expiresAt }))
    const { active } = yield* credentials.rotate(short!.id)
    same(yield* credentials.current(providerId), Option.some(active))
    yield* passTime("2100 millis")
    isNone(yield* credentials.current(providerId))
    const error = yield* failsWith(credentials.rotate(other!.id), "ProviderCredentialExpired")
    same([error.id, error.expiresAt], [other!.id, expiresAt])
    same(yield* credentials.find(short!.id), Option.some(active))
  }),
  "a verification is noted, and an older one changes nothing": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const credential = yield* aCredential()
    const [early, late] = [time("2001-01-01T00:00:00Z"), time("2001-01-01T00:00:01Z")]
    const told = yield* credentials.markVerified(credential.id, late)
    same(told, { ...credential, verifiedAt: late })
    same(yield* credentials.markVerified(credential.id, early), told)
    same(yield* credentials.find(credential.id), Option.some(told))
    const fresh = yield* aCredential()
    assert.notEqual((yield* credentials.markVerified(fresh.id)).verifiedAt, null)
    yield* failsWith(credentials.markVerified(nothing()), "ProviderCredentialNotFound")
  }),
  "a verification from the future is refused beyond 5 minutes, so that those that follow count": Effect.gen(
    function* () {
      const { credentials } = yield* Federation
      const credential = yield* aCredential()
      const now = yield* DateTime.now
      for (const at of [DateTime.add(now, { minutes: 7 }), time("2999-01-01T00:00:00Z")]) {
        yield* refuses(credentials.markVerified(credential.id, at), "credentials.markVerified", ["at"])
      }
      same(yield* credentials.find(credential.id), Option.some(credential))
      const soon = DateTime.add(now, { minutes: 4 })
      same((yield* credentials.markVerified(credential.id, soon)).verifiedAt, soon)
    }
  )
}

const listing: Record<string, Run> = {
  "pages hold every credential of a provider once, in either order, by state and expiry": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const soon = time("2100-01-01T00:00:00Z")
    const made = [
      yield* aCredential({ providerId }),
      yield* aCredential({ providerId, expiresAt: soon }),
      yield* aCredential({ providerId, expiresAt: DateTime.add(soon, { milliseconds: 1 }) }),
      yield* aCredential({ providerId, expiresAt: DateTime.subtract(soon, { days: 1 }) })
    ]
    yield* aCredential({ expiresAt: time("2099-01-01T00:00:00Z") })
    const listed = (order: "newest-first" | "oldest-first") =>
      pages((after: ProviderCredentialCursor | undefined) => credentials.list({ providerId, order, limit: 3, after }))
    same((yield* listed("oldest-first")).flat(), made)
    same((yield* listed("newest-first")).flat(), made.toReversed())
    const expiresBefore = DateTime.add(soon, { milliseconds: 1 })
    same(ids((yield* credentials.list({ providerId, expiresBefore })).items), [made[1]!.id, made[3]!.id])
    yield* credentials.retire(made[3]!.id)
    const streamed = yield* Stream.runCollect(
      credentials.stream({ providerId, expiresBefore, state: "standby", pageSize: 1 })
    )
    same(ids(streamed), [made[1]!.id])
  })
}

const refusing: Record<string, Run> = {
  "text that is no reference to a secret store is refused, and is not told again": Effect.gen(function* () {
    const { credentials } = yield* Federation
    const { id: providerId } = yield* aProvider()
    for (const secretRef of bareSecrets) {
      const adding = credentials.add({ providerId, kind: "api-key", secretRef })
      yield* refuses(adding, "credentials.add", ["secretRef"])
      const error = yield* Effect.flip(adding)
      if (secretRef.length > 10) assert.ok(!`${String(error)} ${JSON.stringify(error)}`.includes(secretRef))
    }
    same((yield* credentials.list({ providerId })).items, [])
    for (const secretRef of [
      "vault:kv/data/openai#key",
      "env:OPENAI_KEY",
      "file:/run/secrets/key",
      "aws-sm:prod/openai?version=2",
      "gcp-sm:projects/1/secrets/a",
      "azure-kv:https://v.vault.azure.net/secrets/a",
      "op://vault/item",
      "x-own:a"
    ]) {
      same((yield* credentials.add({ providerId, kind: "api-key", secretRef })).secretRef, secretRef)
    }
  }),
  "what is wrong with a credential is refused, each field named": Effect.gen(function* () {
    const { credentials } = yield* Federation
    yield* refuses(credentials.add(untyped({ kind: "password", expiresAt: "soon", secret: "x" })), "credentials.add", [
      "providerId",
      "kind",
      "secretRef",
      "expiresAt",
      "secret"
    ])
    const given = { providerId: nothing(), kind: "basic", secretRef: "env:A" } as const
    assert.equal((yield* failsWith(credentials.add(given), "FederationProviderNotFound")).id, nothing())
    yield* refuses(credentials.find(untyped("1")), "credentials.find", ["id"])
    yield* refuses(credentials.current(untyped("1")), "credentials.current", ["providerId"])
    yield* refuses(credentials.rotate(untyped("1")), "credentials.rotate", ["id"])
    yield* refuses(credentials.retire(untyped("1")), "credentials.retire", ["id"])
    yield* refuses(credentials.markVerified(nothing(), untyped("now")), "credentials.markVerified", ["at"])
    const filter = { providerId: untyped(1), state: untyped("old"), expiresBefore: untyped(1) }
    yield* refuses(credentials.list(filter), "credentials.list", ["providerId", "state", "expiresBefore"])
    yield* refuses(Stream.runDrain(credentials.stream({ pageSize: 0 })), "credentials.stream", ["pageSize"])
  })
}

export const credentials: Record<string, Run> = { ...rotating, ...listing, ...refusing }
