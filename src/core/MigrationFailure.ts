import * as Schema from "effect/Schema"

/** A migration that is a program failed with an error of its own. */
export class ProgramFailed extends Schema.TaggedError<ProgramFailed>("@ai-core/database/ProgramFailed")(
  "ProgramFailed",
  { cause: Schema.Defect() }
) {}

/** The backup could not be made, or cannot be read back; nothing was migrated. */
export class BackupFailed extends Schema.TaggedError<BackupFailed>("@ai-core/database/BackupFailed")("BackupFailed", {
  detail: Schema.String,
  hint: Schema.String
}) {}

/** The package that reads the store's statements is not installed. */
export class LinterMissing extends Schema.TaggedError<LinterMissing>("@ai-core/database/LinterMissing")(
  "LinterMissing",
  { hint: Schema.String }
) {}
