import * as Schema from "effect/Schema"

const isServiceUrl = (text: string): boolean => {
  // Visible ASCII alone: what a URL parser would drop or rewrite in silence is refused.
  if (!/^https?:\/\/[!-~]{1,2000}$/.test(text) || !URL.canParse(text)) return false
  const { hash, password, username } = new URL(text)
  return username === "" && password === "" && hash === "" && !text.endsWith("#")
}

/** Where a service answers: http or https, without credentials and fragment, at most 2000 characters behind the scheme. */
export const ServiceUrl = Schema.String.check(
  Schema.makeFilter(isServiceUrl, { expected: "an http or https URL without credentials and fragment" })
)

/** What the URLs of services begin with: without a query, too. */
export const BaseUrl = ServiceUrl.check(
  Schema.makeFilter((text: string) => !text.includes("?"), { expected: "a URL without a query" })
)
