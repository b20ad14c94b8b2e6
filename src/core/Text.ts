import * as Schema from "effect/Schema"

/** Text that every store can hold as it is: no NUL (PostgreSQL refuses it) and no half of a surrogate pair. */
export const storable = Schema.makeFilter((text: string) => !text.includes("\0") && text.isWellFormed(), {
  expected: "text without NUL and without broken Unicode"
})

/** Text of any length that every store can hold: what is looked for may be as long as it likes. */
export const StorableText = Schema.String.check(storable)

/** Storable text of so many characters (Unicode code points). */
export const textOf = (minimum: number, maximum: number): Schema.String =>
  Schema.String.check(
    Schema.isBetweenCodePoints(minimum, maximum, { expected: `${minimum} to ${maximum} characters long` }),
    storable
  )

/** Text of one line: what goes into a header or a log as it is. */
export const withoutControls = Schema.makeFilter((text: string) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text), {
  expected: "text without control characters and line breaks"
})

export const withoutOuterSpace = Schema.makeFilter((text: string) => text.trim() === text, {
  expected: "text without space at its ends"
})

/** A name for people: 1 to 200 characters, no space at its ends. */
export const Name = textOf(1, 200).check(withoutOuterSpace)

/** A name for programs: lower-case letters, digits, `_`, `-`, `.` and `:`, a letter first; at most 100 characters. */
export const Slug = Schema.String.check(
  Schema.isPattern(/^[a-z][a-z0-9_.:-]{0,99}$/, {
    expected: "a name of lower-case letters, digits and _ - . : that begins with a letter, at most 100 characters long"
  })
)
