import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as Script from "./Script.ts"

/** One request to take `cost` out of a window. */
export interface Take {
  readonly key: string
  readonly limit: number
  /** Microseconds. */
  readonly window: number
  readonly cost: number
}

/** What became of it; times in microseconds. */
export interface Taken {
  readonly allowed: boolean
  /** What could still be taken now. */
  readonly remaining: number
  /** How long until this cost fits; 0 where it was taken. */
  readonly retryAfter: number
  /** How long until the whole limit is free, if nothing more is taken. */
  readonly resetAfter: number
}

/** One call that was allowed: when, and what had been taken before and after it since the log began. */
interface Entry {
  readonly time: number
  readonly before: number
  readonly after: number
}

const Reply = Schema.Tuple([Schema.Number, Schema.Number, Schema.Number, Schema.Number])

const Result = Reply.pipe(
  Schema.decodeTo(
    Schema.Struct({
      allowed: Schema.Boolean,
      remaining: Schema.Number,
      retryAfter: Schema.Number,
      resetAfter: Schema.Number
    }),
    {
      decode: SchemaGetter.transform(([allowed, remaining, retryAfter, resetAfter]: typeof Reply.Type) => ({
        allowed: allowed === 1,
        remaining,
        retryAfter,
        resetAfter
      })),
      encode: SchemaGetter.transform((taken: Taken): typeof Reply.Type => [
        taken.allowed ? 1 : 0,
        taken.remaining,
        taken.retryAfter,
        taken.resetAfter
      ])
    }
  )
)

/*
 * The log is a list, not a sorted set: its members cannot collide. Running totals in each entry make "taken within the window"
 * a difference of two numbers, whatever the length. Numbers are written by '%.0f', because Lua's own conversion keeps 14 digits
 * and microseconds need 16. Only an allowed request writes, so that a server clock that steps back cannot find entries dropped
 * which its window holds again.
 */
const lua = `
local key = KEYS[1]
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local cost = tonumber(ARGV[3])

local function entry(index)
  local time, before, after = string.match(redis.call('LINDEX', key, index), '^(%d+) (%d+) (%d+)$')
  return tonumber(time), tonumber(before), tonumber(after)
end

-- The first index from 'low' on that holds, or 'size'.
local function search(low, size, holds)
  local high = size
  while low < high do
    local middle = math.floor((low + high) / 2)
    if holds(entry(middle)) then high = middle else low = middle + 1 end
  end
  return low
end

local size = redis.call('LLEN', key)
local at, last, total, gone, live = now(), nil, 0, 0, 0
if size > 0 then
  local _
  last, _, total = entry(-1)
  at = math.max(at, last)
  local function lives(time) return time + window > at end
  if not lives(entry(0)) then live = search(1, size, lives) end
  if live < size then _, gone = entry(live) else total = 0 end
end

local used = total - gone
if used + cost <= limit then
  if live > 0 then redis.call('LTRIM', key, live, -1) end
  redis.call('RPUSH', key, string.format('%.0f %.0f %.0f', at, total, total + cost))
  keep(window)
  return { 1, limit - used - cost, 0, window }
end

local wanted = gone + used + cost - limit
local frees = entry(search(live, size - 1, function(_, _, after) return after >= wanted end))
return { 0, math.max(0, limit - used), frees + window - at, last + window - at }
`

const denied = (live: ReadonlyArray<Entry>, used: number, at: number, take: Take): Taken => {
  const gone = live[0]?.before ?? 0
  const wanted = gone + used + take.cost - take.limit
  const frees = live.find(({ after }) => after >= wanted)?.time ?? at
  const last = live.at(-1)?.time ?? at
  return {
    allowed: false,
    remaining: Math.max(0, take.limit - used),
    retryAfter: frees + take.window - at,
    resetAfter: last + take.window - at
  }
}

/**
 * An exact sliding window: at no moment has more than `limit` been taken within the `window` that ends there.
 *
 * What was taken at `t` counts until `t + window`, that moment excluded. A denied request takes nothing
 * and writes nothing.
 */
export const slidingWindow: Script.Script<Take, ReadonlyArray<Entry>, Taken> = Script.make({
  name: "sliding-window",
  lua,
  key: ({ key }: Take) => key,
  args: ({ cost, limit, window }: Take) => [limit, window, cost],
  result: Result,
  reduce: (
    state: ReadonlyArray<Entry> | undefined,
    now: number,
    take: Take
  ): Script.Reduced<ReadonlyArray<Entry>, Taken> => {
    const log = state ?? []
    const at = Math.max(now, log.at(-1)?.time ?? now)
    const live = log.filter(({ time }) => time + take.window > at)
    const total = live.at(-1)?.after ?? 0
    const used = total - (live[0]?.before ?? 0)
    if (used + take.cost > take.limit) {
      return { state: log, expiresAt: at + take.window, result: denied(live, used, at, take) }
    }
    return {
      state: [...live, { time: at, before: total, after: total + take.cost }],
      expiresAt: at + take.window,
      result: {
        allowed: true,
        remaining: take.limit - used - take.cost,
        retryAfter: 0,
        resetAfter: take.window
      }
    }
  }
})
