import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"

/**
 * Ends a process that was asked to stop (SIGTERM, SIGINT) with exit code 0, once everything is closed.
 *
 * Effect's own teardown ends it with 130, which process managers take for a failure.
 *
 * @example
 * ```ts
 * program.pipe(Effect.provide(DatabaseLive), NodeRuntime.runMain({ teardown: gracefulTeardown }))
 * ```
 */
export const gracefulTeardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
