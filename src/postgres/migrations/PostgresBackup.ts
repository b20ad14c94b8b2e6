import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { execFile } from "node:child_process"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { type Credential, currentCredential } from "../../core/Credential.ts"
import { BackupFailed } from "../../core/MigrationFailure.ts"
import { parseAddress, type PostgresAddress, type TlsParameters } from "../session/PostgresAddress.ts"

/** What is backed up, by which programs, and where to. */
export interface PostgresBackupOptions {
  readonly url: Credential
  /** Folder of the backups; made where it is missing. */
  readonly folder: string
  /** Longest run of `pg_dump`; 1 hour. */
  readonly timeout?: Duration.Input | undefined
  /** Folder of `pg_dump` and `pg_restore`; they are looked for on PATH by default. */
  readonly programs?: string | undefined
}

const ownerOnly = 0o600

const withoutThem =
  "Install PostgreSQL's client programs, of the server's version or newer, or switch backups off (DB_BACKUP_BEFORE_MIGRATION=false)"

const inFolder = <A>(folder: string, work: () => Promise<A>): Effect.Effect<A, BackupFailed> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new BackupFailed({
        detail: `${folder} cannot be written${cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : ""}`,
        hint: "Name another folder (DB_BACKUP_FOLDER)"
      })
  })

/** The same for libpq, whose authorities without `sslrootcert` are those of a file in the user's home. */
const tlsForLibpq = ({ sslrootcert = "system", ...tls }: TlsParameters): TlsParameters =>
  sslrootcert === "system" && tls.sslmode !== "verify-full" ? tls : { ...tls, sslrootcert }

/** The URL for libpq: what we read of ours, so that it leads to the same server. */
const withoutPassword = ({
  applicationName,
  connectTimeout,
  database,
  host,
  options,
  port,
  tls,
  username
}: PostgresAddress) => {
  const parameters = Object.entries({
    host,
    port,
    user: username,
    dbname: database,
    application_name: applicationName,
    options,
    connect_timeout: connectTimeout === undefined ? undefined : Duration.toSeconds(connectTimeout),
    // libpq wants none of it on a Unix socket either.
    ...(host.startsWith("/") ? {} : tlsForLibpq(tls))
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]))
  return `postgresql://?${parameters.join("&")}`
}

/** Runs a program to its end; it is ended where the fiber is interrupted. */
const execute = (
  program: string,
  args: ReadonlyArray<string>,
  env: Record<string, string>
): Effect.Effect<string, BackupFailed> =>
  Effect.callback((resume) => {
    const child = execFile(
      program,
      args,
      { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) return resume(Effect.succeed(stdout))
        const missing = error.code === "ENOENT"
        resume(
          Effect.fail(
            new BackupFailed({
              detail: missing
                ? `${program} is not installed`
                : stderr.trim() || `${program} ended with ${error.code ?? error.signal}`,
              hint: missing ? withoutThem : "Correct that, or switch backups off (DB_BACKUP_BEFORE_MIGRATION=false)"
            })
          )
        )
      }
    )
    return Effect.sync(() => {
      child.kill("SIGKILL")
    })
  })

/**
 * Backs schemas up by `pg_dump -Fc` into a file that only its owner may read, and reads the file's contents back by
 * `pg_restore --list`.
 *
 * The password goes to the programs by their environment, never by their arguments. A file that is not whole is removed. Fails
 * with `BackupFailed`, which says what to install or to switch off.
 *
 * @example
 * ```ts
 * const driver = yield* PostgresMigrations.make({
 *   schema: "app",
 *   backup: PostgresBackup.make({ url, folder: "backups" })
 * })
 * ```
 */
export const make =
  (options: PostgresBackupOptions): ((schemas: ReadonlyArray<string>) => Effect.Effect<string, BackupFailed>) =>
  (schemas) =>
    Effect.gen(function* () {
      const limit = Option.getOrElse(Duration.fromInput(options.timeout ?? "1 hour"), () => Duration.zero)
      if (!Duration.isPositive(limit)) {
        return yield* new BackupFailed({
          detail: "timeout must be a length of time above 0",
          hint: 'Give one such as "1 hour"'
        })
      }
      const program = (name: string) => (options.programs === undefined ? name : join(options.programs, name))
      const address = yield* Effect.mapError(
        Effect.flatMap(currentCredential(options.url), parseAddress),
        ({ message }) => new BackupFailed({ detail: message, hint: "Correct the URL" })
      )
      const secret = address.password === undefined ? {} : { PGPASSWORD: Redacted.value(address.password) }
      const folder = resolve(options.folder)
      const now = DateTime.formatIso(yield* DateTime.now).replace(/[-:.]/g, "")
      const file = join(folder, `${schemas.join("+").replace(/[^\w+-]/g, "_")}-${now}.dump`)
      yield* inFolder(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }))
      // Made first, so that nobody else may read it while it grows.
      yield* inFolder(folder, () => writeFile(file, "", { flag: "wx", mode: ownerOnly }))
      const dump = execute(
        program("pg_dump"),
        [
          "--format=custom",
          "--no-password",
          `--file=${file}`,
          ...schemas.map((schema) => `--schema="${schema.replaceAll('"', '""')}"`),
          `--dbname=${withoutPassword(address)}`
        ],
        secret
      )
      const check = Effect.flatMap(execute(program("pg_restore"), ["--list", file], {}), (contents) =>
        /^\d+;/m.test(contents)
          ? Effect.void
          : Effect.fail(new BackupFailed({ detail: `${file} holds nothing`, hint: "See what pg_dump could read" }))
      )
      yield* Effect.andThen(dump, check).pipe(
        Effect.timeoutOrElse({
          duration: limit,
          orElse: () =>
            Effect.fail(
              new BackupFailed({
                detail: `pg_dump was not done within ${Duration.format(limit)}`,
                hint: "Allow it more time, or back up otherwise"
              })
            )
        }),
        Effect.onError(() => Effect.ignore(Effect.promise(() => rm(file, { force: true }))))
      )
      return file
    })
