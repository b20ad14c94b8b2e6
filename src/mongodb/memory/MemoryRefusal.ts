import {
  ConstraintViolated,
  InvalidStatement,
  LimitExceeded,
  type Outcome,
  type Reason,
  StoreError
} from "../../core/StoreError.ts"

/** Why the engine refuses an operation: thrown inside one, and turned into the operation's StoreError. */
export class MemoryRefusal {
  readonly reason: Reason
  constructor(reason: Reason) {
    this.reason = reason
  }
}

export const refusal = (code: number, detail: string): MemoryRefusal =>
  new MemoryRefusal(new InvalidStatement({ code: String(code), detail }))

/** What a server can do and this engine cannot: it says so rather than answer otherwise. */
export const unsupported = (what: string): MemoryRefusal =>
  new MemoryRefusal(new InvalidStatement({ detail: `${what} is not supported in memory: test it against a server` }))

export const tooLarge = (): MemoryRefusal =>
  new MemoryRefusal(new LimitExceeded({ code: "10334", detail: "BSONObjectTooLarge" }))

export const duplicateKey = (collection: string, index: string, fields: ReadonlyArray<string>): MemoryRefusal =>
  new MemoryRefusal(
    new ConstraintViolated({
      kind: "unique",
      code: "11000",
      constraint: index,
      table: collection,
      column: fields.join(", "),
      detail: `key: ${fields.join(", ")}`
    })
  )

export const toStoreError = (operation: string, refused: MemoryRefusal, outcome: Outcome): StoreError =>
  new StoreError({ store: "mongodb", operation, reason: refused.reason, outcome })
