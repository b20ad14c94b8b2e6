import { InvalidStatement, StoreError } from "../../core/StoreError.ts"
import { type SessionStatement, sessionStatement } from "./SessionStatement.ts"

const refusal = (text: string, detail: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation: "statement",
    outcome: "not-applied",
    statement: { text },
    reason: new InvalidStatement({ detail })
  })

/** Why a statement may not be sent over a connection that is another's next: it would hand its session on changed. */
export const refusedOnShared = (text: string): StoreError | undefined => {
  const found = sessionStatement(text)
  if (found === undefined) return undefined
  const problem =
    found.effect === "lasts"
      ? "it would last for whoever gets the connection next"
      : "a transaction is one connection's, and the next statement may get another"
  return refusal(text, `${problem}; use ${found.instead}`)
}

/** Why a statement may not be sent inside a transaction that is begun and ended for it; savepoints may. */
export const refusedInTransaction = (
  text: string,
  found: SessionStatement | undefined = sessionStatement(text)
): StoreError | undefined => {
  if (found === undefined || found.effect === "savepoint") return undefined
  return refusal(
    text,
    found.effect === "lasts"
      ? `it would outlast the transaction around it; use ${found.instead}`
      : "the transaction around it commits where its effect succeeds, and rolls back where that fails"
  )
}
