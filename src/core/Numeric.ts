import * as BigDecimal from "effect/BigDecimal"
import { identity } from "effect/Function"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** Whether a number has at most so many digits before the point and behind it. */
export const hasDigits = (number: BigDecimal.BigDecimal, before: number, behind: number): boolean => {
  const { scale, value } = BigDecimal.normalize(number)
  return value === 0n || (scale <= behind && String(value).replace("-", "").length - scale <= before)
}

const oneForm = SchemaTransformation.transform<BigDecimal.BigDecimal, BigDecimal.BigDecimal>({
  decode: BigDecimal.normalize,
  encode: identity
})

/**
 * A number that a column `numeric(precision, scale)` holds, exactly: at most `scale` digits behind the point, and as many before it
 * as are left of `precision`. PostgreSQL would round what has more behind it.
 *
 * Decoded, equal numbers have one form: 10.50 is 10.5.
 */
export const Numeric = (precision: number, scale: number) =>
  Schema.BigDecimal.check(
    Schema.makeFilter((number: BigDecimal.BigDecimal) => hasDigits(number, precision - scale, scale), {
      expected: `a number of at most ${precision - scale} digits before the point and ${scale} behind it`
    })
  ).pipe(Schema.decodeTo(Schema.BigDecimal, oneForm))

/** A number as text, in the one form that equal numbers have. */
export const NumericFromText = Schema.BigDecimalFromString.pipe(Schema.decodeTo(Schema.BigDecimal, oneForm))
