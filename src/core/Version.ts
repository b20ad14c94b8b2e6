import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodedBy } from "./DirectDecoder.ts"

const range = { minimum: 1, maximum: 2_147_483_647 }

/** Counts the writes of a row or document: 1 when made, one more with every update. */
export const Version = decodedBy(Schema.Int.check(Schema.isBetween(range)), (version) =>
  typeof version === "number" && Number.isInteger(version) && version >= range.minimum && version <= range.maximum
    ? version
    : undefined
)
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
 * Gives the stored row where its version is the expected one; else says why a write at that version finds nothing: it is not
 * there, or somebody else has changed it.
 *
 * A Result: `yield*` takes it as it is in `Result.gen`, and in `Effect.gen` as `Effect.fromResult(expectVersion(…))`.
 */
export const expectVersion = <Row extends { readonly version: number }, E>(
  id: string,
  expected: number,
  stored: Option.Option<Row>,
  notFound: () => E
): Result.Result<Row, E | VersionConflict> => {
  if (Option.isNone(stored)) return Result.fail(notFound())
  const { version } = stored.value
  return version === expected
    ? Result.succeed(stored.value)
    : Result.fail(new VersionConflict({ id, expected, actual: version }))
}
