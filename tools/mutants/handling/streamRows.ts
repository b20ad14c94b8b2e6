import type { Mutant } from "../Mutant.ts"

export const streamRows: ReadonlyArray<Mutant> = []
