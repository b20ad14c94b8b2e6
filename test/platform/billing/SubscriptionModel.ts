/** A price as the model knows it: a flat amount, and one unit of money for each unit that is used. */
export interface ModelPrice {
  readonly amount: number
  readonly months: number
  readonly metric: string | null
}

export interface ModelPeriod {
  readonly start: number
  readonly end: number
  readonly price: ModelPrice
  readonly quantity: number
  readonly isFree: boolean
}

type State = "running" | "paused" | "canceled"

/** So many months after a time: on its day, or on the last day of a shorter month. */
export const addMonths = (time: number, months: number): number => {
  const from = new Date(time)
  const [year, month] = [from.getUTCFullYear(), from.getUTCMonth() + months]
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return Date.UTC(year, month, Math.min(from.getUTCDate(), lastDay)) + (time % 86_400_000)
}

/**
 * What a subscription is when its renewals are always on time: a list of periods, to which time adds.
 *
 * It knows nothing of terms, nor of how late anybody renews: that must make no difference to what is charged.
 */
export class SubscriptionModel {
  state: State = "running"
  cancelAtPeriodEnd = false
  readonly periods: Array<ModelPeriod> = []
  /** When it was paused, or else canceled at once. */
  private endedAt: number | null = null
  /** Months from the anchor to the end of the last period. */
  private months = 0
  private anchor: number
  private price: ModelPrice
  private quantity: number

  private readonly start: number
  private readonly trialEnd: number | null

  constructor(start: number, trialEnd: number | null, price: ModelPrice, quantity: number) {
    this.start = start
    this.trialEnd = trialEnd
    this.anchor = trialEnd ?? start
    this.price = price
    this.quantity = quantity
    this.begin()
  }

  get last(): ModelPeriod {
    const last = this.periods.at(-1)
    if (last === undefined) throw new Error("a subscription has a period")
    return last
  }

  /** Lets time pass: while it runs, a period follows another one; what is to end with a period does so, paused or not. */
  passTo(now: number): void {
    while (this.state === "running" && this.last.end <= now) {
      if (this.cancelAtPeriodEnd) this.state = "canceled"
      else this.add(this.last.end)
    }
    if (this.state === "paused" && this.cancelAtPeriodEnd && this.last.end <= now) this.state = "canceled"
  }

  /** Says whether it ends with its last period, which may be over where it is paused. */
  mark(now: number, cancelAtPeriodEnd: boolean): void {
    this.cancelAtPeriodEnd = cancelAtPeriodEnd
    this.passTo(now)
  }

  change(now: number, price: ModelPrice, quantity: number): void {
    this.price = price
    this.quantity = quantity
    if (this.state === "running" && now < this.start) this.begin()
  }

  pause(now: number): void {
    this.state = "paused"
    this.endedAt = now
  }

  activate(now: number): void {
    this.state = "running"
    const hasBegun = (this.endedAt ?? now) >= this.last.start
    this.endedAt = null
    if (now < this.last.start) this.begin()
    else if (!hasBegun || this.last.end <= now) {
      if (!hasBegun) this.periods.pop()
      this.anchor = now
      this.months = 0
      this.add(now)
    }
  }

  cancel(now: number): void {
    this.state = "canceled"
    this.endedAt ??= now
  }

  /** The periods that have begun, but for those that would have after a pause or the end. */
  begun(now: number): ReadonlyArray<ModelPeriod> {
    const until = Math.min(now, this.endedAt ?? now)
    return this.periods.filter(({ start }) => start <= until)
  }

  /** What the last change made of it. */
  get wanted(): string {
    return `${this.quantity} x ${this.price.amount}`
  }

  private begin(): void {
    this.periods.length = 0
    this.months = 0
    if (this.trialEnd === null) this.add(this.start)
    else this.periods.push({ ...this.charge, start: this.start, end: this.trialEnd, isFree: true })
  }

  private add(start: number): void {
    this.months += this.price.months
    const end = addMonths(this.anchor, this.months)
    this.periods.push({ ...this.charge, start, end, isFree: this.trialEnd !== null && end <= this.trialEnd })
  }

  private get charge(): Pick<ModelPeriod, "price" | "quantity"> {
    return { price: this.price, quantity: this.quantity }
  }
}
