/** What a call to a store is for: names it in failures and spans, and says when it may be sent again. */
export interface StoreCall {
  /** The method that the caller knows: `Users.create`. */
  readonly operation: string
  /** A write whose answer is lost has an unknown outcome; a read applies nothing. */
  readonly kind: "read" | "write"
  /** Running it twice is harmless although it writes, so that it is sent again where its outcome is unknown; no by default. */
  readonly idempotent?: boolean | undefined
}
