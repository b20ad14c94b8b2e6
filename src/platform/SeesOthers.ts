import { invalidData } from "../core/Decode.ts"
import type { StoreError } from "../core/StoreError.ts"

/**
 * Whether what ends, takes away or counts all that others have stored may run at this isolation level.
 *
 * A stricter snapshot does not show what was stored since it began, and nothing conflicts: a token would stay good, a row be
 * left, or usage be charged to nobody, with nobody told. Below `read committed` PostgreSQL knows no level.
 */
export const seesOthers = (isolation: string): boolean =>
  isolation === "read committed" || isolation === "read uncommitted"

/** The refusal of a stricter one. */
export const tooStrict = (operation: string, isolation: string): StoreError =>
  invalidData({ store: "postgresql", operation, subject: "input" }, [
    {
      field: "isolation",
      problem: `must be "read committed" in the transaction around this call, in which it is "${isolation}"; else what others commit meanwhile would be passed over`
    }
  ])
