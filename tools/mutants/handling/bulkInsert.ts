import type { Mutant } from "../Mutant.ts"

export const bulkInsert: ReadonlyArray<Mutant> = []
