import type { Redis } from "ioredis"
import type { RedisCommand } from "./RedisCommand.ts"

// A longer text leaves before the next one is added: one write more is nothing then, and no text may grow without end.
const longest = 65_536

/**
 * Sends the commands of one turn of the event loop in one write.
 *
 * They are handed to the driver only when they leave, so that whatever else is written to its connection cannot come between
 * a command's place in the driver's queue and its bytes.
 */
export const makeBatch = (driver: Redis): ((command: RedisCommand) => void) => {
  // One array for good: V8 takes an array that is replaced each turn for a lasting one, and with it all that it ever held.
  const gathered: Array<RedisCommand> = []
  let text = ""
  const leave = () => {
    if (text !== "") driver.stream.write(text)
    text = ""
  }
  const sink = {
    isPipeline: true,
    destination: { redis: driver },
    write: (bytes: string | Buffer) => {
      if (typeof bytes === "string" && text.length + bytes.length <= longest) {
        text += bytes
        return
      }
      leave()
      driver.stream.write(bytes)
    }
  } as const
  const flush = () => {
    driver.stream.cork()
    for (const command of gathered) driver.sendCommand(command, sink)
    gathered.length = 0
    leave()
    driver.stream.uncork()
  }
  return (command) => {
    if (gathered.length === 0) process.nextTick(flush)
    gathered.push(command)
  }
}
