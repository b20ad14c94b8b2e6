import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput, type Subject } from "../../core/Decode.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { Lookup } from "../../postgres/repository/LookupShape.ts"

/** What is found by its id. */
export interface Finders<Id, A> {
  readonly find: (id: Id) => Effect.Effect<Option.Option<A>, StoreError>
  readonly findMany: (ids: ReadonlyArray<Id>) => Effect.Effect<ReadonlyArray<Option.Option<A>>, StoreError>
}

/** Makes `find` and `findMany` of a lookup: what callers give is checked, and rows are told as the capability tells them. */
export const finders = <Row extends { readonly id: string }, A>(
  byId: Lookup<Row["id"], Row>,
  id: Schema.ConstraintDecoder<Row["id"]>,
  of: (row: Row) => A,
  at: (method: string) => Subject
): Finders<Row["id"], A> => {
  const idOnly = decodeInput(Schema.Struct({ id }))
  const idsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(id) }))
  return {
    find: (given) =>
      Effect.flatMap(idOnly(at("find"), { id: given }), ({ id }) => Effect.map(byId.find(id), Option.map(of))),
    findMany: (given) =>
      Effect.flatMap(idsOnly(at("findMany"), { ids: given }), ({ ids }) =>
        Effect.mapBoth(byId.findMany(ids), {
          onSuccess: (found) => found.map(Option.map(of)),
          onFailure: (error) => error.during(at("findMany").operation)
        })
      )
  }
}
