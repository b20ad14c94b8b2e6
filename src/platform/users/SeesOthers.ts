import { invalidData } from "../../core/Decode.ts"
import type { StoreError } from "../../core/StoreError.ts"

/**
 * Whether what ends or takes away all that others have given a user may run at this isolation level.
 *
 * A stricter snapshot does not show what was given since it began, and nothing conflicts: a token would stay good, or a row be
 * left, with nobody told. Below `read committed` PostgreSQL knows no level.
 */
export const seesOthers = (isolation: string): boolean =>
  isolation === "read committed" || isolation === "read uncommitted"

/** The refusal of a stricter one. */
export const tooStrict = (operation: string, isolation: string): StoreError =>
  invalidData({ store: "postgresql", operation, subject: "input" }, [
    {
      field: "isolation",
      problem: `must be "read committed" in the transaction around this call, in which it is "${isolation}"; else what others give the user meanwhile would outlive the call`
    }
  ])
