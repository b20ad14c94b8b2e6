import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Slug } from "../../core/Text.ts"
import { StorableJsonObject } from "../../core/StorableJson.ts"

const whole = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }, { expected: `a whole number from ${minimum} to ${maximum}` }))

const orElse = <A>(value: A) => Effect.succeed(value)

/** One step of a workflow: what a worker does, and after which others. */
export const StepDefinition = Schema.Struct({
  /** Names the step within its workflow. */
  key: Slug,
  /** Says to workers what is to be done: `http.request`, `llm.generate`. */
  kind: Slug,
  /** Keys of the steps that must have succeeded before; none where nothing is said. */
  dependsOn: Schema.Array(Slug).pipe(Schema.withDecodingDefaultKey(orElse<ReadonlyArray<string>>([]))),
  /** What the worker needs to know; of a secret its reference, never the secret itself. */
  config: StorableJsonObject.pipe(Schema.withDecodingDefaultKey(orElse<StorableJsonObject>({}))),
  /** Times it may be tried: 1 to 100, 3 where nothing is said. */
  maxAttempts: whole(1, 100).pipe(Schema.withDecodingDefaultKey(orElse(3))),
  /** Longest time that one try may take, in milliseconds: up to 7 days, 5 minutes where nothing is said. */
  timeoutMillis: whole(1, 604_800_000).pipe(Schema.withDecodingDefaultKey(orElse(300_000))),
  /** Pause after the first failed try, doubled after each further one up to 1 hour; 1 second where nothing is said. */
  backoffMillis: whole(0, 3_600_000).pipe(Schema.withDecodingDefaultKey(orElse(1000)))
})
export type StepDefinition = typeof StepDefinition.Type
/** A step as it is written: what is left out has its default. */
export type NewStepDefinition = typeof StepDefinition.Encoded

/** Steps of one workflow. */
export const mostSteps = 500

/** The steps that stand in a circle, or between two: neither behind all that can run, nor before nothing else. */
const circling = (steps: ReadonlyArray<StepDefinition>): ReadonlySet<string> => {
  const left = new Map(steps.map(({ dependsOn, key }) => [key, dependsOn]))
  for (let before = -1; before !== left.size;) {
    before = left.size
    for (const [key, dependsOn] of left) if (!dependsOn.some((on) => left.has(on))) left.delete(key)
    const wanted = new Set([...left.values()].flat())
    for (const key of left.keys()) if (!wanted.has(key)) left.delete(key)
  }
  return new Set(left.keys())
}

const problemsOf = (steps: ReadonlyArray<StepDefinition>): Array<Schema.FilterIssue> => {
  const issues: Array<Schema.FilterIssue> = []
  const keys = new Set<string>()
  for (const [i, { key }] of steps.entries()) {
    if (keys.has(key)) issues.push({ path: [i, "key"], issue: "Expected a key that no other step has" })
    keys.add(key)
  }
  for (const [i, { dependsOn }] of steps.entries()) {
    for (const [j, on] of dependsOn.entries()) {
      const path = [i, "dependsOn", j]
      if (!keys.has(on)) issues.push({ path, issue: "Expected the key of a step of this workflow" })
      else if (dependsOn.indexOf(on) !== j) issues.push({ path, issue: "Expected each key once" })
    }
  }
  if (issues.length > 0) return issues
  const circle = circling(steps)
  return steps.flatMap(({ dependsOn, key }, i) =>
    dependsOn.flatMap((on, j) =>
      circle.has(key) && circle.has(on)
        ? [{ path: [i, "dependsOn", j], issue: "Expected a step that does not wait for this one in turn" }]
        : []
    )
  )
}

/** The steps of a workflow, at most 500: each key once, every dependency among them, and no circle. */
export const StepDefinitions = Schema.Array(StepDefinition).check(
  Schema.isMaxLength(mostSteps, { expected: `at most ${mostSteps} steps` }),
  Schema.makeFilter(problemsOf)
)
