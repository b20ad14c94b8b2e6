import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
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
import { UserId, UserNotFound } from "../users/Users.ts"
import { atVersion, change, toState } from "./change.ts"
import {
  clientStates,
  type FederationClient,
  FederationClientChanges,
  FederationClientCursor,
  FederationClientId,
  FederationClientNotFound,
  type FederationClients,
  FederationClientSlugTaken,
  FederationClientState,
  NewFederationClient
} from "./Clients.ts"
import { clients } from "./FederationTables.ts"

const cursors = timeCursor("federation-clients", FederationClientCursor)
const filters = { ownerId: Schema.optional(UserId), state: Schema.optional(FederationClientState) }

const newClient = decodeInput(NewFederationClient)
const idOnly = decodeInput(Schema.Struct({ id: FederationClientId }))
const slugOnly = decodeInput(Schema.Struct({ slug: Slug }))
const changed = decodeInput(
  Schema.Struct({ id: FederationClientId, expectedVersion: Version, changes: FederationClientChanges })
)
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Federation.clients.${method}`, subject: "input" }) as const

const refused = ({ ownerId, slug }: { readonly ownerId?: UserId; readonly slug?: string }) =>
  onConstraint({
    federation_clients_slug_key: () => new FederationClientSlugTaken({ slug: slug ?? "" }),
    ...(ownerId === undefined ? {} : { federation_clients_owner_id_fkey: () => new UserNotFound({ id: ownerId }) })
  })

export const makeClients = ({ insertNew, lookup, many, one, replace, run }: Tables): FederationClients => {
  const nextId = makeIdsOf(FederationClientId)

  const create: FederationClients["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const { name, ownerId, rateTier = "standard", scopes = [], slug } = yield* newClient(at("create"), given)
    const now = yield* DateTime.now
    const id = yield* nextId
    const client: FederationClient = {
      id,
      slug,
      name,
      ownerId,
      state: "active",
      scopes,
      rateTier,
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    // In a savepoint: an owner who is not there must not cost the transaction around.
    const [made] = yield* Effect.mapError(run(insertNew(operation, clients, [client])), refused({ ownerId }))
    return made ?? (yield* new FederationClientSlugTaken({ slug }))
  })

  const { find, findMany } = finders(lookup(at("find").operation, clients), FederationClientId, identity, at)

  const findBySlug: FederationClients["findBySlug"] = Effect.fnUntraced(function* (given) {
    const { slug } = yield* slugOnly(at("findBySlug"), { slug: given })
    return yield* one(at("findBySlug").operation, clients, { where: { slug } })
  })

  const changing = <E>(
    operation: string,
    id: FederationClientId,
    to: (client: FederationClient) => Effect.Effect<FederationClient, E>
  ) =>
    change(run, {
      held: one(operation, clients, { where: { id }, lock: "update" }),
      missing: () => new FederationClientNotFound({ id }),
      to,
      write: (client) => replace(operation, clients, client)
    })

  const update: FederationClients["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    const done = changing(at("update").operation, id, atVersion<FederationClient>(expectedVersion, changes))
    return yield* Effect.mapError(done, refused(changes))
  })

  const move = (method: string, state: FederationClientState) =>
    Effect.fnUntraced(function* (given: FederationClientId) {
      const { id } = yield* idOnly(at(method), { id: given })
      return yield* changing(at(method).operation, id, toState(clientStates, state))
    })

  const list: FederationClients["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, order = "oldest-first", ...where } = yield* listed(at("list"), given ?? {})
    const rows = yield* many(at("list").operation, clients, {
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
    findMany,
    findBySlug,
    update,
    suspend: move("suspend", "suspended"),
    resume: move("resume", "active"),
    revoke: move("revoke", "revoked"),
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
