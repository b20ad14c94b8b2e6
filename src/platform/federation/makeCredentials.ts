import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { RecentMoment } from "../Checks.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"
import {
  credentialStates,
  NewProviderCredential,
  type ProviderCredential,
  ProviderCredentialCursor,
  ProviderCredentialExpired,
  ProviderCredentialId,
  ProviderCredentialNotFound,
  type ProviderCredentials,
  ProviderCredentialState
} from "./Credentials.ts"
import { credentials, providers } from "./FederationTables.ts"
import { notAhead } from "./notAhead.ts"
import { FederationProviderId, FederationProviderNotFound } from "./Providers.ts"

const cursors = timeCursor("federation-credentials", ProviderCredentialCursor)
const filters = {
  providerId: Schema.optional(FederationProviderId),
  state: Schema.optional(ProviderCredentialState),
  expiresBefore: Schema.optional(RecentMoment)
}

const newCredential = decodeInput(NewProviderCredential)
const idOnly = decodeInput(Schema.Struct({ id: ProviderCredentialId }))
const providerOnly = decodeInput(Schema.Struct({ providerId: FederationProviderId }))
const verified = decodeInput(Schema.Struct({ id: ProviderCredentialId, at: Schema.optional(RecentMoment) }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Federation.credentials.${method}`, subject: "input" }) as const

const isOver = ({ expiresAt }: ProviderCredential, now: DateTime.Utc): boolean =>
  expiresAt !== null && DateTime.isLessThanOrEqualTo(expiresAt, now)

export const makeCredentials = ({ insertNew, lookup, many, one, replace, run }: Tables): ProviderCredentials => {
  const nextId = makeIdsOf(ProviderCredentialId)

  const add: ProviderCredentials["add"] = Effect.fnUntraced(function* (given) {
    const { expiresAt = null, ...fields } = yield* newCredential(at("add"), given)
    const credential: ProviderCredential = {
      ...fields,
      id: yield* nextId,
      state: "standby",
      expiresAt,
      verifiedAt: null,
      activatedAt: null,
      retiredAt: null,
      createdAt: yield* DateTime.now
    }
    const missing = () => new FederationProviderNotFound({ id: fields.providerId })
    // In a savepoint: a provider that is not there must not cost the transaction around.
    yield* run(insertNew(at("add").operation, credentials, [credential])).pipe(
      Effect.mapError(onConstraint({ federation_credentials_provider_id_fkey: missing }))
    )
    return credential
  })

  const { find } = finders(lookup(at("find").operation, credentials), ProviderCredentialId, identity, at)

  const current: ProviderCredentials["current"] = Effect.fnUntraced(function* (given) {
    const { providerId } = yield* providerOnly(at("current"), { providerId: given })
    const found = yield* one(at("current").operation, credentials, { where: { providerId, state: "active" } })
    const now = yield* DateTime.now
    return Option.filter(found, (credential) => !isOver(credential, now))
  })

  /** The credential as nobody else can change it, and the time: the provider is held, in whose order rotations follow each other. */
  const holding = (operation: string, id: ProviderCredentialId) =>
    Effect.gen(function* () {
      const known = yield* one(operation, credentials, { where: { id } })
      if (Option.isNone(known)) return yield* new ProviderCredentialNotFound({ id })
      yield* one(operation, providers, { where: { id: known.value.providerId }, lock: "update" })
      const held = yield* one(operation, credentials, { where: { id }, lock: "update" })
      // The provider may have been removed in between.
      if (Option.isNone(held)) return yield* new ProviderCredentialNotFound({ id })
      return { credential: held.value, now: yield* DateTime.now }
    })

  const retired = (credential: ProviderCredential, now: DateTime.Utc) =>
    Effect.map(
      Effect.fromResult(credentialStates.go(credential.id, credential.state, "retired")),
      (state): ProviderCredential => ({ ...credential, state, retiredAt: now })
    )

  const rotate: ProviderCredentials["rotate"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("rotate")
    const { id } = yield* idOnly(at("rotate"), { id: given })
    return yield* run(
      Effect.gen(function* () {
        const { credential, now } = yield* holding(operation, id)
        const { expiresAt, providerId } = credential
        const state = yield* Effect.fromResult(credentialStates.go(id, credential.state, "active"))
        if (expiresAt !== null && isOver(credential, now))
          return yield* new ProviderCredentialExpired({ id, expiresAt })
        const before = yield* one(operation, credentials, { where: { providerId, state: "active" }, lock: "update" })
        const old = Option.isNone(before) ? null : yield* retired(before.value, now)
        if (old !== null) yield* replace(operation, credentials, old)
        const active: ProviderCredential = { ...credential, state, activatedAt: now }
        yield* replace(operation, credentials, active)
        return { active, retired: old }
      })
    )
  })

  const retire: ProviderCredentials["retire"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("retire")
    const { id } = yield* idOnly(at("retire"), { id: given })
    return yield* run(
      Effect.gen(function* () {
        const { credential, now } = yield* holding(operation, id)
        const old = yield* retired(credential, now)
        yield* replace(operation, credentials, old)
        return old
      })
    )
  })

  const markVerified: ProviderCredentials["markVerified"] = Effect.fnUntraced(function* (givenId, givenAt) {
    const { operation } = at("markVerified")
    const { at: when, id } = yield* verified(at("markVerified"), { id: givenId, at: givenAt })
    if (when !== undefined) yield* notAhead(at("markVerified"), "at", when, yield* DateTime.now)
    return yield* run(
      Effect.gen(function* () {
        const held = yield* one(operation, credentials, { where: { id }, lock: "update" })
        if (Option.isNone(held)) return yield* new ProviderCredentialNotFound({ id })
        const { verifiedAt } = held.value
        const told = when ?? (yield* DateTime.now)
        if (verifiedAt !== null && DateTime.isLessThanOrEqualTo(told, verifiedAt)) return held.value
        const credential: ProviderCredential = { ...held.value, verifiedAt: told }
        yield* replace(operation, credentials, credential)
        return credential
      })
    )
  })

  const list: ProviderCredentials["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given ?? {})
    const { after, expiresBefore, limit = defaultPageSize, order = "oldest-first", ...where } = input
    const rows = yield* many(at("list").operation, credentials, {
      where,
      below: { expiresAt: expiresBefore },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows, limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  return {
    add,
    find,
    current,
    rotate,
    retire,
    markVerified,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
