import type { CloseReason } from "../values/events.js"
import type { Books } from "./books.js"
import type { Driver, Limits } from "./driver.js"
import { unlink } from "./list.js"
import type { Order } from "./outbox.js"
import { Rounds } from "./rounds.js"
import { Serving } from "./serving.js"
import { type Outcome, type Request, type Slot, transitions, type Waiter } from "./slot.js"
import { Stock } from "./stock.js"
import type { Timers } from "./timers.js"
import { Waiters } from "./waiters.js"

/**
 * The core: slots, the line of waiters, and who gets what. It is synchronous throughout: effects wrap it.
 *
 * A transition only changes state, of the stock of slots or of those who wait; what follows from it is ordered, and carried
 * out when the transition is over. Whatever happens ends in `Rounds.serve`, which hands out what is free and orders what is
 * missing, so that a waiter waits only while nothing could serve it.
 */
export class SlotPool<A, E> {
  private readonly rounds: Rounds<A, E>
  private readonly stock: Stock<A, E>
  private readonly waiters: Waiters<A, E>
  private readonly serving: Serving<A, E>

  constructor(
    private readonly limits: Limits,
    private readonly driver: Driver<A, E>,
    private readonly timers: Timers
  ) {
    this.rounds = new Rounds(
      (order) => this.carryOut(order),
      () => this.serving.round()
    )
    this.stock = new Stock(limits, driver, timers, this.rounds, {
      wanted: () => this.serving.wanted,
      isAwaited: () => this.waiters.line.length > 0
    })
    this.waiters = new Waiters(this.stock, limits, driver, timers, this.rounds)
    this.serving = new Serving(this.stock, this.waiters, driver, timers, this.rounds)
  }

  get state(): "open" | "closing" {
    return this.stock.state
  }

  get min(): number {
    return this.stock.min
  }

  get max(): number {
    return this.stock.max
  }

  get slots(): ReadonlySet<Slot<A, E>> {
    return this.stock.slots
  }

  get count(): Books<A, E>["count"] {
    return this.stock.count
  }

  /** Slots with an item that counts towards `min`. */
  get kept(): number {
    return this.stock.kept
  }

  /** Waiters, in line or waiting for a slot that is held for them. */
  get waiting(): number {
    return this.waiters.count
  }

  /** Since when the waiter waits that has waited longest, if there is one. */
  get waitingSince(): number | undefined {
    return this.waiters.since
  }

  private carryOut(order: Order<A, E>): void {
    const { driver } = this
    switch (order._tag) {
      case "Make":
        driver.create(order.slot)
        break
      case "Abort":
        driver.abort(order.slot)
        break
      case "Check":
        driver.check(order.slot)
        break
      case "Settle":
        driver.settle(order.slot)
        break
      case "Close":
        driver.destroy(order.slot, order.reason)
        break
      case "Retire":
        // It may have been given back, and lent again, in the meantime.
        if (this.retirement(order.slot) !== undefined) driver.retire?.(order.slot, order.reason)
        break
      case "Wake":
        order.waiter.settle(order.outcome)
        break
      case "Vacate":
        driver.vacated()
    }
  }

  // Leases

  /** Leases what is free, unless somebody is in line before. */
  tryLease(now?: number): Slot<A, E> | undefined {
    const { rounds, stock } = this
    if (this.waiters.line.length > 0 || stock.state !== "open") return undefined
    const slot = stock.pick()
    if (slot === undefined || (slot.state === "idle" && this.driver.needsCheck(slot, now ?? this.timers.now()))) {
      rounds.work()
      return undefined
    }
    stock.lend(slot)
    if (this.limits.targetUtilization < 1) rounds.serve()
    else rounds.work()
    return slot
  }

  /** Ends a lease. `refused` says that it never began. */
  release(slot: Slot<A, E>, refused = false, now?: number): void {
    const { rounds, stock } = this
    if (slot.state !== "leased") {
      // It was lost under the lease: nobody else will look at what it has left.
      if (refused && slot.state === "gone") this.driver.refused(slot)
      return
    }
    unlink(slot)
    stock.books.lend(slot, slot.leases - 1)
    if (slot.leases > 0) {
      if (slot.doom !== undefined) return
      stock.shelf.putInUse(slot)
      rounds.serve()
      return
    }
    const verdict = this.verdict(slot, refused)
    if (verdict === "Reuse") stock.offer(slot, "release", now ?? this.timers.now())
    else if (verdict === "Settle") stock.settle(slot)
    else stock.close(slot, verdict)
    if (stock.state !== "open" && stock.count.leased === 0) rounds.put({ _tag: "Vacate" })
    rounds.serve()
  }

