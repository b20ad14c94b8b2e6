type Listener = ((event: Event) => void) | { readonly handleEvent: (event: Event) => void }

/** The calls of one client that wait for a server or a connection. */
export interface Line {
  waiting: number
}

/**
 * One command's way through the driver, as the signal that the driver is given.
 *
 * The driver looks at `throwIfAborted()` right before it writes a command; that look tells whether a command was sent. It is no
 * `AbortController`'s signal, because making one and listening to it costs a fifth of a command.
 */
export class Passage implements AbortSignal {
  aborted = false
  reason: unknown = undefined
  onabort: AbortSignal["onabort"] = null
  /** Whether a command may have left this process. */
  sent = false
  readonly #line: Line
  #waiting = false
  #driving = false
  #listeners: Array<Listener> = []

  constructor(line: Line) {
    this.#line = line
  }

  /** From now on the driver may have to wait, so its next look at the signal is the one before it writes. */
  handedOver(): void {
    this.#driving = true
    if (!this.sent && this.#listeners.length > 0) this.#wait(true)
  }

  /** The driver has done with the command. */
  arrived(): void {
    this.#driving = false
    this.#wait(false)
  }

  /** A command that was not sent never will be; the connection of one that was is closed. */
  cut(): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = new DOMException("nobody waits for this command", "AbortError")
    this.dispatchEvent(new Event("abort"))
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason
    if (!this.#driving) return
    this.sent = true
    this.#wait(false)
  }

  addEventListener(type: string, listener: Listener | null): void {
    if (type === "abort" && listener !== null) this.#listeners.push(listener)
  }

  removeEventListener(_type: string, listener: Listener | null): void {
    // The driver lets go of the latest first.
    if (this.#listeners.at(-1) === listener) this.#listeners.pop()
    else this.#listeners = this.#listeners.filter((other) => other !== listener)
  }

  dispatchEvent(event: Event): boolean {
    for (const listener of this.#listeners.splice(0)) {
      if (typeof listener === "function") listener.call(this, event)
      else listener.handleEvent(event)
    }
    return true
  }

  #wait(waiting: boolean): void {
    if (this.#waiting === waiting) return
    this.#waiting = waiting
    this.#line.waiting += waiting ? 1 : -1
  }
}
