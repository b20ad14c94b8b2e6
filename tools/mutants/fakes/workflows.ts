import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/Workflows.test.ts" }]

const content = "src/platform/workflows/WorkflowContent.ts"
const execution = "src/platform/workflows/WorkflowExecution.ts"
const schedule = "src/platform/workflows/WorkflowSchedule.ts"
const tables = "src/platform/workflows/WorkflowTables.ts"
const definitions = "src/platform/workflows/DefinitionsMemory.ts"
const executions = "src/platform/workflows/ExecutionsMemory.ts"
const steps = "src/platform/workflows/StepsMemory.ts"
const claims = "src/postgres/memory/MemoryClaims.ts"
const schedules = "src/platform/workflows/SchedulesMemory.ts"
const times = "src/platform/workflows/scheduleTimes.ts"
const clocks = [{ file: "test/platform/scheduleTimes.test.ts" }]

/** Defects of workflows in memory. */
export const workflows: ReadonlyArray<Mutant> = [
  {
    name: "Workflows: a step may wait for itself in a circle",
    file: content,
    find: "circle.has(key) && circle.has(on)",
    replace: "circle.has(key) && circle.has(on) && false",
    red
  },
  {
    name: "Workflows: what leads into a circle is blamed for it",
    file: content,
    find: "    for (const [key, dependsOn] of left) if (!dependsOn.some((on) => left.has(on))) left.delete(key)\n",
    replace: "",
    red
  },
  {
    name: "Workflows: a slug is taken twice",
    file: tables,
    find: "unique: { workflows_slug_key: ({ slug }) => slug },",
    replace: "unique: { workflows_slug_key: ({ id }) => id },",
    red
  },
  {
    name: "Workflows: a workflow goes with its owner",
    file: tables,
    find: "onRemoval: (workflow) => ({ ...workflow, ownerId: null })",
    replace: `onRemoval: "cascade"`,
    red
  },
  {
    name: "Workflows: an edit of another version wins",
    file: definitions,
    find: "workflow.version !== expected\n",
    replace: "workflow.version < expected\n",
    red
  },
  {
    name: "Workflows: an archived workflow is edited",
    file: definitions,
    find: `workflow.state === "archived"\n`,
    replace: `workflow.state !== workflow.state\n`,
    red
  },
  {
    name: "Workflows: publishing counts as an edit",
    file: definitions,
    find: "{ ...workflow, latestVersion: version.number }",
    replace: "{ ...workflow, latestVersion: version.number, version: workflow.version + 1 }",
    red
  },
  {
    name: "Workflows: the caller's own object is kept",
    file: definitions,
    find: "      steps: storedJson(steps),\n",
    replace: "      steps,\n",
    red
  },
  {
    name: "Workflows: the list begins with the oldest",
    file: tables,
    find: "export const newestFirst: Order.Order<Place> = Order.flip(\n",
    replace: "export const newestFirst: Order.Order<Place> = ((order: Order.Order<Place>) => order)(\n",
    red
  },
  {
    name: "Workflows: the idempotency key is ignored",
    file: executions,
    find: "if (Option.isSome(known)) return known.value",
    replace: "if (Option.isSome(known) && false) return known.value",
    red
  },
  {
    name: "Workflows: a version that is named is not the one that is started",
    file: executions,
    find: "versionKey(id, number ?? latestVersion)",
    replace: "versionKey(id, latestVersion)",
    red
  },
  {
    name: "Workflows: a canceled step stays its worker's",
    file: executions,
    find: `step.state === "blocked" || step.state === "ready" || step.state === "running"`,
    replace: `step.state === "blocked" || step.state === "ready"`,
    red
  },
  {
    name: "Workflows: a retry gives no fresh attempts",
    file: executions,
    find: "          attempts: 0,\n          availableAt: now,\n          finishedAt: null",
    replace: "          availableAt: now,\n          finishedAt: null",
    red
  },
  {
    name: "Workflows: a retry leaves what was skipped",
    file: executions,
    find: `step.state === "dead" || step.state === "skipped" ||`,
    replace: `step.state === "dead" ||`,
    red
  },
  {
    name: "Workflows: a paused execution may be retried",
    file: execution,
    find: `paused: ["running", "succeeded", "failed", "canceled"],`,
    replace: `paused: ["pending", "running", "succeeded", "failed", "canceled"],`,
    red
  },
  {
    name: "Workflows: a step is ready before all it waits for has succeeded",
    file: steps,
    find: 'if (other.state !== "blocked" || !other.dependsOn.includes(done.key) || !isReleased(steps, other)) continue',
    replace: 'if (other.state !== "blocked" || !other.dependsOn.includes(done.key)) continue',
    red
  },
  {
    name: "Workflows: steps of paused executions are taken",
    file: steps,
    find: `(state === "pending" || state === "running") && (kinds`,
    replace: `state !== undefined && isGoing(state) && (kinds`,
    red
  },
  {
    name: "Workflows: kinds do not narrow a claim",
    file: steps,
    find: "(kinds === undefined || kinds.includes(kind))",
    replace: "(kinds === undefined || kinds.length > 0 || kind)",
    red
  },
  {
    name: "Workflows: a claim takes more than its limit",
    file: claims,
    find: ".slice(0, limit)",
    replace: "",
    red
  },
  {
    name: "Workflows: what was due first is not taken first",
    file: claims,
    find: "        .sort(byTurn)\n        .slice",
    replace: "        .slice",
    red
  },
  {
    name: "Workflows: a timeout does not end a lease",
    file: steps,
    find: "          atMost: ({ timeoutMillis }) => timeoutMillis,\n",
    replace: "",
    red
  },
  {
    name: "Workflows: a heartbeat outlives the timeout",
    file: steps,
    find: "claims.renewed(lease, now, endOfTry(step, now))",
    replace: "claims.renewed(lease, now)",
    red
  },
  {
    name: "Workflows: completing twice counts twice",
    file: steps,
    find: "before.value.finishedBy === token",
    replace: "before.value.finishedBy === undefined",
    red
  },
  {
    name: "Workflows: spent steps are not buried",
    file: steps,
    find: "        yield* bury(db, now)\n",
    replace: "",
    red
  },
  {
    name: "Workflows: a dead step does not fail its execution",
    file: steps,
    find: `const died = after.state === "dead" && isGoing(execution.state) ? after : undefined`,
    replace: `const died = after.state === "dead" && execution.state === "pending" ? after : undefined`,
    red
  },
  {
    name: "Workflows: the rest is not skipped",
    file: steps,
    find: `    if (state === "failed") {\n`,
    replace: `    if (state === "canceled") {\n`,
    red
  },
  {
    name: "Workflows: costs of failed tries are lost",
    file: steps,
    find: "          costMinor: step.costMinor + costMinor\n        }\n        const after",
    replace: "          costMinor: step.costMinor\n        }\n        const after",
    red
  },
  {
    name: "Workflows: the result has every step's output",
    file: steps,
    find: "return outputs(steps.filter(({ key }) => !wanted.has(key)))",
    replace: "return outputs(steps.filter(({ key }) => !wanted.has(key) || true))",
    red
  },
  {
    name: "Workflows: a cron text is read in UTC",
    file: times,
    find: 'Cron.parse(cron, isEverySoOften(cron) ? "UTC" : zone)',
    replace: 'Cron.parse(cron, "UTC")',
    red
  },
  {
    name: "Workflows: an edit of the name makes the next run anew",
    file: schedule,
    find: "sameTimes && schedule.enabled ? schedule.nextRunAt",
    replace: "sameTimes && schedule.enabled ? now",
    red
  },
  {
    name: "Workflows: missed times are made up for one by one",
    file: schedule,
    find: "const after: WorkflowSchedule = { ...schedule, ...resting(Option.getOrNull(nextRun(schedule, now))) }",
    replace:
      "const after: WorkflowSchedule = { ...schedule, ...resting(Option.getOrNull(nextRun(schedule, schedule.nextRunAt ?? now))) }",
    red
  },
  {
    name: "Workflows: a missed time runs, whatever the schedule says",
    file: schedule,
    find: `missedRuns === "skip" && DateTime`,
    replace: `missedRuns !== "skip" && DateTime`,
    red
  },
  {
    name: "Workflows: schedules of archived workflows run",
    file: schedules,
    find: `({ state }) => state === "active"`,
    replace: `({ state }) => state !== undefined`,
    red
  },
  {
    name: "Workflows: what a schedule started goes with it",
    file: tables,
    find: "onRemoval: (execution) => ({ ...execution, scheduleId: null })",
    replace: `onRemoval: "cascade"`,
    red
  },
  {
    name: "Workflows: an hour that the clocks show twice runs once",
    file: times,
    find: '.some((field) => field.startsWith("*"))',
    replace: '.every((field) => field === "?")',
    red: clocks
  },
  {
    name: "Workflows: a fixed hour that the clocks show twice runs twice",
    file: times,
    find: '.some((field) => field.startsWith("*"))',
    replace: '.some((field) => field !== "")',
    red: clocks
  },
  {
    name: "Workflows: a time that the clocks jump over is shown nevertheless",
    file: times,
    find: "if (offsetAt(time) === offset) return time",
    replace: "if (offset < 86_400_000) return time",
    red: clocks
  }
]
