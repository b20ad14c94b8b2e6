import type { Bench } from "../harness.ts"
import { clickhouse } from "./clickhouse.ts"
import { imports } from "./imports.ts"
import { memory } from "./memory.ts"
import { mongodb } from "./mongodb.ts"
import { postgres } from "./postgres.ts"
import { redis } from "./redis.ts"

/** Every bench, in the order of the table. */
export const suites: ReadonlyArray<Bench> = [...postgres, ...redis, ...mongodb, ...clickhouse, ...imports, ...memory]
