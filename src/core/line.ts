import { List, unlink } from "./list.js"
import type { Bare, Waiter } from "./slot.js"
import { makeTimer, type Timer, type Timers } from "./timers.js"

/**
 * Those who wait, first come, first served.
 *
 * One timer serves all of them, since whoever came first is due first: with each waiter's own, a long line would be
 * paid for by everybody who joins it.
 */
export class WaitingLine<A, E> {
  private readonly all = new List<Waiter<A, E>>()
  private readonly bare = new List<Bare<A, E>>()
  private readonly own = new List<Bare<A, E>>()
  /** Due no later than anybody in line: it looks again when it is. */
  private readonly deadline: Timer

  constructor(
    private readonly timers: Timers,
    private readonly onOverdue: (waiter: Waiter<A, E>) => void
  ) {
    this.deadline = makeTimer(() => this.expire())
  }

  get length(): number {
    return this.all.length
  }

  get first(): Waiter<A, E> | undefined {
    return this.all.first
  }

  toArray(): Array<Waiter<A, E>> {
    const waiters: Array<Waiter<A, E>> = []
    for (let waiter = this.all.first; waiter !== undefined; waiter = waiter.after) waiters.push(waiter)
    return waiters
  }

  /** The first who wants any item, and has started no creation that is still under way. */
  get firstBare(): Waiter<A, E> | undefined {
    return this.bare.first?.waiter
  }

  /** The first who wants an item made for it. */
  get firstOwn(): Waiter<A, E> | undefined {
    return this.own.first?.waiter
  }

  /** How many want any item. */
  get lengthOfAny(): number {
    return this.all.length - this.own.length
  }

  /** One that had its turn goes before all who came later. */
  enter(waiter: Waiter<A, E>): void {
    const { last } = this.all
    const own = waiter.request.fresh ? this.own : this.bare
    if (last === undefined || last.turn < waiter.turn) {
      this.all.push(waiter)
      own.push(waiter.bare)
    } else {
      this.all.insert(waiter, (other) => other.turn > waiter.turn)
      own.insert(waiter.bare, (other) => other.waiter.turn > waiter.turn)
    }
    const { deadline } = waiter.request
    if (this.deadline.position === -1 || deadline < this.deadline.due) this.timers.set(this.deadline, deadline)
  }

  leave(waiter: Waiter<A, E>): void {
    unlink(waiter)
    unlink(waiter.bare)
  }

  /** It has started a creation. */
  started(waiter: Waiter<A, E>): void {
    unlink(waiter.bare)
  }

  /** What it has started is under way no more. */
  unstarted(waiter: Waiter<A, E>): void {
    this.bare.insert(waiter.bare, (other) => other.waiter.turn > waiter.turn)
  }

  stop(): void {
    this.timers.clear(this.deadline)
  }

  private expire(): void {
    const now = this.timers.now()
    for (let { first } = this; first !== undefined; { first } = this) {
      if (first.request.deadline > now) {
        this.timers.set(this.deadline, first.request.deadline)
        return
      }
      this.onOverdue(first)
    }
  }
}
