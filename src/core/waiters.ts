import type { Driver, Limits } from "./driver.js"
import { WaitingLine } from "./line.js"
import type { Rounds } from "./rounds.js"
import { type Outcome, type Request, type Slot, Waiter } from "./slot.js"
import type { Stock } from "./stock.js"
import type { Timers } from "./timers.js"

/** All who wait: those in line, and those out of line for whom a slot is held. They come, leave, and fail here. */
export class Waiters<A, E> {
  readonly line: WaitingLine<A, E>
  /** How many there are. */
  count = 0
  private turns = 0
  private readonly overdue = (waiter: Waiter<A, E>): void => {
    this.fail(waiter, this.driver.timedOut(waiter))
    this.rounds.serve()
  }

  constructor(
    private readonly stock: Stock<A, E>,
    private readonly limits: Limits,
    private readonly driver: Driver<A, E>,
    private readonly timers: Timers,
    private readonly rounds: Rounds<A, E>
  ) {
    this.line = new WaitingLine(timers, this.overdue)
  }

  /** Since when that one waits that has waited longest, if there is one. */
  get since(): number | undefined {
    if (this.count === 0) return undefined
    let oldest = this.line.first
    for (const { heldFor } of this.stock.slots) {
      if (heldFor !== undefined && (oldest === undefined || heldFor.turn < oldest.turn)) oldest = heldFor
    }
    return oldest?.request.since
  }

  private toArray(): ReadonlyArray<Waiter<A, E>> {
    const waiters = this.line.toArray()
    for (const { heldFor } of this.stock.slots) if (heldFor !== undefined) waiters.push(heldFor)
    return waiters
  }

  // Coming

  /** Joins the line, or comes back to it as what it was `before`. The outcome may be there at once. */
  join(request: Request, before?: Waiter<A, E>): Waiter<A, E> {
    const { driver, stock } = this
    const turn = before?.turn ?? this.turns++
    const waiter = new Waiter<A, E>(turn, request, this.overdue, before)
    const refusal = stock.state === "open" ? driver.refusal?.(waiter) : driver.poolClosed()
    if (refusal !== undefined) {
      if (stock.state === "open") driver.waitLost?.(waiter, "Failed")
      waiter.settle(refusal)
      return waiter
    }
    this.count += 1
    driver.waits?.(1)
    this.line.enter(waiter)
    this.rounds.serve()
    // Who had a turn already has been let in before.
    const isNew = before === undefined && request.isStandIn !== true && waiter.list !== undefined
    const coming = driver.coming?.() ?? stock.books.shared * this.limits.concurrency
    const surplus = this.line.length - coming - this.limits.maxWaiters
    if (isNew && surplus > 0 && surplus > stock.books.departing(stock.max)) {
      this.fail(waiter, driver.tooManyWaiters())
      this.rounds.work()
    }
    return waiter
  }

  /** Takes a waiter out of line, to wait for this very slot, or for the place that it leaves. */
  hold(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    this.line.leave(waiter)
    // Out of line it has a timer of its own.
    this.timers.set(waiter, waiter.request.deadline)
    // What it started before is for the others now.
    if (waiter.creation !== undefined) waiter.creation.starter = waiter.creation = undefined
    slot.heldFor = waiter
    waiter.held = slot
  }

  /** A waiter has called for a creation: it stays in line. */
  start(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    this.line.started(waiter)
    waiter.creation = slot
    slot.starter = waiter
  }

  /** Who has started a creation has not, any more. */
  unstart(slot: Slot<A, E>): void {
    const { starter } = slot
    slot.starter = undefined
    if (starter === undefined) return
    starter.creation = undefined
    this.line.unstarted(starter)
  }

  // Leaving

  leave(waiter: Waiter<A, E>): void {
    this.line.leave(waiter)
    this.timers.clear(waiter)
    this.count -= 1
    this.driver.waits?.(-1)
    if (waiter.creation !== undefined) waiter.creation.starter = undefined
    if (waiter.held !== undefined) {
      waiter.held.heldFor = undefined
      if (waiter.held.state === "creating") this.stock.books.shared += 1
    }
    waiter.creation = waiter.held = undefined
  }

  /** A waiter was interrupted, and leaves. What it started goes on for the others. */
  abandon(waiter: Waiter<A, E>): void {
    this.leave(waiter)
    waiter.done = true
    this.driver.waitLost?.(waiter, "Interrupted")
    this.rounds.serve()
  }

  fail(waiter: Waiter<A, E>, outcome: Outcome<A, E>): void {
    this.leave(waiter)
    waiter.done = true
    if (this.stock.state === "open") this.driver.waitLost?.(waiter, "Failed")
    this.rounds.put({ _tag: "Wake", waiter, outcome })
  }

  /** Fails those who wait for what the driver now knows not to come in time. */
  refuse(): void {
    for (const waiter of this.toArray()) {
      const refusal = this.driver.refusal?.(waiter)
      if (refusal !== undefined) this.fail(waiter, refusal)
    }
    this.rounds.serve()
  }

  /** Fails those in line: the pool closes. */
  dismiss(): void {
    for (let waiter = this.line.first; waiter !== undefined; waiter = this.line.first) {
      this.fail(waiter, this.driver.poolClosed())
    }
    this.line.stop()
  }
}
