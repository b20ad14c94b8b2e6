import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { Slug } from "../../core/Text.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"
import { atVersion, change, toState } from "./change.ts"
import { providers } from "./FederationTables.ts"
import {
  type FederationProvider,
  FederationProviderChanges,
  FederationProviderCursor,
  FederationProviderId,
  FederationProviderInUse,
  FederationProviderNotFound,
  type FederationProviders,
  FederationProviderSlugTaken,
  FederationProviderState,
  NewFederationProvider,
  providerStates
} from "./Providers.ts"

const cursors = timeCursor("federation-providers", FederationProviderCursor)
const filters = { kind: Schema.optional(Slug), state: Schema.optional(FederationProviderState) }

const newProvider = decodeInput(NewFederationProvider)
const idOnly = decodeInput(Schema.Struct({ id: FederationProviderId }))
const slugOnly = decodeInput(Schema.Struct({ slug: Slug }))
const changed = decodeInput(
  Schema.Struct({ id: FederationProviderId, expectedVersion: Version, changes: FederationProviderChanges })
)
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Federation.providers.${method}`, subject: "input" }) as const

export const makeProviders = ({ insertNew, lookup, many, one, remove, replace, run }: Tables): FederationProviders => {
  const nextId = makeIdsOf(FederationProviderId)

  const create: FederationProviders["create"] = Effect.fnUntraced(function* (given) {
    const fields = yield* newProvider(at("create"), given)
    const now = yield* DateTime.now
    const provider: FederationProvider = {
      ...fields,
      id: yield* nextId,
      state: "active",
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    const [made] = yield* insertNew(at("create").operation, providers, [provider])
    return made ?? (yield* new FederationProviderSlugTaken({ slug: fields.slug }))
  })

  const { find } = finders(lookup(at("find").operation, providers), FederationProviderId, identity, at)

  const findBySlug: FederationProviders["findBySlug"] = Effect.fnUntraced(function* (given) {
    const { slug } = yield* slugOnly(at("findBySlug"), { slug: given })
    return yield* one(at("findBySlug").operation, providers, { where: { slug } })
  })

  const changing = <E>(
    operation: string,
    id: FederationProviderId,
    to: (provider: FederationProvider) => Effect.Effect<FederationProvider, E>
  ) =>
    change(run, {
      held: one(operation, providers, { where: { id }, lock: "update" }),
      missing: () => new FederationProviderNotFound({ id }),
      to,
      write: (provider) => replace(operation, providers, provider)
    })

  const update: FederationProviders["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    const taken = () => new FederationProviderSlugTaken({ slug: changes.slug ?? "" })
    return yield* changing(at("update").operation, id, atVersion<FederationProvider>(expectedVersion, changes)).pipe(
      Effect.mapError(onConstraint({ federation_providers_slug_key: taken }))
    )
  })

  const move = (method: string, state: FederationProviderState) =>
    Effect.fnUntraced(function* (given: FederationProviderId) {
      const { id } = yield* idOnly(at(method), { id: given })
      return yield* changing(at(method).operation, id, toState(providerStates, state))
    })

  const removeProvider: FederationProviders["remove"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("remove")
    const { id } = yield* idOnly(at("remove"), { id: given })
    const inUse = () => new FederationProviderInUse({ id })
    return yield* run(
      Effect.gen(function* () {
        const held = yield* one(operation, providers, { where: { id }, lock: "update" })
        if (Option.isNone(held)) return yield* new FederationProviderNotFound({ id })
        return yield* remove(operation, providers, { id })
      })
    ).pipe(Effect.mapError(onConstraint({ federation_services_provider_id_fkey: inUse })))
  })

  const list: FederationProviders["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, order = "oldest-first", ...where } = yield* listed(at("list"), given ?? {})
    const rows = yield* many(at("list").operation, providers, {
      where,
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows, limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  return {
    create,
    find,
    findBySlug,
    update,
    disable: move("disable", "disabled"),
    enable: move("enable", "active"),
    remove: removeProvider,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
