import { type FieldProblem, InvalidData, StoreError } from "../core/StoreError.ts"

/** What a caller gave is wrong; nothing was sent. */
export const invalidInput = (operation: string, problems: ReadonlyArray<FieldProblem>): StoreError =>
  new StoreError({
    store: "redis",
    operation,
    outcome: "not-applied",
    reason: new InvalidData({ subject: "input", problems })
  })
