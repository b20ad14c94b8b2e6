import * as Schema from "effect/Schema"

const number = "(?:0|[1-9]\\d*)"
const part = `(?:${number}|\\d*[a-zA-Z-][0-9a-zA-Z-]*)`

/** As semver.org's grammar has it (Semantic Versioning 2.0.0). */
const pattern = new RegExp(
  `^${number}\\.${number}\\.${number}(?:-${part}(?:\\.${part})*)?(?:\\+[0-9a-zA-Z-]+(?:\\.[0-9a-zA-Z-]+)*)?$`
)

/** The version of a service's interface: `1.4.0`, `2.0.0-rc.1`; at most 100 characters. */
export const SemanticVersion = Schema.String.check(
  Schema.makeFilter((text: string) => text.length <= 100 && pattern.test(text), {
    expected: "a semantic version such as 1.4.0, at most 100 characters long"
  })
)
