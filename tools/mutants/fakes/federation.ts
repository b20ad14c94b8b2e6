import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/Federation.test.ts" }]

const folder = "src/platform/federation"
const change = `${folder}/change.ts`
const clients = `${folder}/Clients.ts`
const makeClients = `${folder}/makeClients.ts`
const credentials = `${folder}/makeCredentials.ts`
const makeFederation = `${folder}/makeFederation.ts`
const memory = `${folder}/FederationMemory.ts`
const providers = `${folder}/makeProviders.ts`
const route = `${folder}/Route.ts`
const rules = `${folder}/makeRules.ts`
const secretRef = `${folder}/SecretRef.ts`
const serviceUrl = `${folder}/ServiceUrl.ts`
const services = `${folder}/makeServices.ts`
const tables = `${folder}/FederationTables.ts`
const tablesMemory = "src/platform/tables/TablesMemory.ts"

/** Defects of `Federation` in memory, and of the rules that it shares with PostgreSQL. */
export const federation: ReadonlyArray<Mutant> = [
  {
    name: "Federation: an edit of an old version is written",
    file: change,
    find: "row.version === expected",
    replace: "row.version >= expected",
    red
  },
  {
    name: "Federation: a change of state is no version",
    file: change,
    find: "version: row.version + 1",
    replace: 'version: row.version + ("state" in next ? 0 : 1)',
    red
  },
  {
    name: "Federation: a revoked client is resumed",
    file: clients,
    find: "revoked: []",
    replace: 'revoked: ["active"]',
    red
  },
  {
    name: "Federation: an owner who is not there is a failure of the store",
    file: makeClients,
    find: "{ federation_clients_owner_id_fkey: () =>",
    replace: "{ federation_clients_owner_fkey: () =>",
    red
  },
  {
    name: "Federation: a user who answers for a client is removed, and the client too",
    file: tables,
    find: 'to: "users", key: ({ ownerId }) => ownerId, onRemoval: "restrict"',
    replace: 'to: "users", key: ({ ownerId }) => ownerId, onRemoval: "cascade"',
    red
  },
  {
    name: "Federation: a user and password are a reference to a secret",
    file: secretRef,
    find: "|x-[a-z0-9-]{1,30}):",
    replace: "|[a-z0-9-]{1,30}):",
    red
  },
  {
    name: "Federation: a secret behind env: is a reference to one",
    file: secretRef,
    find: 'reference.test(text) && (!text.startsWith("env:") || variable.test(text))',
    replace: "reference.test(text) && variable.source !== text",
    red
  },
  {
    name: "Federation: a URL may hold a user's name",
    file: serviceUrl,
    find: 'username !== "" || ',
    replace: "",
    red
  },
  {
    name: "Federation: a URL that parsers read differently is taken",
    file: serviceUrl,
    find: "href === whole",
    replace: "href !== text.concat(text)",
    red
  },
  {
    name: "Federation: a provider with services goes unexplained",
    file: providers,
    find: "onConstraint({ federation_services_provider_id_fkey: inUse })",
    replace: "onConstraint({ federation_services_provider_fkey: inUse })",
    red
  },
  {
    name: "Federation: the credentials of a provider keep it",
    file: tables,
    find: 'onRemoval: "cascade"\n      }\n    }\n  }\n)\n\nexport const RuleRow',
    replace: 'onRemoval: "restrict"\n      }\n    }\n  }\n)\n\nexport const RuleRow',
    red
  },
  {
    name: "Federation: late health reports count",
    file: services,
    find: "DateTime.isGreaterThan(reportedAt, row.heardAt) ||",
    replace: "!DateTime.Equivalence(reportedAt, row.heardAt) ||",
    red
  },
  {
    name: "Federation: of two reports of one time the last counts",
    file: services,
    find: "isWorse(health, row.health)",
    replace: "(isWorse(health, row.health) || true)",
    red
  },
  {
    name: "Federation: a report from the future silences those that follow",
    file: `${folder}/notAhead.ts`,
    find: "now.epochMilliseconds + aheadMillis",
    replace: "now.epochMilliseconds + 1000 * aheadMillis",
    red
  },
  {
    name: "Federation: a verification from the future silences those that follow",
    file: credentials,
    find: '    if (when !== undefined) yield* notAhead(at("markVerified"), "at", when, yield* DateTime.now)\n',
    replace: "",
    red
  },
  {
    name: "Federation: a service without a report has one",
    file: services,
    find: 'row.health === "unknown" ? null : row.heardAt',
    replace: "row.heardAt",
    red
  },
  {
    name: "Federation: only one rule that targets a service is named",
    file: services,
    find: "rules: aimed.map(({ ruleId }) => ruleId)",
    replace: "rules: aimed.slice(0, 1).map(({ ruleId }) => ruleId)",
    red
  },
  {
    name: "Federation: a text in a list is found by its beginning",
    file: tablesMemory,
    find: "stored.includes(wanted)",
    replace: "stored.some((text) => String(text).startsWith(String(wanted)))",
    red
  },
  {
    name: "Federation: an expired credential is in use",
    file: credentials,
    find: "Option.filter(found, (credential) => !isOver(credential, now))",
    replace: "Option.filter(found, (credential) => !isOver(credential, now) || true)",
    red
  },
  {
    name: "Federation: an expired credential is rotated in",
    file: credentials,
    find: "expiresAt !== null && isOver(credential, now)",
    replace: "expiresAt !== null && isOver(credential, now) && state !== 'active'",
    red
  },
  {
    name: "Federation: a rotation retires another provider's credential",
    file: credentials,
    find: 'where: { providerId, state: "active" }, lock: "update"',
    replace: 'where: { state: "active" }, lock: "update"',
    red
  },
  {
    name: "Federation: an older verification counts",
    file: credentials,
    find: "verifiedAt !== null && DateTime.isLessThanOrEqualTo(told, verifiedAt)",
    replace: "verifiedAt !== null && DateTime.Equivalence(told, verifiedAt)",
    red
  },
  {
    name: "Federation: a rule targets a service that does not offer the capability",
    file: rules,
    find: "!service.capabilities.includes(capability)",
    replace: 'capability === ""',
    red
  },
  {
    name: "Federation: new targets come beside the old",
    file: rules,
    find: "        yield* remove(operation, targets, { ruleId: id })\n",
    replace: "",
    red
  },
  {
    name: "Federation: disabled rules count",
    file: memory,
    find: "!rule.enabled || rule.capability",
    replace: "rule.capability",
    red
  },
  {
    name: "Federation: one client's rule holds for another",
    file: memory,
    find: "rule.clientId !== null && rule.clientId !== clientId",
    replace: "rule.clientId !== null && clientId === null",
    red
  },
  {
    name: "Federation: something is routed for a suspended client",
    file: makeFederation,
    find: 'client.state !== "active"',
    replace: 'client.state === "revoked"',
    red
  },
  {
    name: "Federation: the least priority counts first",
    file: route,
    find: "-rule.priority",
    replace: "rule.priority",
    red
  },
  {
    name: "Federation: rules for everybody come before a client's own",
    file: route,
    find: "rule.clientId === null ? 1 : 0",
    replace: "rule.clientId === null ? 0 : 1",
    red
  },
  {
    name: "Federation: what is down is called as its rule says",
    file: route,
    find: 'service.health === "down" ? 1 : 0',
    replace: "0 * ranks[service.health]",
    red
  },
  {
    name: "Federation: the weight of a target does not count",
    file: route,
    find: "targetWeight ?? service.weight",
    replace: "targetWeight === null ? service.weight : service.weight",
    red
  },
  {
    name: "Federation: a condition holds where one of its attributes does",
    file: route,
    find: "Object.entries(condition).every(",
    replace: "Object.entries({ ...condition }).some(",
    red
  },
  {
    name: "Federation: a service is told by every rule that chose it",
    file: route,
    find: "!chosen.has(service.id)",
    replace: "true",
    red
  },
  {
    name: "Federation: services of disabled providers are chosen",
    file: route,
    find: 'providerState === "disabled"',
    replace: 'String(providerState) === "closed"',
    red
  }
]
