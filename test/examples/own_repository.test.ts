import { it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { Notes } from "../../examples/own_repository/Notes.ts"
import { NotesContract } from "../../examples/own_repository/NotesContract.ts"
import * as NotesLive from "../../examples/own_repository/NotesLive.ts"
import * as NotesMemory from "../../examples/own_repository/NotesMemory.ts"
import * as NotesMigrations from "../../examples/own_repository/NotesMigrations.ts"
import { Reminders } from "../../examples/own_repository/Reminders.ts"
import { RemindersContract } from "../../examples/own_repository/RemindersContract.ts"
import * as RemindersLive from "../../examples/own_repository/RemindersLive.ts"
import * as RemindersMemory from "../../examples/own_repository/RemindersMemory.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import { runContract } from "../contracts/runContract.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { describeLive } from "../servers/index.ts"

const stored = Layer.merge(NotesLive.layer, RemindersLive.layer).pipe(
  Layer.provideMerge(TransactionLive.layer),
  Layer.provide(NotesMigrations.layer)
)
const memory = Layer.mergeAll(NotesMemory.layer, RemindersMemory.layer, TransactionMemory.layer).pipe(
  Layer.provide(PostgresMemory.layer)
)
const embedded = stored.pipe(Layer.provide(sharedEngine))
const live = () => stored.pipe(Layer.provide(freshClient()))

runContract(NotesContract, { implementation: "memory", layer: memory })
runContract(NotesContract, { implementation: "embedded", layer: embedded })
runContract(NotesContract, { implementation: "live", stores: ["postgresql"], layer: live })

runContract(RemindersContract, { implementation: "memory", layer: memory })
runContract(RemindersContract, { implementation: "embedded", layer: embedded })
runContract(RemindersContract, { implementation: "live", stores: ["postgresql"], layer: live })

it.live("the migrations of the notebook endanger nothing", () =>
  Effect.gen(function* () {
    const { lint } = yield* NotesMigrations.migrations
    assert.deepEqual(yield* lint, [])
  }).pipe(Effect.provide(sharedEngine))
)

describeLive("postgresql", "many at once", () => {
  it.layer(live(), { excludeTestServices: true })((it) => {
    it.effect("each reminder is one worker's", () =>
      Effect.gen(function* () {
        const notes = yield* Notes
        const reminders = yield* Reminders
        const now = yield* DateTime.now
        yield* Effect.forEach(Array.from({ length: 40 }), (_, n) =>
          Effect.flatMap(notes.create({ title: `${n}`, body: "" }), ({ id }) => reminders.add(id, now))
        )
        const taken = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => reminders.claim({ limit: 5, lease: "1 minute" }),
          { concurrency: "unbounded" }
        )
        const ids = taken.flat().map(({ reminder }) => reminder.id)
        assert.equal(ids.length, 40)
        assert.equal(new Set(ids).size, 40)
      })
    )

    it.effect("of many who edit the same version one wins, and the others are told the version", () =>
      Effect.gen(function* () {
        const notes = yield* Notes
        const { id } = yield* notes.create({ title: "raced", body: "" })
        const results = yield* Effect.forEach(
          Array.from({ length: 20 }),
          (_, n) => Effect.match(notes.edit(id, 1, `${n}`), { onSuccess: () => "won", onFailure: ({ _tag }) => _tag }),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(results.toSorted(), [...Array.from({ length: 19 }, () => "VersionConflict"), "won"])
      })
    )
  })
})
