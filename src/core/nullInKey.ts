/** The defect of a list whose order may be by null; `key` says what the field or column is part of. */
export const nullInKey = (key: string, field: string): Error =>
  new Error(
    `"${field}" of ${key} may not be null, because SQL would leave such rows out of every page but the first. Order by a ` +
      "`not null` column: one that is `generated always as (coalesce(…)) stored` takes the place of one that may be null; in " +
      "memory, compare by what that column holds"
  )
