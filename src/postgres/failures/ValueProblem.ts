/** The class 22 errors that users meet, without the value that PostgreSQL quotes in its own message. */
export const valueProblem = (code: string): string => {
  switch (code) {
    case "22001":
      return "is longer than its column"
    case "22003":
      return "is outside the range of its type"
    case "22007":
    case "22008":
      return "is not a date or time that PostgreSQL knows"
    case "22012":
      return "divides by zero"
    case "22021":
      return "has characters that the database's encoding lacks"
    case "22P02":
    case "22P03":
      return "is not of the type that the statement expects"
    default:
      return `is not accepted by PostgreSQL (code ${code})`
  }
}
