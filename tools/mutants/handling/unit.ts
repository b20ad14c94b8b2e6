import type { Mutant } from "../Mutant.ts"

export const unit: ReadonlyArray<Mutant> = []
