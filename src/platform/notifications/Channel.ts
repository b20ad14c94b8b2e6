import * as Schema from "effect/Schema"

/** Where a notification goes: into the inbox of the application, or outside. */
export const Channel = Schema.Literals(["in-app", "email", "sms", "push", "webhook"])
export type Channel = typeof Channel.Type

/** The channels that something has to be sent to. */
export const OutsideChannel = Schema.Literals(["email", "sms", "push", "webhook"])
export type OutsideChannel = typeof OutsideChannel.Type

/** Some of the channels, each once, in the order of the list of all. */
export const sorted = <One extends Channel>(
  { literals }: { readonly literals: ReadonlyArray<One> },
  given: ReadonlyArray<One>
): ReadonlyArray<One> => literals.filter((channel) => given.includes(channel))
