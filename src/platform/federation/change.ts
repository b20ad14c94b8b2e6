import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { IllegalTransition, StateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { Tables } from "../tables/Tables.ts"

interface Edited {
  readonly id: string
  readonly version: number
  readonly updatedAt: DateTime.Utc
}

interface Change<Row, Missing, E> {
  /** Finds the row and holds it. */
  readonly held: Effect.Effect<Option.Option<Row>, StoreError>
  readonly missing: () => Missing
  readonly to: (row: Row) => Effect.Effect<Row, E>
  readonly write: (row: Row) => Effect.Effect<void, StoreError>
}

/** Changes a row under its lock, in a transaction: one version and one time more. */
export const change = <Row extends Edited, Missing, E>(
  run: Tables["run"],
  { held, missing, to, write }: Change<Row, Missing, E>
): Effect.Effect<Row, Missing | E | StoreError> =>
  run(
    Effect.gen(function* () {
      const row = Option.getOrUndefined(yield* held)
      if (row === undefined) return yield* Effect.fail(missing())
      const next = yield* to(row)
      const updatedAt = DateTime.max(row.updatedAt, yield* DateTime.now)
      const written = { ...next, version: row.version + 1, updatedAt }
      yield* write(written)
      return written
    })
  )

/** Changes what the caller read at a version. */
export const atVersion =
  <Row extends Edited>(expected: number, changes: Partial<Row>) =>
  (row: Row): Effect.Effect<Row, VersionConflict> =>
    row.version === expected
      ? Effect.succeed({ ...row, ...changes })
      : Effect.fail(new VersionConflict({ id: row.id, expected, actual: row.version }))

/** Leads to a state, where the machine does. */
export const toState =
  <State extends string>(machine: StateMachine<State>, state: State) =>
  <Row extends Edited & { readonly state: State }>(row: Row): Effect.Effect<Row, IllegalTransition> =>
    Effect.map(Effect.fromResult(machine.go(row.id, row.state, state)), (state) => ({ ...row, state }))
