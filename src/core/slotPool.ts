import * as Effect from "#effect/Effect"
import type { CloseReason } from "../values/events.js"
import { Books } from "./books.js"
import type { Driver, Limits } from "./driver.js"
import { Idling } from "./idling.js"
import { WaitingLine } from "./line.js"
import { List, unlink } from "./list.js"
import { type Order, Outbox } from "./outbox.js"
import { roundedUp, Shelf } from "./shelf.js"
import { type Outcome, type Request, Slot, transitions, Waiter } from "./slot.js"
import type { Timers } from "./timers.js"
import { longestPause, Upkeep } from "./upkeep.js"

/**
 * The core: slots, the line of waiters, and who gets what. It is synchronous throughout: effects wrap it.
 *
 * A transition only changes state; what follows from it goes into an outbox, and is carried out when the transition is
 * over. Whatever happens ends in `serve`, which hands out what is free and orders what is missing, so that a waiter waits
 * only while nothing could serve it.
 */
export class SlotPool<A, E> {
  state: "open" | "closing" = "open"
  min: number
  max: number
  /** Waiters, in line or waiting for a slot that is held for them. */
  waiting = 0
  /** How many items are to be given up at the next releases. */
  owed = 0

  private readonly line: WaitingLine<A, E>
  /** What can be lent. */
  private readonly shelf: Shelf<A, E>
  private readonly releasing = new List<Slot<A, E>>()
  /** Those that are checked for nobody, and may well be dead: who needs a place takes theirs. */
  private readonly suspects = new List<Slot<A, E>>()
  private readonly books: Books<A, E>
  /** Leases on one slot up to which it is filled before another one is called for. */
  private readonly target: number
  private readonly outbox = new Outbox<A, E>()
  private turns = 0
  /** Whether something has happened since it was last looked at who can be served. */
  private isDue = false
  private isWorking = false
  private readonly upkeep: Upkeep
  private readonly idling: Idling<A, E>
  private readonly expire = (slot: Slot<A, E>): void => this.doom(slot, "Expired")
  private readonly overdue = (waiter: Waiter<A, E>): void => {
    this.fail(waiter, this.driver.timedOut(waiter))
    this.serve()
  }

  constructor(
    private readonly limits: Limits,
    private readonly driver: Driver<A, E>,
    private readonly timers: Timers
  ) {
    this.min = limits.min
    this.max = limits.max
    this.target = limits.concurrency * limits.targetUtilization
    this.shelf = new Shelf(this.target)
    this.upkeep = new Upkeep(
      timers,
      () => driver.random(),
      () => this.serve()
    )
    this.books = new Books(driver.moved && ((from, to) => driver.moved?.(from, to)))
    this.idling = new Idling(
      this.shelf,
      timers,
      limits.idleTimeout,
      (slot) => driver.isOccupied?.(slot) !== true,
      () => this.kept > this.min && (this.wanted < 0 || "Later"),
      (slot) => {
        this.close(slot, "Idle")
        this.work()
      }
    )
    this.line = new WaitingLine(timers, this.overdue)
  }

  get slots(): ReadonlySet<Slot<A, E>> {
    return this.books.slots
  }

  get count(): Books<A, E>["count"] {
    return this.books.count
  }

  /** Slots with an item that counts towards `min`. */
  get kept(): number {
    return this.books.kept
  }

  /** Since when the waiter waits that has waited longest, if there is one. */
  get waitingSince(): number | undefined {
    if (this.waiting === 0) return undefined
    let oldest = this.line.first
    // Out of line are those for whom a slot is held.
    for (const { heldFor } of this.slots) {
      if (heldFor !== undefined && (oldest === undefined || heldFor.turn < oldest.turn)) oldest = heldFor
    }
    return oldest?.request.since
  }

  // Leases

