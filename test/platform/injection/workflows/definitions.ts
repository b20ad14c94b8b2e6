import { Effect } from "effect"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import {
  VersionCursor,
  WorkflowCursor,
  type WorkflowId
} from "../../../../src/platform/workflows/WorkflowDefinition.ts"
import { Workflows } from "../../../../src/platform/workflows/Workflows.ts"
import { someUser } from "../../../../src/testing/contracts/users.ts"
import { created, noWorkflow } from "../../../../src/testing/contracts/workflows/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, json, nothing, slug, time } from "../samples.ts"

const filter = { state: "archived", ownerId: UserId.make(nothing) } as const
const after = WorkflowCursor.make(cursorText("workflows", { createdAt: time.epochMilliseconds, id: nothing }))
const versionAfter = VersionCursor.make(cursorText("workflow-versions", { id: nothing, number: 1 }))

const definition = Effect.gen(function* () {
  const name = yield* slug("flow")
  const step = { kind: name, config: json, maxAttempts: 1, timeoutMillis: 1000, backoffMillis: 1000 }
  return {
    slug: name,
    name: "Flow",
    description: "Flow",
    ownerId: (yield* someUser()).id,
    steps: [
      { ...step, key: "first", dependsOn: [] },
      { ...step, key: "second", dependsOn: ["first"] }
    ]
  }
})

const stored = ({ id }: { readonly id: WorkflowId }) => Effect.flatMap(Workflows, ({ findById }) => findById(id))

const some = Effect.map(created(), ({ id }) => [id] as const)

type Definitions = Pick<
  Workflows["Service"],
  | "create"
  | "findById"
  | "findMany"
  | "findBySlug"
  | "update"
  | "publish"
  | "archive"
  | "restore"
  | "list"
  | "stream"
  | "findVersion"
  | "listVersions"
>

export const definitions: Attempts<Definitions, Workflows | Users> = {
  create: { parameters: [""], samples: [Effect.map(definition, (workflow) => [workflow])], keeps: stored },
  findById: { parameters: ["id"], samples: [Effect.succeed([noWorkflow])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[noWorkflow]])] },
  findBySlug: { parameters: ["slug"], samples: [Effect.succeed(["nothing"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* created()
        return [id, version, yield* definition] as const
      })
    ],
    keeps: stored
  },
  publish: {
    parameters: ["id", "expectedVersion"],
    samples: [Effect.map(created(), ({ id, version }) => [id, version])]
  },
  archive: { parameters: ["id"], samples: [some] },
  restore: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const [id] = yield* some
        yield* (yield* Workflows).archive(id)
        return [id] as const
      })
    ]
  },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  findVersion: { parameters: ["id", "number"], samples: [Effect.succeed([noWorkflow, 1])] },
  listVersions: {
    parameters: ["id", "options"],
    samples: [Effect.succeed([noWorkflow, { limit: 1, after: versionAfter }])]
  }
}
