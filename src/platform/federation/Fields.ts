import { Schema } from "effect"
import { cursor } from "../../core/KeysetPage.ts"
import { Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { ListOrder } from "../Lists.ts"

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

/** Cursors of one list by a time and the id; those of other lists are refused. */
export const listCursor = <Text extends string>(list: string, text: Schema.Codec<Text, string>) =>
  cursor(
    text,
    Schema.Struct({
      list: Schema.Literal(list),
      order: ListOrder,
      at: Schema.DateTimeUtcFromMillis,
      id: TimeOrderedId
    })
  )
