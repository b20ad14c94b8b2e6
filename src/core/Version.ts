import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Counts the writes of a row or document: 1 when made, one more with every update. */
export const Version = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_147_483_647 }))
export type Version = typeof Version.Type

/** Somebody else changed it since it was read: read it again, decide again, write again. */
export class VersionConflict extends Schema.TaggedError<VersionConflict>("@ai-core/database/VersionConflict")(
  "VersionConflict",
  {
    id: Schema.String,
    /** The version that the writer had read. */
    expected: Version,
    /** The version that is stored. */
    actual: Version
  }
) {
  override get message(): string {
    return `${this.id} is at version ${this.actual}, not ${this.expected}`
  }
}

/**
 * Says why an update of `expected` found nothing to change, by the version that is stored: none, or another one.
 *
 * Where the version is the expected one after all, something else stood in the way, and it succeeds.
 */
export const explainMiss = <E>(
  id: string,
  expected: number,
  stored: number | null | undefined,
  notFound: () => E
): Effect.Effect<void, E | VersionConflict> => {
  if (stored === null || stored === undefined) return Effect.fail(notFound())
  return stored === expected ? Effect.void : Effect.fail(new VersionConflict({ id, expected, actual: stored }))
}