  /** Leases what is free, unless somebody is in line before. */
  tryLease(now: number = this.timers.now()): Slot<A, E> | undefined {
    if (this.line.length > 0 || this.state !== "open") return undefined
    const slot = this.pick()
    if (slot === undefined || (slot.state === "idle" && this.driver.needsCheck(slot, now))) {
      this.work()
      return undefined
    }
    this.lease(slot)
    if (this.limits.targetUtilization < 1) this.serve()
    else this.work()
    return slot
  }

  /** Ends a lease. `refused` says that it never began. */
  release(slot: Slot<A, E>, refused = false, now: number = this.timers.now()): void {
    if (slot.state !== "leased") {
      // It was lost under the lease: nobody else will look at what it has left.
      if (refused && slot.state === "gone") this.driver.refused(slot)
      return
    }
    unlink(slot)
    this.books.lend(slot, slot.leases - 1)
    if (slot.leases > 0) {
      if (slot.doom !== undefined) return
      this.shelf.putInUse(slot)
      this.serve()
      return
    }
    const verdict = this.verdict(slot, refused)
    if (verdict === "Reuse") this.offer(slot, "release", now)
    else if (verdict === "Settle") {
      this.books.move(slot, "settle")
      this.releasing.push(slot)
      this.outbox.put({ _tag: "Settle", slot })
    } else this.close(slot, verdict)
    if (this.state !== "open" && this.count.leased === 0) this.outbox.put({ _tag: "Vacate" })
    this.serve()
  }

  /** The driver is asked even about what is doomed: the end of a lease is where it ends what that left under way. */
  private verdict(slot: Slot<A, E>, refused: boolean): "Reuse" | "Settle" | CloseReason {
    const verdict = refused ? this.driver.refused(slot) : this.driver.released(slot)
    const doom = this.unfit(slot)
    return doom === undefined || (verdict !== "Reuse" && verdict !== "Settle" && slot.doom === undefined)
      ? verdict
      : doom
  }

  /** Why a slot must not be offered, whatever its item is like. */
  private unfit(slot: Slot<A, E>): CloseReason | undefined {
    if (slot.doom !== undefined) return slot.doom
    if (this.state !== "open") return "Shutdown"
    if (this.owed > 0 && slot.state === "leased") return "Reclaimed"
    return this.slots.size - this.count.closing > this.max ? "Evicted" : undefined
  }

  /** Whether a slot that was granted can still be lent. One that is over has ended by itself. */
  fitness(slot: Slot<A, E>): "Fit" | "Unfit" | "Over" {
    if (slot.state !== "leased" || !this.driver.isUsable(slot)) return "Over"
    return slot.doom === undefined && !this.isTooMany(slot) ? "Fit" : "Unfit"
  }

  /** Why a leased slot is wanted back, if it is. */
  retirement(slot: Slot<A, E>): CloseReason | undefined {
    if (slot.state !== "leased") return undefined
    if (slot.doom !== undefined) return slot.doom
    if (this.state !== "open") return "Shutdown"
    return this.isTooMany(slot) ? "Evicted" : undefined
  }

  private isTooMany(slot: Slot<A, E>): boolean {
    return slot.isSurplus && this.slots.size - this.count.closing > this.max
  }

  private pick(): Slot<A, E> | undefined {
    const slot = this.pickFirst()
    const { driver } = this
    if (slot === undefined || driver.isClogged === undefined || !driver.isClogged(slot)) return slot
    return this.shelf.find((other) => driver.isUsable(other) && driver.isClogged?.(other) === false) ?? slot
  }

  private pickFirst(): Slot<A, E> | undefined {
    const inUse = this.shelf.fullest
    if (inUse !== undefined) return inUse
    for (;;) {
      const slot = this.shelf.mostRecentlyUsed
      if (slot === undefined) return this.shelf.emptiestBeyond
      if (this.driver.isUsable(slot)) return slot
      this.close(slot, "Remote")
    }
  }

