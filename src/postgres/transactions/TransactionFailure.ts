import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { invalidData } from "../../core/Decode.ts"
import { ConnectionLost, InvalidStatement, isStoreError, type Reason, StoreError } from "../../core/StoreError.ts"

/** A StoreError of ours, in the shape that Effect's client fails with. */
export const asSqlError = (error: StoreError): SqlError =>
  new SqlError({ reason: new ConnectionError({ cause: error, message: error.message, operation: error.operation }) })

/** The same for what may be a failure of the pool's own. */
export const poolFailure = <E>(error: E | StoreError): E | SqlError => (isStoreError(error) ? asSqlError(error) : error)

export const failure = (operation: string, reason: Reason): StoreError =>
  new StoreError({ store: "postgresql", operation, outcome: "not-applied", reason })

/** The connection ended before COMMIT was sent; why, where the server had said so. */
export const lostBefore = (why?: StoreError): SqlError => {
  const { code, detail } = why?.reason._tag === "ConnectionLost" ? why.reason : {}
  return asSqlError(
    failure(
      "Transaction.commit",
      new ConnectionLost({
        ...(code === undefined ? {} : { code }),
        detail: [detail, "it ended before COMMIT was sent"].filter((part) => part !== undefined).join("; ")
      })
    )
  )
}

/** PostgreSQL answers COMMIT with ROLLBACK where a statement inside had failed. */
export const rolledBack = (): SqlError =>
  asSqlError(
    failure(
      "Transaction.commit",
      new InvalidStatement({
        code: "25P02",
        detail: "a statement inside had failed, so PostgreSQL rolled the transaction back"
      })
    )
  )

/** The failure of a call whose transaction has ended before it. */
export const ended = (operation: string): StoreError =>
  failure(operation, new InvalidStatement({ detail: "the transaction around this call has ended" }))

export const wrongTenant = (operation: string, problem: string): StoreError =>
  invalidData({ store: "postgresql", operation, subject: "input" }, [{ field: "tenant", problem }])
