import type { ClientSession, MongoClient } from "mongodb"

/** A session that serves one read at a time. */
export interface ReadSession {
  readonly driver: ClientSession
  /** Clock milliseconds at which it was taken last. */
  takenAt: number
}

/**
 * Sessions of the driver that reads use one after the other.
 *
 * Left to itself the driver makes a session for each command and ends it, which takes a twentieth of a read.
 */
export interface ReadSessions {
  /** One that nobody uses now; none where the driver had better make one of its own. */
  readonly take: (now: number) => ReadSession | undefined
  readonly giveBack: (session: ReadSession) => void
  /** After a failure: the driver knows whether the server may still use it. */
  readonly end: (session: ReadSession) => void
}

/** The sessions of a client, `most` at a time; they end with it. To be called before it connects. */
export const makeReadSessions = (client: MongoClient, most: number): ReadSessions => {
  const free: Array<ReadSession> = []
  let open = 0
  /** How long a session may lie unused, a minute less than the server keeps one; 0 where it keeps none. */
  let keptMillis = 0
  // The driver refuses a session of the caller's with writes that nobody acknowledges, and ties one to a load balancer's server.
  if (client.options.writeConcern?.w !== 0 && client.options.loadBalanced !== true) {
    client.on("topologyDescriptionChanged", ({ newDescription }) => {
      keptMillis = ((newDescription.logicalSessionTimeoutMinutes ?? 1) - 1) * 60_000
    })
  }

  const end: ReadSessions["end"] = ({ driver }) => {
    open--
    void driver.endSession()
  }

  return {
    take: (now) => {
      const session = free.pop()
      if (session === undefined) {
        if (keptMillis <= 0 || open >= most) return undefined
        open++
        return { driver: client.startSession({ causalConsistency: false }), takenAt: now }
      }
      if (now - session.takenAt < keptMillis) {
        session.takenAt = now
        return session
      }
      // The others have lain for longer.
      for (const old of [session, ...free.splice(0)]) end(old)
      return undefined
    },
    giveBack: (session) => void free.push(session),
    end
  }
}
