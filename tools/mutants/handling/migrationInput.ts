import { at, type Mutant } from "../Mutant.ts"

const input = at("test/migrations/MigrationsInput.test.ts")
const engine = "src/migrations/Migrations.ts"

/** What migrations refuse of what they are asked, taken. */
export const migrationInput: ReadonlyArray<Mutant> = [
  {
    name: "Migrations: a negative step undoes all but the oldest",
    file: engine,
    find: 'Effect.andThen(checkDown(subject("down"), downOptions), read)',
    replace: "Effect.andThen(Effect.sync(() => checkDown), read)",
    red: [input("down and redo take whole steps")]
  },
  {
    name: "Migrations: half a step is one",
    file: "src/migrations/MigrationsInput.ts",
    find: "Schema.Int.check(Schema.isGreaterThanOrEqualTo(1",
    replace: "Schema.Number.check(Schema.isGreaterThanOrEqualTo(1",
    red: [input("down and redo take whole steps")]
  },
  {
    name: "Migrations: an unknown version is gone down to in silence",
    file: engine,
    find: "to !== undefined && to !== 0n && !known",
    replace: "to === 0n && to !== 0n && !known",
    red: [input("down goes to a version that files or history know")]
  },
  {
    name: "Migrations: what is to be repaired is not looked at",
    file: engine,
    find: 'Effect.andThen(checkRepair(subject("repair"), repairOptions), read)',
    replace: "Effect.andThen(Effect.sync(() => checkRepair), read)",
    red: [input("repair and baseline refuse")]
  },
  {
    name: "Migrations: a duration that is none is a defect",
    file: engine,
    find: 'Effect.andThen(checkOptions(subject("make"), options), readAll)',
    replace: "Effect.andThen(Effect.sync(() => checkOptions), readAll)",
    red: [input("the engine's own options")]
  },
  {
    name: "Migrations: a program may have any version and name",
    file: engine,
    find: "versionProblem(one.version) ?? nameProblem(one.name)",
    replace: "(one.version < -(2n ** 64n) ? (versionProblem(0n) ?? nameProblem(0)) : undefined)",
    red: [input("a program's version and name")]
  },
  {
    name: "Migrations: a driver whose options are none is made",
    file: "src/postgres/PostgresMigrations.ts",
    find: `      checkOptions({ store: "postgresql", operation: "PostgresMigrations.make", subject: "input" }, options),`,
    replace: "      Effect.sync(() => [checkOptions, options]),",
    red: [input("the driver refuses durations")]
  }
]
