import * as DateTime from "effect/DateTime"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { Slug } from "../../core/Text.ts"
import { FederationClientId } from "./Clients.ts"
import type { FederationProviderState } from "./Providers.ts"
import { RouteAttributes, type RuleCondition } from "./Rules.ts"
import type { FederationService, FederationServiceId, RoutingRuleId, ServiceHealth } from "./Services.ts"

/** What is asked for. */
export const RouteRequest = Schema.Struct({
  /** Who asks; rules for one client alone are left out where nobody is named. */
  clientId: Schema.optional(FederationClientId),
  capability: Slug,
  /** What the conditions of rules are held against. */
  attributes: Schema.optional(RouteAttributes)
})
export type RouteRequest = typeof RouteRequest.Type

/** A service that may be called, and the rule that chose it. */
export interface RouteCandidate {
  readonly service: FederationService
  readonly rule: { readonly id: RoutingRuleId; readonly name: string; readonly priority: number }
  /** Its share among the candidates of its rule, for callers who draw. */
  readonly weight: number
}

/** A service that a rule chose, and that cannot be called. */
export interface LeftOut {
  readonly serviceId: FederationServiceId
  readonly ruleId: RoutingRuleId
  readonly because: "capability-withdrawn" | "provider-disabled"
}

/** Which services to call, in this order. */
export interface Route {
  readonly capability: string
  readonly candidates: ReadonlyArray<RouteCandidate>
  readonly leftOut: ReadonlyArray<LeftOut>
}

/** One target of a rule, with all that a route asks of it. */
export interface RouteChoice {
  readonly service: FederationService
  readonly providerState: FederationProviderState
  readonly targetWeight: number | null
  readonly position: number
  readonly rule: {
    readonly id: RoutingRuleId
    readonly name: string
    readonly priority: number
    readonly clientId: FederationClientId | null
    readonly condition: RuleCondition
    readonly createdAt: DateTime.Utc
  }
}

/** Whether a rule's condition holds of a request. */
export const applies = (condition: RuleCondition, attributes: RouteAttributes): boolean =>
  Object.entries(condition).every(([name, wanted]) => {
    if (!Object.hasOwn(attributes, name)) return false
    const value = attributes[name]
    return Array.isArray(wanted) ? wanted.includes(value) : wanted === value
  })

/** The best first. What nobody has told of yet may well be healthy. */
const ranks: Readonly<Record<ServiceHealth, number>> = { healthy: 0, unknown: 1, degraded: 2, down: 3 }

/** The worse first where two reports are of one time. */
export const isWorse = (one: ServiceHealth, other: ServiceHealth): boolean => ranks[one] > ranks[other]

const weightOf = ({ service, targetWeight }: RouteChoice): number => targetWeight ?? service.weight

const by = <A>(...orders: ReadonlyArray<Order.Order<A>>): Order.Order<A> => Order.combineAll(orders)

const ruleOrder: Order.Order<RouteChoice> = by(
  Order.mapInput(Order.Number, ({ rule }: RouteChoice) => -rule.priority),
  Order.mapInput(Order.Number, ({ rule }: RouteChoice) => (rule.clientId === null ? 1 : 0)),
  Order.mapInput(DateTime.Order, ({ rule }: RouteChoice) => rule.createdAt),
  Order.mapInput(Order.String, ({ rule }: RouteChoice) => rule.id)
)

/**
 * What is down comes after all else, of whatever rule. Then the rules count, the greatest priority first, a client's own before
 * one for everybody, the older before the newer; and within a rule health, then weight, then the place of the target.
 */
const choiceOrder: Order.Order<RouteChoice> = by(
  Order.mapInput(Order.Number, ({ service }: RouteChoice) => (service.health === "down" ? 1 : 0)),
  ruleOrder,
  Order.mapInput(Order.Number, ({ service }: RouteChoice) => ranks[service.health]),
  Order.mapInput(Order.Number, (choice: RouteChoice) => -weightOf(choice)),
  Order.mapInput(Order.Number, ({ position }: RouteChoice) => position)
)

/** Makes the route of what the enabled rules for a capability choose. */
export const routeOf = ({ attributes = {}, capability }: RouteRequest, choices: ReadonlyArray<RouteChoice>): Route => {
  const candidates: Array<RouteCandidate> = []
  const leftOut: Array<LeftOut> = []
  const chosen = new Set<string>()
  for (const choice of choices.filter(({ rule }) => applies(rule.condition, attributes)).toSorted(choiceOrder)) {
    const { providerState, rule, service } = choice
    const { id, name, priority } = rule
    if (providerState === "disabled") {
      leftOut.push({ serviceId: service.id, ruleId: id, because: "provider-disabled" })
    } else if (!service.capabilities.includes(capability)) {
      leftOut.push({ serviceId: service.id, ruleId: id, because: "capability-withdrawn" })
    } else if (!chosen.has(service.id)) {
      chosen.add(service.id)
      candidates.push({ service, rule: { id, name, priority }, weight: weightOf(choice) })
    }
  }
  return { capability, candidates, leftOut }
}
