import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { cursorAgrees } from "../../core/KeysetPage.ts"
import { UserId } from "./Users.ts"
import { ApiKeyId, ApiKeyList, NewApiKey } from "./ApiKeys.ts"

const subject = (method: string) => ({ store: "postgresql", operation: `ApiKeys.${method}`, subject: "input" }) as const

const newKey = decodeInput(NewApiKey)
const secretOnly = decodeInput(Schema.Struct({ secret: Schema.Redacted(Schema.String) }))
const idOnly = decodeInput(Schema.Struct({ id: ApiKeyId }))
const list = decodeInput(Schema.Struct({ user: UserId, options: ApiKeyList }).check(cursorAgrees("user")))

/** The checks of what callers give to `ApiKeys`: one for every implementation, so that all refuse the same. */
export const ApiKeysInput = {
  issue: (key: unknown) => newKey(subject("issue"), key),
  authenticate: (secret: unknown) => secretOnly(subject("authenticate"), { secret }),
  revoke: (id: unknown) => idOnly(subject("revoke"), { id }),
  list: (user: unknown, options: unknown) => list(subject("list"), { user, options: options ?? {} })
}
