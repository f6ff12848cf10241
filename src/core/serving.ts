import * as Effect from "#effect/Effect"
import type { Driver } from "./driver.js"
import type { Rounds } from "./rounds.js"
import { roundedUp } from "./shelf.js"
import type { Slot, Waiter } from "./slot.js"
import type { Stock } from "./stock.js"
import type { Timers } from "./timers.js"
import type { Waiters } from "./waiters.js"

/** Who gets what: it hands out what is free, and orders what is missing, for those who wait and for `min`. */
export class Serving<A, E> {
  constructor(
    private readonly stock: Stock<A, E>,
    private readonly waiters: Waiters<A, E>,
    private readonly driver: Driver<A, E>,
    private readonly timers: Timers,
    private readonly rounds: Rounds<A, E>
  ) {}

  /** How many creations the leases, and those in line for one, call for. */
  get wanted(): number {
    const { lent, shared, sound } = this.stock.books
    const usage = this.waiters.line.lengthOfAny + lent
    return roundedUp(usage / this.stock.target) - sound - shared
  }

  /** Serves all who can be, and says whether to look again. */
  round(): boolean {
    if (this.stock.state !== "open") return false
    this.handOut()
    const hasOrdered = this.createMissing()
    this.evictSuspects()
    if (this.driver.demand === undefined || hasOrdered) return hasOrdered
    if (!this.rounds.isCaughtUp) return true
    this.tellDemand()
    return false
  }

  // Handing out

  private handOut(): void {
    const { stock, waiters } = this
    for (;;) {
      const waiter = waiters.line.first
      if (waiter === undefined) return
      if (waiter.request.fresh) {
        if (stock.hasRoom) this.create(false, undefined, waiter)
        else {
          const unbegun = this.driver.unbegun?.()
          if (unbegun !== undefined) this.reserve(unbegun, waiter)
          else {
            const { victim } = stock
            if (victim === undefined) return
            waiters.hold(victim, waiter)
            stock.evict(victim)
          }
        }
      } else {
        const slot = stock.pick()
        if (slot === undefined) return
        const mayCheck = slot.state === "idle" && !waiter.checked
        if (mayCheck && this.driver.needsCheck(slot, this.timers.now())) this.check(slot, waiter)
        else this.grant(waiter, slot)
      }
    }
  }

  grant(waiter: Waiter<A, E>, slot: Slot<A, E>): void {
    this.waiters.leave(waiter)
    this.stock.lend(slot)
    waiter.done = true
    waiter.granted = slot
    this.rounds.put({ _tag: "Wake", waiter, outcome: Effect.succeed(slot) })
  }

  private check(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    waiter.checked = true
    this.waiters.hold(slot, waiter)
    this.stock.checkOut(slot)
    this.rounds.put({ _tag: "Check", slot })
  }

  // Ordering

  /** Orders one item, if one is missing, and says whether it has. */
  private createMissing(): boolean {
    const { stock } = this
    const { line } = this.waiters
    if (!stock.hasRoom) return false
    const isWanted = this.wanted > 0
    if (isWanted && this.driver.mayCreate?.() === false) return false
    const bare = isWanted ? line.firstBare : undefined
    const own = line.firstOwn
    if (bare !== undefined && (own === undefined || bare.turn < own.turn)) this.create(false, bare)
    else if (own !== undefined) this.create(false, undefined, own)
    else if (!isWanted && stock.kept + stock.count.creating >= stock.min) {
      stock.upkeep.satisfied()
      return false
    } else if (stock.upkeep.mayStart()) this.create(true)
    else return false
    return true
  }

  private create(background: boolean, starter?: Waiter<A, E>, heldFor?: Waiter<A, E>): void {
    const slot = this.stock.open(background)
    if (starter !== undefined) this.waiters.start(slot, starter)
    if (heldFor === undefined) this.stock.books.shared += 1
    else this.waiters.hold(slot, heldFor)
    this.rounds.put({ _tag: "Make", slot })
  }

  /** Holds a creation that has not begun for a waiter that wants an item of its own. */
  private reserve(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    this.waiters.unstart(slot)
    this.stock.books.shared -= 1
    this.waiters.hold(slot, waiter)
  }

  /** Who waits at the limit gets the place of one that may be dead, unless another place is about to come free. */
  private evictSuspects(): void {
    const { stock } = this
    const { suspects } = stock
    if (suspects.length === 0) return
    let free = stock.books.departing(stock.max) - suspects.length
    for (let { first } = suspects; first !== undefined; { first } = suspects) {
      if (stock.hasRoom || this.wanted <= free) return
      free += 1
      stock.evict(first)
    }
  }

  private tellDemand(): void {
    const { books, count, kept, min } = this.stock
    const surplus = Math.min(-this.wanted, kept + count.creating - min)
    this.driver.demand?.({
      waiting: this.waiters.line.lengthOfAny,
      creating: books.shared,
      surplus: Math.max(surplus, 0),
      idle: count.idle
    })
  }

  // Those for whom a slot was held

  /** Who waits for a slot that closes gets another one, below the limit at once, without waiting for its end. */
  unhold(slot: Slot<A, E>): void {
    const waiter = slot.heldFor
    if (waiter === undefined) return
    slot.heldFor = waiter.held = undefined
    if (this.stock.hasRoom) this.create(false, undefined, waiter)
    else this.waiters.line.enter(waiter)
  }

  /** Who waits for the place of a slot that is gone gets it in its turn, unless the limit was lowered meanwhile. */
  passOn(slot: Slot<A, E>): void {
    const waiter = slot.heldFor
    if (waiter === undefined) return
    slot.heldFor = waiter.held = undefined
    const next = this.waiters.line.first
    const isFirst = next === undefined || waiter.turn < next.turn
    if (isFirst && this.stock.hasRoom) this.create(false, undefined, waiter)
    else this.waiters.line.enter(waiter)
  }
}
