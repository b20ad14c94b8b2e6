/** PostgreSQL: our client against `pg` and its peers, each with a pool of 10, on the same rows. */
import type { Bench } from "../harness.ts"
import { many } from "./postgres/many.ts"
import { migrations } from "./postgres/migrations.ts"
import { repositories } from "./postgres/repository.ts"
import { statements } from "./postgres/statements.ts"

export const postgres: ReadonlyArray<Bench> = [...statements, ...repositories, ...many, ...migrations]