  /** The driver is asked even about what is doomed: the end of a lease is where it ends what that left under way. */
  private verdict(slot: Slot<A, E>, refused: boolean): "Reuse" | "Settle" | CloseReason {
    const verdict = refused ? this.driver.refused(slot) : this.driver.released(slot)
    const doom = this.stock.unfit(slot)
    return doom === undefined || (verdict !== "Reuse" && verdict !== "Settle" && slot.doom === undefined)
      ? verdict
      : doom
  }

  /** Whether a slot that was granted can still be lent. One that is over has ended by itself. */
  fitness(slot: Slot<A, E>): "Fit" | "Unfit" | "Over" {
    return this.stock.fitness(slot)
  }

  /** Why a leased slot is wanted back, if it is. */
  retirement(slot: Slot<A, E>): CloseReason | undefined {
    return this.stock.retirement(slot)
  }

  // Waiters

  /** Joins the line, or comes back to it as what it was `before`. The outcome may be there at once. */
  join(request: Request, before?: Waiter<A, E>): Waiter<A, E> {
    return this.waiters.join(request, before)
  }

  /** Fails those who wait for what the driver now knows not to come in time. */
  refuse(): void {
    this.waiters.refuse()
  }

  /** A waiter was interrupted: it refuses what it was given, or leaves. What it started goes on for the others. */
  abandon(waiter: Waiter<A, E>): void {
    if (!waiter.done) this.waiters.abandon(waiter)
    else if (waiter.granted !== undefined) this.release(waiter.granted, true)
  }

  // What drivers say

  /** `isOver` says that the item has ended already: if somebody waits it is for him to see, else for nobody. */
  created(slot: Slot<A, E>, item: A, isOver = false): void {
    const { serving, stock, waiters } = this
    slot.item = item
    slot.createdAt = this.timers.now()
    stock.upkeep.succeeded()
    this.uncreate(slot)
    waiters.unstart(slot)
    this.timers.set(slot, slot.createdAt + this.driver.lifetime())
    stock.offer(slot, "created")
    const { first } = waiters.line
    const waiter = slot.heldFor ?? (isOver && first?.request.fresh === false ? first : undefined)
    if (slot.state === "idle" && waiter !== undefined) serving.grant(waiter, slot)
    else if (slot.state === "closing" && stock.hasRoom) serving.unhold(slot)
    this.rounds.serve()
  }

  /** `isGone` says that nothing is left to finalise; else `closed` tells. */
  failed(slot: Slot<A, E>, outcome: Outcome<A, E>, isGone = true): void {
    const { stock } = this
    this.uncreate(slot)
    stock.books.move(slot, isGone ? "failed" : "close")
    const waiter = slot.starter ?? slot.heldFor
    if (waiter !== undefined) this.waiters.fail(waiter, outcome)
    if (slot.background && stock.state === "open") stock.upkeep.failed()
    this.afterwards()
  }

  /** A creation that has not begun, and that nobody needs, is given up: it has not failed. */
  withdraw(slot: Slot<A, E>): void {
    this.uncreate(slot)
    this.waiters.unstart(slot)
    this.stock.books.move(slot, "failed")
    this.afterwards()
  }

  private uncreate(slot: Slot<A, E>): void {
    if (slot.heldFor === undefined) this.stock.books.shared -= 1
  }

  /** Takes an idle item out of circulation, to be checked. */
  checkOut(slot: Slot<A, E>): void {
    this.stock.checkOut(slot)
  }

  /** Takes an idle item out of circulation that may be dead, to be checked for nobody. */
  suspect(slot: Slot<A, E>): void {
    this.stock.suspect(slot)
  }

  /** A check has come to its end; `end` says why the item ends whatever came of it. */
  checked(slot: Slot<A, E>, isHealthy: boolean, end?: CloseReason): void {
    if (slot.state !== "checking") return
    const { serving, stock } = this
    // A server may have begun to close right behind its answer.
    const found = isHealthy ? (this.driver.isUsable(slot) ? undefined : "Remote") : "Unhealthy"
    const reason = stock.unfit(slot) ?? end ?? found
    if (reason !== undefined) {
      stock.close(slot, reason)
      // At the limit its waiter gets whatever comes free first, unless what was as silent may be as dead.
      if (stock.hasRoom || reason !== "Unhealthy") serving.unhold(slot)
    } else if (slot.heldFor !== undefined) serving.grant(slot.heldFor, slot)
    else stock.offer(slot, "checked")
    this.rounds.serve()
  }

