import { Layer } from "effect"
import { NotesContract } from "../../examples/own_repository/NotesContract.ts"
import * as NotesLive from "../../examples/own_repository/NotesLive.ts"
import * as NotesMemory from "../../examples/own_repository/NotesMemory.ts"
import * as NotesMigrations from "../../examples/own_repository/NotesMigrations.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TransactionMemory from "../../src/postgres/TransactionMemory.ts"
import { runContract } from "../contracts/runContract.ts"
import { freshClient } from "../postgres/freshClient.ts"

const stored = NotesLive.layer.pipe(Layer.provideMerge(TransactionLive.layer), Layer.provide(NotesMigrations.layer))

runContract(NotesContract, {
  implementation: "memory",
  layer: Layer.merge(NotesMemory.layer, TransactionMemory.layer).pipe(Layer.provide(PostgresMemory.layer))
})
runContract(NotesContract, { implementation: "embedded", layer: stored.pipe(Layer.provide(PostgresEmbedded.layer())) })
runContract(NotesContract, {
  implementation: "live",
  stores: ["postgresql"],
  layer: () => stored.pipe(Layer.provide(freshClient()))
})
