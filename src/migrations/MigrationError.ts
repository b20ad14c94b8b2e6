import { Schema } from "effect"
import { StoreError } from "../core/StoreError.ts"

const which = { version: Schema.BigInt, name: Schema.String }

/** The folder of migrations cannot be read. */
export class FolderUnreadable extends Schema.TaggedError<FolderUnreadable>("@ai-core/database/FolderUnreadable")(
  "FolderUnreadable",
  { folder: Schema.String, cause: Schema.Defect() }
) {}

/** A file is no migration: its name or its text is not as it must be. */
export class FileInvalid extends Schema.TaggedError<FileInvalid>("@ai-core/database/FileInvalid")("FileInvalid", {
  file: Schema.String,
  problem: Schema.String
}) {}

/** A file was edited after it had been applied. */
export class ChecksumChanged extends Schema.TaggedError<ChecksumChanged>("@ai-core/database/ChecksumChanged")(
  "ChecksumChanged",
  { ...which, applied: Schema.String, found: Schema.String }
) {}

/** A migration was applied whose file is not in the folder: another, newer program has migrated this store. */
export class FileMissing extends Schema.TaggedError<FileMissing>("@ai-core/database/FileMissing")(
  "FileMissing",
  which
) {}

/** A pending migration is older than one that was applied. */
export class OutOfOrder extends Schema.TaggedError<OutOfOrder>("@ai-core/database/OutOfOrder")("OutOfOrder", {
  ...which,
  /** The newest version that was applied. */
  newest: Schema.BigInt
}) {}

/** A statement of the migration failed; nothing of this migration is applied, unless the failure's outcome is unknown. */
export class StatementFailed extends Schema.TaggedError<StatementFailed>("@ai-core/database/StatementFailed")(
  "StatementFailed",
  { ...which, failure: StoreError }
) {}

export const MigrationReason = Schema.Union([
  FolderUnreadable,
  FileInvalid,
  ChecksumChanged,
  FileMissing,
  OutOfOrder,
  StatementFailed
])
export type MigrationReason = typeof MigrationReason.Type

const problemOf = (reason: MigrationReason): string => {
  switch (reason._tag) {
    case "FolderUnreadable":
      return `the folder ${reason.folder} cannot be read`
    case "FileInvalid":
      return `${reason.file} ${reason.problem}`
    case "ChecksumChanged":
      return `${reason.version}_${reason.name} was edited after it had been applied: write a new migration instead`
    case "FileMissing":
      return `${reason.version}_${reason.name} was applied, and its file is not here`
    case "OutOfOrder":
      return `${reason.version}_${reason.name} is older than ${reason.newest}, which was applied: give it a newer version`
    case "StatementFailed":
      return `${reason.version}_${reason.name} failed: ${reason.failure.message}`
  }
}

/** The schema could not be brought up to date; `reason` says why. What was applied before stays. */
export class MigrationError extends Schema.TaggedError<MigrationError>("@ai-core/database/MigrationError")(
  "MigrationError",
  { reason: MigrationReason }
) {
  override get message(): string {
    return problemOf(this.reason)
  }
}
