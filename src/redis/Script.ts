import { createHash } from "node:crypto"
import type * as Schema from "effect/Schema"

/** What a reducer makes of a key. */
export interface Reduced<State, Result> {
  /** What is kept; nothing where the key goes. */
  readonly state: State | undefined
  /** Clock microseconds at which it goes by itself; never, if left out. */
  readonly expiresAt?: number | undefined
  readonly result: Result
}

/**
 * One atomic step on one key, told twice: in Lua for a server, and as a pure function for memory.
 *
 * A property test replays the same traces through both. In the Lua, `now()` is the server's time in microseconds, the key is
 * `KEYS[1]`, the arguments are `ARGV`, and `keep(micros)` lets the key go by itself after at least that long.
 */
export interface Script<Input, State, Result> {
  readonly name: string
  /** The whole source, `now()` and `keep()` included. */
  readonly source: string
  /** SHA-1 of the source, as EVALSHA wants it. */
  readonly sha: string
  readonly key: (input: Input) => string
  readonly args: (input: Input) => ReadonlyArray<string | number>
  readonly result: Schema.ConstraintDecoder<Result>
  /** `now` in microseconds of the Clock. */
  readonly reduce: (state: State | undefined, now: number, input: Input) => Reduced<State, Result>
}

const onServerTime = `local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local function keep(micros)
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(micros / 1000) + 1))
end
`

const onTimeOfInput = `local function now()
  return tonumber(ARGV[#ARGV])
end
local function keep()
  redis.call('PEXPIRE', KEYS[1], 60000)
end
`

const withSource = <Script extends { readonly source: string }>(script: Script): Script & { readonly sha: string } => ({
  ...script,
  sha: createHash("sha1").update(script.source).digest("hex")
})

/** Makes a script; `lua` is the body, which may call `now()` and `keep(micros)`. */
export const make = <Input, State, Result>(
  script: Omit<Script<Input, State, Result>, "source" | "sha"> & { readonly lua: string }
): Script<Input, State, Result> => {
  const { lua, ...rest } = script
  return withSource({ ...rest, source: `${onServerTime}${lua}` })
}

/** The same script on a time that its input gives, in microseconds, its key kept for a minute: for tests that replay a trace. */
export const onGivenTime = <Input, State, Result>(
  script: Script<Input, State, Result>
): Script<Input & { readonly now: number }, State, Result> =>
  withSource({
    ...script,
    source: script.source.replace(onServerTime, onTimeOfInput),
    args: (input: Input & { readonly now: number }) => [...script.args(input), input.now],
    reduce: (state: State | undefined, _: number, input: Input & { readonly now: number }) =>
      script.reduce(state, input.now, input)
  })
