import type { DateTime, Duration, Effect, Redacted, Stream } from "effect"

type Whole = string | number | boolean | null | DateTime.DateTime | Duration.Duration | Redacted.Redacted<unknown>

/** A value with every optional parameter and field in it, so that the compiler asks for one that is new. */
export type Complete<T> = T extends Whole | Effect.Effect<unknown, unknown, unknown>
  ? T
  : string extends keyof T
    ? T
    : { readonly [Field in keyof T]-?: Complete<NonNullable<T[Field]>> }

/** How hostile text is given to a method, and what becomes of what is let in. */
export interface Attempt<Given, Result, R> {
  /** What the method's refusals call its parameters, in order; empty for one whose fields they name by themselves. */
  readonly parameters: ReadonlyArray<string>
  /** Calls that succeed as they are. Together they have every field, and a value in every list and record. */
  readonly samples: ReadonlyArray<Effect.Effect<Given, unknown, R>>
  /** Reads back what was stored; the text must be in it. Without it the method asks, and a hostile text must find nothing. */
  readonly keeps?: (result: Result, given: Given) => Effect.Effect<unknown, unknown, R>
  /** Fields whose text is let in, and neither kept nor asked for. */
  readonly passing?: ReadonlyArray<string>
  /** Domain errors by which the method refuses hostile text. */
  readonly refusals?: ReadonlyArray<string>
  /** What the call needs around it. */
  readonly within?: <A, E, R2>(call: Effect.Effect<A, E, R2>) => Effect.Effect<A, unknown, R | R2>
}

/** A member of a service that takes nothing. */
export const takesNothing = "takes nothing"

type Answer<Result> =
  Result extends Effect.Effect<infer A, unknown, unknown>
    ? A
    : Result extends Stream.Stream<infer A, unknown, unknown>
      ? ReadonlyArray<A>
      : never

/** An attempt for each method of a service, nested ones too. */
export type Attempts<Service, R> = {
  readonly [Name in keyof Service]: Service[Name] extends (...parameters: infer Parameters) => infer Result
    ? Attempt<Complete<Parameters>, Answer<Result>, R>
    : Service[Name] extends Effect.Effect<unknown, unknown, unknown>
      ? typeof takesNothing
      : Attempts<Service[Name], R>
}
