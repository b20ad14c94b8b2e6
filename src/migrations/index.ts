/** Brings a store's schema up to date from a folder of files. */
export * from "./MigrationError.ts"
export { parseMigration, readFolder } from "./MigrationFile.ts"
export * from "./Migrator.ts"
export type { AppliedMigration, Migration, MigrationDriver, MigrationSession } from "../core/MigrationDriver.ts"
