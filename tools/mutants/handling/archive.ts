import { at, type Mutant } from "../Mutant.ts"

const together = at("test/platform/WorkflowsConcurrency.test.ts")

/** How starts and archives of a workflow wait for each other on PostgreSQL: taken out. */
export const archive: ReadonlyArray<Mutant> = [
  {
    name: "Workflows: a start passes an archive at that moment",
    file: "src/platform/workflows/ExecutionsLive.ts",
    find: "and w.state <> 'archived' for share",
    replace: "and w.state <> 'archived' for key share",
    red: [together("a start that waits for an archive"), together("who archives waits for a start")]
  }
]
