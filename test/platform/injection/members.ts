import { Effect, Predicate } from "effect"
import type { PostgresRepositories } from "../../../src/platform/PostgresRepositories.ts"
import type { Method, SomeAttempt } from "./attack.ts"
import { takesNothing } from "./Attempt.ts"

const isParts = (member: unknown): member is object =>
  Predicate.isObject(member) && !Effect.isEffect(member) && !("samples" in member)

const walk = (service: object, path = ""): ReadonlyArray<readonly [path: string, member: unknown]> =>
  Object.entries(service).flatMap(([name, member]: [string, unknown]) =>
    isParts(member) ? walk(member, `${path}${name}.`) : [[path + name, member] as const]
  )

const isMethod = (member: unknown): member is Method => typeof member === "function"

const isAttempt = (member: unknown): member is SomeAttempt<PostgresRepositories> =>
  Predicate.isObject(member) && "samples" in member

/** The methods of a service by their paths (`plans.create`), and what takes nothing. */
export const methodsOf = (service: object): ReadonlyMap<string, Method | typeof takesNothing> =>
  new Map(walk(service).map(([path, member]) => [path, isMethod(member) ? member : takesNothing]))

/** The attempts of a table by the paths of their methods. */
export const attemptsOf = (
  table: object
): ReadonlyMap<string, SomeAttempt<PostgresRepositories> | typeof takesNothing> =>
  new Map(walk(table).map(([path, member]) => [path, isAttempt(member) ? member : takesNothing]))
