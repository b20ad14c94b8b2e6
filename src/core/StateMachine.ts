import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The state that something is in does not lead to the one that was asked for. */
export class IllegalTransition extends Schema.TaggedError<IllegalTransition>("@ai-core/database/IllegalTransition")(
  "IllegalTransition",
  {
    /** What has the state: `workflow execution`. */
    subject: Schema.String,
    id: Schema.String,
    from: Schema.String,
    to: Schema.String,
    /** Where `from` does lead; nowhere from a final state. */
    allowed: Schema.Array(Schema.String)
  }
) {
  override get message(): string {
    const leads = this.allowed.length === 0 ? "nowhere" : `to ${this.allowed.join(", ")}`
    return `${this.subject} ${this.id} cannot go from ${this.from} to ${this.to}: ${this.from} leads ${leads}`
  }
}

/** The states of something, and which of them lead to which. */
export interface StateMachine<State extends string> {
  readonly subject: string
  readonly states: ReadonlyArray<State>
  /** One of the states. */
  readonly schema: Schema.Literals<ReadonlyArray<State>>
  readonly leads: (from: State, to: State) => boolean
  /** The states that lead to this one: what the `where` of an update accepts. */
  readonly before: (to: State) => ReadonlyArray<State>
  /** Leads nowhere. */
  readonly isFinal: (state: State) => boolean
  /**
   * Fails with `IllegalTransition`, which names both states.
   *
   * A Result: `yield*` takes it as it is in `Result.gen`, and in `Effect.gen` as `Effect.fromResult(machine.go(id, from, to))`.
   */
  readonly go: (id: string, from: State, to: State) => Result.Result<State, IllegalTransition>
}

/**
 * Describes a state machine by the states that each state leads to.
 *
 * @example
 * ```ts
 * const invoice = stateMachine("invoice", { draft: ["open", "void"], open: ["paid", "void"], paid: [], void: [] })
 * ```
 */
export const stateMachine = <State extends string>(
  subject: string,
  transitions: Readonly<Record<State, ReadonlyArray<NoInfer<State>>>>
): StateMachine<State> => {
  const states = Object.keys(transitions) as Array<State>
  const leads = (from: State, to: State) => transitions[from].includes(to)
  return {
    subject,
    states,
    schema: Schema.Literals(states),
    leads,
    before: (to) => states.filter((from) => leads(from, to)),
    isFinal: (state) => transitions[state].length === 0,
    go: (id, from, to) =>
      leads(from, to)
        ? Result.succeed(to)
        : Result.fail(new IllegalTransition({ subject, id, from, to, allowed: [...transitions[from]] }))
  }
}
