import * as Schema from "effect/Schema"

const expected = "an http or https URL without credentials and fragment"

/** How a URL parser writes the address; its query may hold a key, and is not told. */
const read = ({ origin, pathname, search }: URL): string => origin + pathname + (search === "" ? "" : "?…")

/** Why it is no address of a service; nothing where it is one. */
const problemOf = (text: string): string | undefined => {
  // Visible ASCII alone: control characters and spaces are what a parser would drop in silence.
  if (!/^https?:\/\/[!-~]{1,2000}$/.test(text) || !URL.canParse(text)) return `Expected ${expected}`
  const url = new URL(text)
  const { hash, href, password, username } = url
  if (username !== "" || password !== "" || hash !== "" || text.endsWith("#")) return `Expected ${expected}`
  // Parsers differ in what they make of a backslash, of an escaped host, of 0x7f.1 and of dots in a path: who checks the address
  // with one of them must not see another host than who calls it with the next.
  const whole = text.replace(/^https?:\/\/[^/?]*(?=\?|$)/, "$&/")
  return href === whole ? undefined : `Expected ${read(url)}, as a URL parser reads it`
}

/**
 * Where a service answers: http or https, without credentials and fragment, at most 2000 characters behind the scheme.
 *
 * It is written as every parser reads it, by the URL standard: the host in lower case, an IPv4 address as four numbers, no default
 * port, no backslash, no `.` and `..` in the path; a problem names that form. Private and loopback addresses are allowed, because
 * services live there: whoever takes addresses from strangers refuses them before, and again once the name is resolved.
 */
export const ServiceUrl = Schema.String.check(Schema.makeFilter(problemOf, { expected }))

/** What the URLs of services begin with: without a query, too. */
export const BaseUrl = ServiceUrl.check(
  Schema.makeFilter((text: string) => !text.includes("?"), { expected: "a URL without a query" })
)
