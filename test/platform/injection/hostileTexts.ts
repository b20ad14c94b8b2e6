/**
 * Texts that would do harm if they ever became part of a statement, each in its own way. `#` becomes a number, so that no two
 * attempts collide where a text must be the only one.
 */
export const hostileTexts = {
  "a quote that ends the value": "#'); drop table ai_core.users; --",
  "the same without a space": "#');update/**/public.canary/**/set/**/note='dead';--",
  "a stacked statement": "#; delete from public.canary; select nextval('public.canary_seq')",
  "a comment": "#' or 1=1 /* -- */ -- ",
  "a quoted name": `#"; drop schema ai_core cascade; create role intruder superuser; --`,
  "dollar quotes and parameters": "#$$; truncate public.canary; $$ $1 $2 $body$",
  backslashes: "#\\'; drop table public.canary; \\x27 \\\\",
  "quotes of other alphabets": "#\u02BC\u2019\uFF07\u02B9; drop table public.canary; U&'\\0027'",
  "a zero byte": "#\0'; drop table public.canary; --",
  "half of a surrogate pair": "#\uD800'; drop table public.canary; --",
  "words for nothing": "# null NULL undefined NaN '' \\0 %00",
  "places of other formats": "#%s %I %L %1$s {{x}} ${x} #{x} :name @p0 ?",
  "patterns of LIKE and regular expressions": "%#_\\%[a-z]*(.*)",
  "lists, rows and JSON": `{"#",NULL}[](1,'x'){"a":1}`,
  "lines of COPY": "#\\N\t1\r\n\\.\n"
} as const satisfies Record<string, string>

/** Names of fields that mean something to JavaScript, beside the hostile texts: where JSON is kept, they are names like others. */
export const hostileNames = { ...hostileTexts, prototype: "__proto__", constructor: "constructor" } as const

/** Where something is looked for, what would find everything too. */
export const searchTexts = { ...hostileTexts, "all that LIKE finds": "%", "all that a pattern finds": ".*" } as const

/** Some of them, for what is no text by its type: that is refused whatever the text says. */
export const fewTexts = {
  "a quote that ends the value": hostileTexts["a quote that ends the value"],
  "lists, rows and JSON": hostileTexts["lists, rows and JSON"]
} as const

let serial = 0

/** The text with a number that no other has. */
export const numbered = (text: string): string => text.replace("#", String(++serial))
