import * as Schema from "effect/Schema"
import { BackupFailed, LinterMissing } from "../core/MigrationFailure.ts"
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

/** A migration was applied whose file is not here, though there are files of newer ones. */
export class FileMissing extends Schema.TaggedError<FileMissing>("@ai-core/database/FileMissing")(
  "FileMissing",
  which
) {}

/** A migration was applied that is newer than every file here: a newer program has migrated this store. */
export class FutureApplied extends Schema.TaggedError<FutureApplied>("@ai-core/database/FutureApplied")(
  "FutureApplied",
  {
    ...which,
    /** The newest version that has a file here. */
    newest: Schema.BigInt
  }
) {}

/** A pending migration is older than one that was applied. */
export class OutOfOrder extends Schema.TaggedError<OutOfOrder>("@ai-core/database/OutOfOrder")("OutOfOrder", {
  ...which,
  /** The newest version that was applied. */
  newest: Schema.BigInt
}) {}

/** A migration without a transaction broke off while it was being undone: a part of what it had made is gone. */
export class HalfUndone extends Schema.TaggedError<HalfUndone>("@ai-core/database/HalfUndone")("HalfUndone", {
  ...which,
  /** Statements of its way down that have been done. */
  done: Schema.Number
}) {}

/** A statement of the migration failed; nothing of this migration is applied, unless the failure's outcome is unknown. */
export class StatementFailed extends Schema.TaggedError<StatementFailed>("@ai-core/database/StatementFailed")(
  "StatementFailed",
  { ...which, failure: StoreError }
) {}

/** A migration that is a program failed with an error of its own; what it did in the store's transaction is undone. */
export class StepFailed extends Schema.TaggedError<StepFailed>("@ai-core/database/StepFailed")("StepFailed", {
  ...which,
  cause: Schema.Defect()
}) {}

/** The migration does not say how it is undone. */
export class Irreversible extends Schema.TaggedError<Irreversible>("@ai-core/database/Irreversible")(
  "Irreversible",
  which
) {}

/** Down and up again did not give the schema that was there before; everything was undone. */
export class DownUnfaithful extends Schema.TaggedError<DownUnfaithful>("@ai-core/database/DownUnfaithful")(
  "DownUnfaithful",
  {
    ...which,
    /** What was there before and is not afterwards, a line for each object. */
    missing: Schema.Array(Schema.String),
    /** What is there afterwards and was not before. */
    unexpected: Schema.Array(Schema.String)
  }
) {}

/** The run took longer than it may; the migration under way was undone, what was applied before it stays. */
export class RunTimedOut extends Schema.TaggedError<RunTimedOut>("@ai-core/database/RunTimedOut")("RunTimedOut", {
  afterMillis: Schema.Number,
  /** What was under way. */
  during: Schema.String
}) {}

/** There is no migration of this version. */
export class UnknownVersion extends Schema.TaggedError<UnknownVersion>("@ai-core/database/UnknownVersion")(
  "UnknownVersion",
  { version: Schema.BigInt }
) {}

export const MigrationReason = Schema.Union([
  FolderUnreadable,
  FileInvalid,
  ChecksumChanged,
  FileMissing,
  FutureApplied,
  OutOfOrder,
  HalfUndone,
  StatementFailed,
  StepFailed,
  Irreversible,
  DownUnfaithful,
  BackupFailed,
  RunTimedOut,
  UnknownVersion,
  LinterMissing
])
export type MigrationReason = typeof MigrationReason.Type

/** One sentence that says what went wrong, and what to do. */
export const migrationProblem = (reason: MigrationReason): string => {
  const named = "version" in reason && "name" in reason ? `${reason.version}_${reason.name}` : ""
  switch (reason._tag) {
    case "FolderUnreadable":
      return `the folder ${reason.folder} cannot be read: ${reason.cause instanceof Error ? reason.cause.message : String(reason.cause)}`
    case "FileInvalid":
      return `${reason.file} ${reason.problem}`
    case "ChecksumChanged":
      return `${named} was edited after it had been applied: write a new migration instead`
    case "FileMissing":
      return `${named} was applied, and its file is not here`
    case "FutureApplied":
      return `${named} was applied, and no file here is newer than ${reason.newest}: use the newer program that has it`
    case "OutOfOrder":
      return `${named} is older than ${reason.newest}, which was applied: give it a newer version`
    case "HalfUndone":
      return `${named} is undone only in part (statements done: ${reason.done}): \`down\` undoes the rest, after \`repair\` where its file had to be corrected; or put back by hand what is gone, and \`repair\` with forgetUnfinished`
    case "StatementFailed":
      return `${named} failed: ${reason.failure.message}`
    case "StepFailed":
      return `${named} failed: ${reason.cause instanceof Error ? reason.cause.message : String(reason.cause)}`
    case "Irreversible":
      return `${named} does not say how it is undone: give it a part \`-- migrate:down\``
    case "DownUnfaithful": {
      const lines = [...reason.missing.map((line) => `- ${line}`), ...reason.unexpected.map((line) => `+ ${line}`)]
      return [`${named} goes down and up to another schema than before:`, ...lines.slice(0, 20)].join("\n  ")
    }
    case "BackupFailed":
      return `the backup failed, so nothing was migrated: ${reason.detail}. ${reason.hint}`
    case "RunTimedOut":
      return `not done within ${Math.round(reason.afterMillis)} ms, during ${reason.during}`
    case "UnknownVersion":
      return `there is no migration of version ${reason.version}: \`status\` tells those that there are`
    case "LinterMissing":
      return reason.hint
  }
}

/** The schema could not be brought to where it was wanted; `reason` says why. What was applied before stays. */
export class MigrationError extends Schema.TaggedError<MigrationError>("@ai-core/database/MigrationError")(
  "MigrationError",
  { reason: MigrationReason }
) {
  override get message(): string {
    return migrationProblem(this.reason)
  }
}
