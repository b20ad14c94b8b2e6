import { invalidData } from "../core/Decode.ts"
import type { FieldProblem, StoreError } from "../core/StoreError.ts"

/** What a caller gave is wrong; nothing was sent. */
export const invalidInput = (operation: string, problems: ReadonlyArray<FieldProblem>): StoreError =>
  invalidData({ store: "redis", operation, subject: "input" }, problems)
