import * as Schema from "effect/Schema"

/** The secret stores that a reference may name; another one is written as `x-name:`. */
export const secretStores = ["vault", "env", "file", "k8s", "aws-sm", "gcp-sm", "azure-kv", "op"] as const

const reference = new RegExp(`^(?:${secretStores.join("|")}|x-[a-z0-9-]{1,30}):[!-~]{1,400}$`)

/** A name of an environment variable is short and plain; `env:` before a secret would be let through otherwise. */
const variable = /^env:[A-Za-z_][A-Za-z0-9_]{0,99}$/

/**
 * Says where a secret is kept, and is never the secret itself: `vault:kv/data/openai#key`, `env:OPENAI_KEY`.
 *
 * Text that does not begin with the name of a secret store is refused, also where it has a colon (`user:password`).
 */
export const SecretRef = Schema.String.check(
  Schema.makeFilter((text: string) => reference.test(text) && (!text.startsWith("env:") || variable.test(text)), {
    expected: `a reference to a secret, never the secret itself: ${secretStores.join(":, ")}: or x-name: and its place`
  })
)
