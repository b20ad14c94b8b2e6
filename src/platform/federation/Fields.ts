import * as Schema from "effect/Schema"
import { Slug } from "../../core/Text.ts"

/** Each of them once, from so many to so many, as they were given. */
export const slugs = (minimum: number, maximum: number) =>
  Schema.Array(Slug).check(
    Schema.makeFilter(
      (given: ReadonlyArray<string>) =>
        given.length >= minimum && given.length <= maximum && new Set(given).size === given.length,
      { expected: `${minimum} to ${maximum} names, each of them once` }
    )
  )

/** A share among others: 1 to 1000. */
export const Weight = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))

/** What a change asks for, at least one field of it. */
export const atLeastOne = Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, {
  expected: "at least one change"
})