  /** An item that was occupied has nothing to do any more: if it is not leased it is idle from now on. */
  rest(slot: Slot<A, E>): void {
    if (slot.state === "idle") this.stock.rest(slot)
  }

  settled(slot: Slot<A, E>): void {
    if (slot.state !== "releasing") return
    this.stock.offer(slot, "settled")
    this.rounds.serve()
  }

  /** Ends a slot: now if it is not in use, else in place of its next offer. */
  doom(slot: Slot<A, E>, reason: CloseReason): void {
    this.stock.doom(slot, reason)
  }

  /** An item has ended by itself: there is nothing left to finalise. A lease of it goes on, and takes no place. */
  lose(slot: Slot<A, E>): void {
    if (!("lost" in transitions[slot.state])) return
    this.stock.remove(slot, "lost")
    this.serving.passOn(slot)
    this.afterwards()
  }

  closed(slot: Slot<A, E>): void {
    this.stock.remove(slot, "closed")
    this.serving.passOn(slot)
    this.afterwards()
  }

  /** A slot is gone. */
  private afterwards(): void {
    if (this.state !== "open" && this.slots.size === 0) this.rounds.put({ _tag: "Vacate" })
    this.rounds.serve()
  }

  // Limits and ends

  resize(min: number, max: number): void {
    this.stock.resize(min, max)
    this.rounds.serve()
  }

  /** Gives up so many idle items, the least recently used first, and says how many. */
  reclaim(count: number): number {
    let given = 0
    for (; given < count && this.state === "open"; given++) {
      const idle = this.stock.shelf.leastRecentlyUsed
      if (idle === undefined) break
      this.stock.close(idle, "Reclaimed")
    }
    this.rounds.serve()
    return given
  }

  /** Promises so many of the items that are in use, to be given up when they are given back. It says how many. */
  owe(count: number): number {
    const { stock } = this
    if (stock.state !== "open") return 0
    const { leased, releasing } = stock.count
    const promised = Math.max(Math.min(count, leased + releasing - stock.owed), 0)
    stock.owed += promised
    return promised
  }

  /** One less is owed: a place has come free in another way. */
  settleDebt(): void {
    this.stock.settleDebt()
  }

  /** Gives up what is idle or between two leases, and with `all` what is leased, too, when it is given back. */
  abandonAll(all: boolean, onAbandon: (slot: Slot<A, E>) => void): void {
    for (const slot of Array.from(this.slots)) {
      const isFree = slot.state === "idle" || slot.state === "releasing" || slot.state === "checking"
      if (!isFree && !(all && slot.state === "leased")) continue
      onAbandon(slot)
      this.doom(slot, "Reclaimed")
    }
  }

  /** Dooms every slot, those under way included. */
  refresh(): void {
    for (const slot of Array.from(this.slots)) this.doom(slot, "Refreshed")
  }

  /** Fails all waiters, closes what is not leased, and leases no more. `vacated` tells when there is news. */
  shutdown(): void {
    const { rounds, stock, waiters } = this
    if (stock.state !== "open") return
    stock.stop()
    waiters.dismiss()
    for (const slot of Array.from(stock.slots)) {
      if (slot.heldFor !== undefined) waiters.fail(slot.heldFor, this.driver.poolClosed())
      if (slot.state === "creating") rounds.put({ _tag: "Abort", slot })
      else if (slot.state === "leased") stock.retire(slot, "Shutdown")
      else if (slot.state !== "closing") stock.close(slot, "Shutdown")
    }
    rounds.put({ _tag: "Vacate" })
    rounds.work()
  }

  /** Closes one that is still leased. */
  cut(slot: Slot<A, E>): void {
    if (slot.state !== "leased") return
    this.stock.close(slot, slot.doom ?? "Shutdown")
    this.rounds.work()
  }

  /** Closes what is still leased. */
  sever(): void {
    for (const slot of Array.from(this.slots)) {
      if (slot.state === "leased") this.stock.close(slot, "Shutdown")
    }
    this.rounds.put({ _tag: "Vacate" })
    this.rounds.work()
  }
}
