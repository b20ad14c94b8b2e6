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
import { storedJson } from "../../core/StorableJson.ts"
import { atVersion, change } from "./change.ts"
import { FederationClientId, FederationClientNotFound } from "./Clients.ts"
import { type RuleRow, rules, services, type TargetRow, targets } from "./FederationTables.ts"
import {
  CapabilityNotOffered,
  NewRoutingRule,
  type RoutingRule,
  RoutingRuleChanges,
  RoutingRuleCursor,
  RoutingRuleId,
  RoutingRuleNotFound,
  type RoutingRules
} from "./Rules.ts"
import { FederationServiceNotFound } from "./Services.ts"

const cursors = timeCursor("federation-rules", RoutingRuleCursor)
const filters = {
  clientId: Schema.optional(Schema.NullOr(FederationClientId)),
  capability: Schema.optional(Slug),
  enabled: Schema.optional(Schema.Boolean)
}

const newRule = decodeInput(NewRoutingRule)
const idOnly = decodeInput(Schema.Struct({ id: RoutingRuleId }))
const changed = decodeInput(Schema.Struct({ id: RoutingRuleId, expectedVersion: Version, changes: RoutingRuleChanges }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Federation.rules.${method}`, subject: "input" }) as const

const ruleOf = (row: RuleRow, aimed: ReadonlyArray<TargetRow>): RoutingRule => ({
  ...row,
  targets: aimed.map(({ serviceId, weight }) => ({ serviceId, weight }))
})

const targetRows = (ruleId: RoutingRuleId, given: NewRoutingRule["targets"]): ReadonlyArray<TargetRow> =>
  given.map(({ serviceId, weight = null }, position) => ({ ruleId, position, serviceId, weight }))

export const makeRules = ({ composed, insertNew, many, one, remove, replace, run }: Tables): RoutingRules => {
  const nextId = makeIdsOf(RoutingRuleId)

  /** Sees that the services are there and offer the capability, and holds them, so that none is deregistered meanwhile. */
  const offered = (operation: string, capability: string, aimed: ReadonlyArray<TargetRow>) =>
    Effect.gen(function* () {
      const wanted = aimed.map(({ serviceId }) => serviceId)
      const held = yield* many(operation, services, { oneOf: { id: wanted }, order: ["id"], lock: "share" })
      for (const id of wanted) {
        const service = held.find((row) => row.id === id)
        if (service === undefined) return yield* new FederationServiceNotFound({ id })
        if (!service.capabilities.includes(capability)) {
          return yield* new CapabilityNotOffered({ serviceId: id, capability })
        }
      }
    })

  const aimedBy = (operation: string, ids: ReadonlyArray<RoutingRuleId>) =>
    many(operation, targets, { oneOf: { ruleId: ids }, order: ["ruleId", "position"] })

  const create: RoutingRules["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const fields = yield* newRule(at("create"), given)
    const { capability, clientId = null, condition = {}, enabled = true, name, priority = 0 } = fields
    const id = yield* nextId
    const now = yield* DateTime.now
    const row: RuleRow = {
      id,
      name,
      clientId,
      capability,
      priority,
      condition: storedJson(condition),
      enabled,
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    const aimed = targetRows(id, fields.targets)
    yield* run(
      Effect.gen(function* () {
        yield* offered(operation, capability, aimed)
        yield* insertNew(operation, rules, [row])
        yield* insertNew(operation, targets, aimed)
      })
    ).pipe(
      Effect.mapError((error) =>
        clientId === null
          ? error
          : onConstraint({
              federation_rules_client_id_fkey: () => new FederationClientNotFound({ id: clientId })
            })(error)
      )
    )
    return ruleOf(row, aimed)
  })

  /** The rules of these rows, by one statement more. */
  const composedOf = (operation: string, rows: ReadonlyArray<RuleRow>) =>
    rows.length === 0
      ? Effect.succeed([])
      : Effect.map(
          aimedBy(
            operation,
            rows.map(({ id }) => id)
          ),
          (aimed) => {
            const byRule = Map.groupBy(aimed, ({ ruleId }) => ruleId)
            return rows.map((row) => ruleOf(row, byRule.get(row.id) ?? []))
          }
        )

  const byId = composed({
    operation: at("find").operation,
    find: (ids: ReadonlyArray<RoutingRuleId>) =>
      Effect.flatMap(many(at("find").operation, rules, { oneOf: { id: ids } }), (rows) =>
        composedOf(at("find").operation, rows)
      ),
    key: ({ id }) => id
  })
  const { find } = finders(byId, RoutingRuleId, identity, at)

  const update: RoutingRules["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { operation } = at("update")
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    const { condition, targets: given, ...rest } = changes
    const columns = condition === undefined ? rest : { ...rest, condition: storedJson(condition) }
    return yield* run(
      Effect.gen(function* () {
        const row = yield* change(run, {
          held: one(operation, rules, { where: { id }, lock: "update" }),
          missing: () => new RoutingRuleNotFound({ id }),
          to: atVersion<RuleRow>(expectedVersion, columns),
          write: (rule) => replace(operation, rules, rule)
        })
        if (given === undefined) return ruleOf(row, yield* aimedBy(operation, [id]))
        const aimed = targetRows(id, given)
        yield* offered(operation, row.capability, aimed)
        yield* remove(operation, targets, { ruleId: id })
        yield* insertNew(operation, targets, aimed)
        return ruleOf(row, aimed)
      })
    )
  })

  const removeRule: RoutingRules["remove"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("remove")
    const { id } = yield* idOnly(at("remove"), { id: given })
    return yield* run(
      Effect.gen(function* () {
        const held = yield* one(operation, rules, { where: { id }, lock: "update" })
        if (Option.isNone(held)) return yield* new RoutingRuleNotFound({ id })
        return yield* remove(operation, rules, { id })
      })
    )
  })

  const list: RoutingRules["list"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("list")
    const { after, limit = defaultPageSize, order = "oldest-first", ...where } = yield* listed(at("list"), given ?? {})
    const rows = yield* many(operation, rules, {
      where,
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    const { items, next } = pageOf(rows, limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
    return { items: yield* composedOf(operation, items), next }
  })

  return {
    create,
    find,
    update,
    remove: removeRule,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
