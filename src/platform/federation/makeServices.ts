import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { cursor, defaultPageSize, pageOf, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { Slug } from "../../core/Text.ts"
import { makeIdsOf, TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { RecentMoment } from "../Checks.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"
import * as Money from "../Money.ts"
import { atVersion, change } from "./change.ts"
import { type ServiceRow, services, targets } from "./FederationTables.ts"
import { notAhead } from "./notAhead.ts"
import { FederationProviderId, FederationProviderNotFound } from "./Providers.ts"
import { isWorse } from "./Route.ts"
import { SemanticVersion } from "./SemanticVersion.ts"
import {
  type FederationService,
  FederationServiceChanges,
  FederationServiceCursor,
  FederationServiceExists,
  FederationServiceId,
  FederationServiceInUse,
  FederationServiceNotFound,
  type FederationServices,
  NewFederationService,
  ReportedHealth,
  ServiceHealth,
  StaleServiceCursor
} from "./Services.ts"

const cursors = timeCursor("federation-services", FederationServiceCursor)
const staleCursors = cursor(
  "stale-federation-services",
  StaleServiceCursor,
  Schema.Struct({ heardAt: MomentFromMillis, id: TimeOrderedId })
)
const filters = {
  providerId: Schema.optional(FederationProviderId),
  name: Schema.optional(Slug),
  capability: Schema.optional(Slug),
  health: Schema.optional(ServiceHealth)
}

const newService = decodeInput(NewFederationService)
const idOnly = decodeInput(Schema.Struct({ id: FederationServiceId }))
const releaseOnly = decodeInput(
  Schema.Struct({ providerId: FederationProviderId, name: Slug, release: SemanticVersion })
)
const changed = decodeInput(
  Schema.Struct({ id: FederationServiceId, expectedVersion: Version, changes: FederationServiceChanges })
)
const reported = decodeInput(
  Schema.Struct({
    id: FederationServiceId,
    report: Schema.Struct({ health: ReportedHealth, at: Schema.optional(RecentMoment) })
  })
)
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))
const staleOnes = decodeInput(
  Schema.Struct({
    since: RecentMoment,
    limit: Schema.optional(PageSize),
    after: Schema.optional(staleCursors.key)
  })
)

const at = (method: string) =>
  ({ store: "postgresql", operation: `Federation.services.${method}`, subject: "input" }) as const

/** Before the first report, `heardAt` is when the service was registered. */
export const serviceOf = (row: ServiceRow): FederationService => ({
  id: row.id,
  providerId: row.providerId,
  name: row.name,
  release: row.release,
  endpointUrl: row.endpointUrl,
  capabilities: row.capabilities,
  weight: row.weight,
  cost: row.costMinor === null || row.currency === null ? null : Money.make(row.costMinor, row.currency),
  health: row.health,
  healthReportedAt: row.health === "unknown" ? null : row.heardAt,
  version: row.version,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt
})

const costColumns = (cost: Money.Money | null | undefined) => ({
  costMinor: cost?.amount ?? null,
  currency: cost?.currency ?? null
})

/** Whether a report tells something newer than what is known; of two of one time the worse one does. */
const isNews = (row: ServiceRow, health: ServiceHealth, reportedAt: DateTime.Utc): boolean =>
  row.health === "unknown" ||
  DateTime.isGreaterThan(reportedAt, row.heardAt) ||
  (DateTime.Equivalence(reportedAt, row.heardAt) && isWorse(health, row.health))

export const makeServices = ({ insertNew, lookup, many, one, remove, replace, run }: Tables): FederationServices => {
  const nextId = makeIdsOf(FederationServiceId)

  const register: FederationServices["register"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("register")
    const { cost, weight = 100, ...fields } = yield* newService(at("register"), given)
    const { name, providerId, release } = fields
    const now = yield* DateTime.now
    const row: ServiceRow = {
      ...fields,
      ...costColumns(cost),
      id: yield* nextId,
      weight,
      health: "unknown",
      heardAt: now,
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    const missing = () => new FederationProviderNotFound({ id: providerId })
    // In a savepoint: a provider that is not there must not cost the transaction around.
    const [made] = yield* run(insertNew(operation, services, [row])).pipe(
      Effect.mapError(onConstraint({ federation_services_provider_id_fkey: missing }))
    )
    return made === undefined ? yield* new FederationServiceExists({ providerId, name, release }) : serviceOf(made)
  })

  const { find, findMany } = finders(lookup(at("find").operation, services), FederationServiceId, serviceOf, at)

  const findRelease: FederationServices["findRelease"] = Effect.fnUntraced(function* (providerId, name, release) {
    const where = yield* releaseOnly(at("findRelease"), { providerId, name, release })
    return Option.map(yield* one(at("findRelease").operation, services, { where }), serviceOf)
  })

  const update: FederationServices["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { operation } = at("update")
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    const { cost, ...fields } = changes
    const columns = cost === undefined ? fields : { ...fields, ...costColumns(cost) }
    const row = yield* change(run, {
      held: one(operation, services, { where: { id }, lock: "update" }),
      missing: () => new FederationServiceNotFound({ id }),
      to: atVersion<ServiceRow>(expectedVersion, columns),
      write: (service) => replace(operation, services, service)
    })
    return serviceOf(row)
  })

  const reportHealth: FederationServices["reportHealth"] = Effect.fnUntraced(function* (givenId, given) {
    const { operation } = at("reportHealth")
    const { id, report } = yield* reported(at("reportHealth"), { id: givenId, report: given })
    const now = yield* DateTime.now
    const { at: reportedAt = now, health } = report
    yield* notAhead(at("reportHealth"), "report.at", reportedAt, now)
    return yield* run(
      Effect.gen(function* () {
        const held = yield* one(operation, services, { where: { id }, lock: "update" })
        if (Option.isNone(held)) return yield* new FederationServiceNotFound({ id })
        if (!isNews(held.value, health, reportedAt)) return serviceOf(held.value)
        const row: ServiceRow = { ...held.value, health, heardAt: reportedAt }
        yield* replace(operation, services, row)
        return serviceOf(row)
      })
    )
  })

  const deregister: FederationServices["deregister"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("deregister")
    const { id } = yield* idOnly(at("deregister"), { id: given })
    return yield* run(
      Effect.gen(function* () {
        // Against writers of rules, who hold the services that they target.
        const held = yield* one(operation, services, { where: { id }, lock: "update" })
        if (Option.isNone(held)) return yield* new FederationServiceNotFound({ id })
        const aimed = yield* many(operation, targets, { where: { serviceId: id }, order: ["ruleId"] })
        if (aimed.length > 0) {
          return yield* new FederationServiceInUse({ id, rules: aimed.map(({ ruleId }) => ruleId) })
        }
        return yield* remove(operation, services, { id })
      })
    )
  })

  const list: FederationServices["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given ?? {})
    const { after, capability, limit = defaultPageSize, order = "oldest-first", ...where } = input
    const rows = yield* many(at("list").operation, services, {
      where,
      includes: { capabilities: capability },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(serviceOf), limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  const stale: FederationServices["stale"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, since } = yield* staleOnes(at("stale"), given)
    const rows = yield* many(at("stale").operation, services, {
      below: { heardAt: since },
      order: ["heardAt", "id"],
      after: after && [after.heardAt, after.id],
      limit: limit + 1
    })
    const { items, next } = pageOf(rows, limit, ({ heardAt, id }) => staleCursors.after({ heardAt, id }))
    return { items: items.map(serviceOf), next }
  })

  return {
    register,
    find,
    findMany,
    findRelease,
    update,
    reportHealth,
    deregister,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list),
    stale
  }
}