  private lease(slot: Slot<A, E>): void {
    unlink(slot)
    // A slot that was checked is leased already, to the waiter that it was checked for.
    if (slot.state !== "checking") this.books.lend(slot, slot.leases + 1)
    if (slot.state !== "leased") this.books.move(slot, "lease")
    slot.uses += 1
    if (slot.leases < this.limits.concurrency) this.shelf.putInUse(slot)
  }

  // Waiters

  /** Joins the line, or comes back to it as what it was `before`. The outcome may be there at once. */
  join(request: Request, before?: Waiter<A, E>): Waiter<A, E> {
    const turn = before?.turn ?? this.turns++
    const waiter = new Waiter<A, E>(turn, request, this.overdue, before)
    const refusal = this.state === "open" ? this.driver.refusal?.(waiter) : this.driver.poolClosed()
    if (refusal !== undefined) {
      if (this.state === "open") this.driver.waitLost?.(waiter, "Failed")
      waiter.settle(refusal)
      return waiter
    }
    this.waiting += 1
    this.driver.waits?.(1)
    this.line.enter(waiter)
    this.serve()
    // Who had a turn already has been let in before.
    const isNew = before === undefined && request.isStandIn !== true && waiter.list !== undefined
    const coming = this.driver.coming?.() ?? this.books.shared * this.limits.concurrency
    const surplus = this.line.length - coming - this.limits.maxWaiters
    if (isNew && surplus > 0 && surplus > this.books.departing(this.max)) {
      this.fail(waiter, this.driver.tooManyWaiters())
      this.work()
    }
    return waiter
  }

  /** Fails those who wait for what the driver now knows not to come in time. */
  refuse(): void {
    for (const waiter of this.waiters()) {
      const refusal = this.driver.refusal?.(waiter)
      if (refusal !== undefined) this.fail(waiter, refusal)
    }
    this.serve()
  }

  private waiters(): ReadonlyArray<Waiter<A, E>> {
    const waiters = this.line.toArray()
    for (const { heldFor } of this.slots) if (heldFor !== undefined) waiters.push(heldFor)
    return waiters
  }

  /** A waiter was interrupted: it refuses what it was given, or leaves. What it started goes on for the others. */
  abandon(waiter: Waiter<A, E>): void {
    if (!waiter.done) {
      this.leave(waiter)
      waiter.done = true
      this.driver.waitLost?.(waiter, "Interrupted")
      this.serve()
    } else if (waiter.granted !== undefined) this.release(waiter.granted, true)
  }

  private leave(waiter: Waiter<A, E>): void {
    this.line.leave(waiter)
    this.timers.clear(waiter)
    this.waiting -= 1
    this.driver.waits?.(-1)
    if (waiter.creation !== undefined) waiter.creation.starter = undefined
    if (waiter.held !== undefined) {
      waiter.held.heldFor = undefined
      if (waiter.held.state === "creating") this.books.shared += 1
    }
    waiter.creation = waiter.held = undefined
  }

  private fail(waiter: Waiter<A, E>, outcome: Outcome<A, E>): void {
    this.leave(waiter)
    waiter.done = true
    if (this.state === "open") this.driver.waitLost?.(waiter, "Failed")
    this.outbox.put({ _tag: "Wake", waiter, outcome })
  }

  private grant(waiter: Waiter<A, E>, slot: Slot<A, E>): void {
    this.leave(waiter)
    this.lease(slot)
    waiter.done = true
    waiter.granted = slot
    this.outbox.put({ _tag: "Wake", waiter, outcome: Effect.succeed(slot) })
  }

  /** Takes a waiter out of line, to wait for this very slot, or for the place that it leaves. */
  private hold(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    this.line.leave(waiter)
    // Out of line it has a timer of its own.
    this.timers.set(waiter, waiter.request.deadline)
    // What it started before is for the others now.
    if (waiter.creation !== undefined) waiter.creation.starter = waiter.creation = undefined
    slot.heldFor = waiter
    waiter.held = slot
  }

