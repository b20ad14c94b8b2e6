/** 2^53 microseconds: further from 1970 than the year 2255 the driver's microseconds are off by up to 16. */
const nearMillis = Number.MAX_SAFE_INTEGER / 1000

/** Whether the driver would send another moment than this one. */
export const isFarDate = (value: unknown): value is Date =>
  value instanceof Date && Math.abs(value.getTime()) > nearMillis

/** A date as PostgreSQL reads it from text, exactly: years before 1 are counted back from 1 BC. */
export const dateText = (date: Date): string => {
  const year = date.getUTCFullYear()
  const iso = date.toISOString()
  const rest = iso.slice(iso.indexOf("-", 1))
  return year > 0 ? `${String(year).padStart(4, "0")}${rest}` : `${String(1 - year).padStart(4, "0")}${rest} BC`
}
