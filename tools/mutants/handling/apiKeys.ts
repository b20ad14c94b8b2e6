import { at, type Mutant } from "../Mutant.ts"

const file = "src/platform/users/ApiKeysLive.ts"
const readOnly = at("test/platform/ApiKeysReadOnly.test.ts")
const live = at("test/contracts/ApiKeys.test.ts", "live")
const together = at("test/platform/ApiKeysConcurrency.test.ts")

/** How keys are accepted on PostgreSQL, whatever becomes of the note of their use: taken out. */
export const apiKeys: ReadonlyArray<Mutant> = [
  {
    name: "ApiKeys: no key opens where nothing can be written",
    file,
    find: "if (readOnly || (key",
    replace: "if ((key",
    red: [live("a key opens in a read-only transaction too")]
  },
  {
    name: "ApiKeys: no key opens in the moment in which the server stops taking writes",
    file,
    find: 'reason._tag === "NotPrimary"',
    replace: 'reason._tag === "Overloaded"',
    red: [readOnly("between the look and the note")]
  },
  {
    name: "ApiKeys: every caller of the first moment notes the use",
    file,
    find: "and (last_used_at is null or last_used_at <=",
    replace: "and (true or last_used_at <=",
    red: [together("30 who use one key at once")]
  }
]
