/** Somebody who waits for a turn. */
export interface Turn {
  /** Whether it is this one's turn. */
  held: boolean
  /** Called when it becomes this one's turn. */
  wake: () => void
}

export const newTurn = (): Turn => ({ held: false, wake: () => undefined })

/**
 * One level of a transaction: the transaction itself, or a savepoint in it.
 *
 * Its calls take turns in the order of asking, and a nested transaction is one turn of the level around it: otherwise the
 * rollback of its savepoint would undo what others wrote meanwhile.
 */
export class TransactionLevel {
  readonly #parent: TransactionLevel | undefined
  #waiting: Array<Turn> | undefined
  #taken = false
  #ended = false

  constructor(parent: TransactionLevel | undefined) {
    this.#parent = parent
  }

  /** Whether somebody has the turn. */
  get busy(): boolean {
    return this.#taken
  }

  /** Whether nothing more may be done in it. */
  get over(): boolean {
    return this.#ended || this.#parent?.over === true
  }

  /** Refuses everything that comes, and what waits for its turn. */
  end(): void {
    this.#ended = true
  }

  /** Takes the turn where nobody has it. */
  take(turn: Turn): boolean {
    if (this.#taken) return false
    this.#taken = true
    turn.held = true
    return true
  }

  /** Waits in line; returns how to leave it. */
  queue(turn: Turn): () => void {
    const waiting = (this.#waiting ??= [])
    waiting.push(turn)
    return () => {
      const place = waiting.indexOf(turn)
      if (place >= 0) waiting.splice(place, 1)
    }
  }

  /** Gives the turn to the next in line, if this one has it. */
  release(turn: Turn): void {
    if (!turn.held) return
    turn.held = false
    const next = this.#waiting?.shift()
    if (next === undefined) {
      this.#taken = false
      return
    }
    next.held = true
    next.wake()
  }
}