  // Serving

  /** Looks who can be served, once the transition is over. */
  private serve(): void {
    this.isDue = true
    this.work()
  }

  /** Carries out what has been ordered, and serves, until there is nothing left to do. Nothing calls it in a transition. */
  private work(): void {
    if (this.isWorking || !(this.isDue || !this.outbox.isEmpty)) return
    this.isWorking = true
    try {
      while (this.isDue || !this.outbox.isEmpty) {
        // What was made, or has failed, at once is handed out before more is made: it changes what is missing, and for whom.
        const order = this.outbox.take()
        if (order !== undefined) this.carryOut(order)
        else {
          this.isDue = false
          if (this.state !== "open") continue
          this.handOut()
          this.isDue = this.createMissing()
          this.evictSuspects()
          if (this.driver.demand === undefined || this.isDue) continue
          if (this.outbox.isEmpty) this.tellDemand()
          else this.isDue = true
        }
      }
    } finally {
      this.isWorking = false
    }
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

  private handOut(): void {
    for (;;) {
      const waiter = this.line.first
      if (waiter === undefined) return
      if (waiter.request.fresh) {
        if (this.slots.size < this.max) this.create(false, undefined, waiter)
        else {
          const unbegun = this.driver.unbegun?.()
          if (unbegun !== undefined) this.reserve(unbegun, waiter)
          else {
            const { victim } = this
            if (victim === undefined) return
            this.hold(victim, waiter)
            this.evict(victim)
          }
        }
      } else {
        const slot = this.pick()
        if (slot === undefined) return
        const mayCheck = slot.state === "idle" && !waiter.checked
        if (mayCheck && this.driver.needsCheck(slot, this.timers.now())) this.check(slot, waiter)
        else this.grant(waiter, slot)
      }
    }
  }

  /** Orders one item, if one is missing, and says whether it has. */
  private createMissing(): boolean {
    if (this.slots.size >= this.max) return false
    const isWanted = this.wanted > 0
    if (isWanted && this.driver.mayCreate?.() === false) return false
    const bare = isWanted ? this.line.firstBare : undefined
    const own = this.line.firstOwn
    if (bare !== undefined && (own === undefined || bare.turn < own.turn)) this.create(false, bare)
    else if (own !== undefined) this.create(false, undefined, own)
    else if (!isWanted && this.kept + this.count.creating >= this.min) {
      this.upkeep.satisfied()
      return false
    } else if (this.upkeep.mayStart()) this.create(true)
    else return false
    return true
  }

  /** Who waits at the limit gets the place of one that may be dead, unless another place is about to come free. */
  private evictSuspects(): void {
    if (this.suspects.length === 0) return
    let free = this.books.departing(this.max) - this.suspects.length
    for (let { first } = this.suspects; first !== undefined; { first } = this.suspects) {
      if (this.slots.size < this.max || this.wanted <= free) return
      free += 1
      this.evict(first)
    }
  }

  private tellDemand(): void {
    const { count, wanted } = this
    const surplus = Math.min(-wanted, this.kept + count.creating - this.min)
    this.driver.demand?.({
      waiting: this.line.lengthOfAny,
      creating: this.books.shared,
      surplus: Math.max(surplus, 0),
      idle: count.idle
    })
  }

  /** Holds a creation that has not begun for a waiter that wants an item of its own. */
  private reserve(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    this.unstart(slot)
    this.books.shared -= 1
    this.hold(slot, waiter)
  }

  /** Who has started a creation has not, any more. */
  private unstart(slot: Slot<A, E>): void {
    const { starter } = slot
    slot.starter = undefined
    if (starter === undefined) return
    starter.creation = undefined
    this.line.unstarted(starter)
  }

  /** What goes first when a place is needed. */
  private get victim(): Slot<A, E> | undefined {
    return this.suspects.first ?? this.releasing.first ?? this.shelf.leastRecentlyUsed
  }

  private evict(slot: Slot<A, E>): void {
    this.close(slot, slot.list === this.suspects ? "Unhealthy" : "Evicted")
  }

  /** How many creations the leases, and those in line for one, call for. */
  private get wanted(): number {
    const { lent, shared, sound } = this.books
    const usage = this.line.lengthOfAny + lent
    return roundedUp(usage / this.target) - sound - shared
  }

  private create(background: boolean, starter?: Waiter<A, E>, heldFor?: Waiter<A, E>): void {
    const slot = new Slot<A, E>(background, this.expire)
    this.books.open(slot)
    if (starter !== undefined) {
      this.line.started(starter)
      starter.creation = slot
      slot.starter = starter
    }
    if (heldFor === undefined) this.books.shared += 1
    else this.hold(slot, heldFor)
    this.outbox.put({ _tag: "Make", slot })
  }

  private check(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    waiter.checked = true
    this.hold(slot, waiter)
    this.checkOut(slot)
    this.outbox.put({ _tag: "Check", slot })
  }

  /** Takes an idle item out of circulation, to be checked. */
  checkOut(slot: Slot<A, E>): void {
    unlink(slot)
    this.books.lend(slot, 1)
    this.books.move(slot, "check")
  }

  /** Takes an idle item out of circulation that may be dead, to be checked for nobody. */
  suspect(slot: Slot<A, E>): void {
    this.checkOut(slot)
    this.suspects.push(slot)
  }

  // What drivers say

  /** `isOver` says that the item has ended already: if somebody waits it is for him to see, else for nobody. */
  created(slot: Slot<A, E>, item: A, isOver = false): void {
    slot.item = item
    slot.createdAt = this.timers.now()
    this.upkeep.succeeded()
    this.uncreate(slot)
    this.unstart(slot)
    this.timers.set(slot, slot.createdAt + this.driver.lifetime())
    this.offer(slot, "created")
    const first = this.line.first
    const waiter = slot.heldFor ?? (isOver && first?.request.fresh === false ? first : undefined)
    if (slot.state === "idle" && waiter !== undefined) this.grant(waiter, slot)
    else if (slot.state === "closing" && this.slots.size < this.max) this.unhold(slot)
    this.serve()
  }

  /** `isGone` says that nothing is left to finalise; else `closed` tells. */
  failed(slot: Slot<A, E>, outcome: Outcome<A, E>, isGone = true): void {
    this.uncreate(slot)
    this.books.move(slot, isGone ? "failed" : "close")
    const waiter = slot.starter ?? slot.heldFor
    if (waiter !== undefined) this.fail(waiter, outcome)
    if (slot.background && this.state === "open") this.upkeep.failed()
    this.afterwards()
  }

  /** A creation that has not begun, and that nobody needs, is given up: it has not failed. */
  withdraw(slot: Slot<A, E>): void {
    this.uncreate(slot)
    this.unstart(slot)
    this.books.move(slot, "failed")
    this.afterwards()
  }

  private uncreate(slot: Slot<A, E>): void {
    if (slot.heldFor === undefined) this.books.shared -= 1
  }

  checked(slot: Slot<A, E>, isHealthy: boolean): void {
    if (slot.state !== "checking") return
    // A server may have begun to close right behind its answer.
    const reason = this.unfit(slot) ?? (!isHealthy ? "Unhealthy" : this.driver.isUsable(slot) ? undefined : "Remote")
    if (reason !== undefined) {
      this.close(slot, reason)
      // At the limit its waiter gets whatever comes free first, unless what was as silent may be as dead.
      if (this.slots.size < this.max || reason !== "Unhealthy") this.unhold(slot)
    } else if (slot.heldFor !== undefined) this.grant(slot.heldFor, slot)
    else this.offer(slot, "checked")
    this.serve()
  }

  /** Who waits for a slot that closes gets another one, below the limit at once, without waiting for its end. */
  private unhold(slot: Slot<A, E>): void {
    const waiter = slot.heldFor
    if (waiter === undefined) return
    slot.heldFor = waiter.held = undefined
    if (this.slots.size < this.max) this.create(false, undefined, waiter)
    else this.line.enter(waiter)
  }

  /** An item that was occupied has nothing to do any more: if it is not leased it is idle from now on. */
  rest(slot: Slot<A, E>): void {
    if (slot.state !== "idle") return
    unlink(slot)
    this.shelf.putIdle(slot, this.timers.now())
    this.idling.arm(slot.idleSince)
  }

  settled(slot: Slot<A, E>): void {
    if (slot.state !== "releasing") return
    this.offer(slot, "settled")
    this.serve()
  }

  /** Ends a slot: now if it is not in use, else in place of its next offer. */
  doom(slot: Slot<A, E>, reason: CloseReason): void {
    switch (slot.state) {
      case "idle":
      case "releasing":
        this.close(slot, reason)
        break
      case "creating":
      case "checking":
      case "leased":
        if (slot.doom !== undefined) return
        if (slot.list === this.suspects) {
          this.close(slot, reason)
          break
        }
        unlink(slot)
        this.books.doom(slot, reason)
        this.loses(slot, reason)
        this.retire(slot, reason)
        break
      case "closing":
      case "gone":
        return
    }
    this.serve()
  }

  /** An item has ended by itself: there is nothing left to finalise. A lease of it goes on, and takes no place. */
  lose(slot: Slot<A, E>): void {
    if (!("lost" in transitions[slot.state])) return
    this.remove(slot, "lost")
    this.afterwards()
  }

  closed(slot: Slot<A, E>): void {
    this.remove(slot, "closed")
    this.afterwards()
  }

  // Limits and ends

  resize(min: number, max: number): void {
    this.min = min
    this.max = max
    while (this.slots.size - this.count.closing > max) {
      const { victim } = this
      if (victim === undefined) break
      this.evict(victim)
    }
    this.recall()
    this.idling.arm(this.timers.now())
    this.serve()
  }

  /** Wants as many leased items back as are too many, those that have been held for longest first. */
  private recall(): void {
    let surplus = this.count.leased - this.max
    const held: Array<Slot<A, E>> = []
    for (const slot of this.slots) {
      slot.isSurplus = false
      if (slot.state !== "leased") continue
      if (slot.doom === undefined) held.push(slot)
      else surplus -= 1
    }
    if (surplus <= 0) return
    const since = (slot: Slot<A, E>): number => this.driver.heldSince?.(slot) ?? slot.createdAt
    for (const slot of held.sort((a, b) => since(a) - since(b)).slice(0, surplus)) {
      slot.isSurplus = true
      this.retire(slot, "Evicted")
    }
  }

  private retire(slot: Slot<A, E>, reason: CloseReason): void {
    if (this.driver.retire !== undefined && slot.state === "leased") this.outbox.put({ _tag: "Retire", slot, reason })
  }

  /** Gives up so many idle items, the least recently used first, and says how many. */
  reclaim(count: number): number {
    let given = 0
    for (; given < count && this.state === "open"; given++) {
      const idle = this.shelf.leastRecentlyUsed
      if (idle === undefined) break
      this.close(idle, "Reclaimed")
    }
    this.serve()
    return given
  }

  /** Promises so many of the items that are in use, to be given up when they are given back. It says how many. */
  owe(count: number): number {
    if (this.state !== "open") return 0
    const { leased, releasing } = this.count
    const promised = Math.max(Math.min(count, leased + releasing - this.owed), 0)
    this.owed += promised
    return promised
  }

  /** One less is owed: a place has come free in another way. */
  settleDebt(): void {
    if (this.owed > 0) this.owed -= 1
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
    if (this.state !== "open") return
    this.state = "closing"
    this.upkeep.stop()
    this.idling.stop()
    for (let waiter = this.line.first; waiter !== undefined; waiter = this.line.first) {
      this.fail(waiter, this.driver.poolClosed())
    }
    this.line.stop()
    for (const slot of Array.from(this.slots)) {
      if (slot.heldFor !== undefined) this.fail(slot.heldFor, this.driver.poolClosed())
      if (slot.state === "creating") this.outbox.put({ _tag: "Abort", slot })
      else if (slot.state === "leased") this.retire(slot, "Shutdown")
      else if (slot.state !== "closing") this.close(slot, "Shutdown")
    }
    this.outbox.put({ _tag: "Vacate" })
    this.work()
  }

  /** Closes one that is still leased. */
  cut(slot: Slot<A, E>): void {
    if (slot.state !== "leased") return
    this.close(slot, slot.doom ?? "Shutdown")
    this.work()
  }

  /** Closes what is still leased. */
  sever(): void {
    for (const slot of Array.from(this.slots)) {
      if (slot.state === "leased") this.close(slot, "Shutdown")
    }
    this.outbox.put({ _tag: "Vacate" })
    this.work()
  }

  // Changes of state

  private offer(
    slot: Slot<A, E>,
    event: "created" | "checked" | "release" | "settled",
    now: number = this.timers.now()
  ): void {
    unlink(slot)
    slot.isSurplus = false
    this.books.lend(slot, 0)
    this.books.move(slot, event)
    const reason = this.unfit(slot) ?? (this.owed > 0 && event === "settled" ? "Reclaimed" : undefined)
    if (reason !== undefined) {
      this.close(slot, reason)
      return
    }
    if (event === "checked") this.shelf.putBack(slot)
    else this.shelf.putIdle(slot, now)
    // One that is kept for `min` may have been idle for longer than this one.
    if (this.kept > this.min) this.idling.arm((this.shelf.oldest() ?? slot).idleSince)
  }

  private close(slot: Slot<A, E>, reason: CloseReason): void {
    if (this.owed > 0) this.owed -= 1
    unlink(slot)
    this.timers.clear(slot)
    this.books.move(slot, "close")
    this.loses(slot, reason)
    this.outbox.put({ _tag: "Close", slot, reason })
  }

  private remove(slot: Slot<A, E>, event: "lost" | "closed"): void {
    if (event === "lost" && this.owed > 0) this.owed -= 1
    unlink(slot)
    this.timers.clear(slot)
    this.books.move(slot, event)
    if (event === "lost" && slot.doom === undefined) this.loses(slot, "Remote")
    const waiter = slot.heldFor
    if (waiter === undefined) return
    slot.heldFor = waiter.held = undefined
    const next = this.line.first
    if (this.slots.size < this.max && (next === undefined || waiter.turn < next.turn)) {
      this.create(false, undefined, waiter)
    } else {
      // The limit was lowered meanwhile.
      this.line.enter(waiter)
    }
  }

  private afterwards(): void {
    if (this.state !== "open" && this.slots.size === 0) this.outbox.put({ _tag: "Vacate" })
    this.serve()
  }

  /** A slot no longer counts towards `min`, nor among those that `targetUtilization` calls for. */
  private loses(slot: Slot<A, E>, reason: CloseReason): void {
    if (slot.heldFor !== undefined || this.state !== "open") return
    const isSpare = this.line.length === 0 && this.wanted > 0
    if (this.kept + this.count.creating >= this.min && !isSpare) return
    const now = this.timers.now()
    const lasted = slot.state === "creating" ? 0 : now - slot.createdAt
    if (this.limits.isRenewal(reason, lasted)) this.upkeep.renewed()
    else this.upkeep.lost(now, lasted, (since) => this.books.hasLasting(since, longestPause, now))
  }
}
