import type { CloseReason } from "../values/events.js"
import type { Driver, Limits } from "./driver.js"
import { WaitingLine } from "./line.js"
import { List, unlink } from "./list.js"
import { Shelf } from "./shelf.js"
import { type Outcome, type Request, Slot, type SlotEvent, type SlotState, transitions, Waiter } from "./slot.js"
import { makeTimer, type Timer, type Timers } from "./timers.js"
import { firstPause, longestPause, Upkeep } from "./upkeep.js"

/**
 * The core: slots, the line of waiters, and who gets what. It is synchronous throughout: effects wrap it.
 * Whatever happens ends in `serve`, which hands out what is free and starts what is missing, so that a
 * waiter waits only while nothing could serve it.
 */
export class SlotPool<A, E> {
  state: "open" | "closing" = "open"
  min: number
  max: number
  /** Every slot that is not gone. */
  readonly slots = new Set<Slot<A, E>>()
  readonly count: { [S in SlotState]: number } = {
    creating: 0,
    idle: 0,
    checking: 0,
    leased: 0,
    releasing: 0,
    closing: 0,
    gone: 0
  }
  /** Waiters, in line or waiting for a slot that is held for them. */
  waiting = 0

  private readonly line: WaitingLine<A, E>
  /** What can be lent. */
  private readonly shelf = new Shelf<A, E>()
  private readonly releasing = new List<Slot<A, E>>()
  /** Those that are checked for nobody, and may well be dead: who needs a place takes theirs. */
  private readonly suspects = new List<Slot<A, E>>()
  /** Creations that are held for nobody. */
  private shared = 0
  /** Slots that are idle, checked or leased, and not doomed; and the leases on them. */
  private sound = 0
  private lent = 0
  private turns = 0
  private serving = false
  private again = false
  private readonly upkeep: Upkeep
  private readonly idleTimer: Timer
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
    this.upkeep = new Upkeep(
      timers,
      () => driver.random(),
      () => this.serve()
    )
    this.idleTimer = makeTimer(() => this.closeIdle())
    this.line = new WaitingLine(timers, this.overdue)
  }

  // Leases

  /** Leases what is free, unless somebody is in line before. */
  tryLease(now: number = this.timers.now()): Slot<A, E> | undefined {
    if (this.line.length > 0 || this.state !== "open") return undefined
    const slot = this.pick()
    if (slot === undefined || (slot.state === "idle" && this.driver.needsCheck(slot, now))) return undefined
    this.lease(slot)
    if (this.limits.targetUtilization < 1) this.serve()
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
    slot.leases -= 1
    if (slot.doom === undefined) this.lent -= 1
    if (slot.leases > 0) {
      if (slot.doom !== undefined) return
      this.shelf.putInUse(slot)
      this.serve()
      return
    }
    const verdict = this.verdict(slot, refused)
    if (verdict === "Reuse") this.offer(slot, "release", now)
    else if (verdict === "Settle") {
      this.tally(slot, -1)
      this.move(slot, "settle")
      this.releasing.push(slot)
      this.driver.settle(slot)
    } else this.close(slot, verdict)
    if (this.state !== "open" && this.count.leased === 0) this.driver.vacated()
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
    return this.slots.size - this.count.closing > this.max ? "Evicted" : undefined
  }

  /** Whether a slot that was granted can still be lent. One that is over has ended by itself. */
  fitness(slot: Slot<A, E>): "Fit" | "Unfit" | "Over" {
    if (slot.state !== "leased" || !this.driver.isUsable(slot)) return "Over"
    return slot.doom === undefined ? "Fit" : "Unfit"
  }

  private pick(): Slot<A, E> | undefined {
    const inUse = this.shelf.fullest
    if (inUse !== undefined) return inUse
    for (;;) {
      const slot = this.shelf.mostRecentlyUsed
      if (slot === undefined || this.driver.isUsable(slot)) return slot
      this.close(slot, "Remote")
    }
  }

  private lease(slot: Slot<A, E>): void {
    unlink(slot)
    // A slot that was checked is leased already, to the waiter that it was checked for.
    if (slot.state !== "checking") {
      slot.leases += 1
      this.lent += 1
    }
    if (slot.state !== "leased") this.move(slot, "lease")
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
      waiter.settle(refusal)
      return waiter
    }
    this.waiting += 1
    this.driver.waits?.(1)
    this.line.enter(waiter)
    this.serve()
    // Who had a turn already has been let in before.
    const isNew = before === undefined && waiter.list !== undefined
    const surplus = this.line.length - this.shared * this.limits.concurrency - this.limits.maxWaiters
    if (isNew && surplus > 0 && surplus > this.departing) this.fail(waiter, this.driver.tooManyWaiters())
    return waiter
  }

  /** Places that come free without the end of a lease, and for which nobody in particular waits. */
  private get departing(): number {
    if (this.count.closing + this.count.checking === 0) return 0
    // After shrinking, as many leave none.
    let places = Math.min(this.max - this.slots.size, 0)
    for (const { heldFor, state } of this.slots) {
      if (heldFor === undefined && (state === "closing" || state === "checking")) places += 1
    }
    return places
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
      if (waiter.held.state === "creating") this.shared += 1
    }
    waiter.creation = waiter.held = undefined
  }

  private fail(waiter: Waiter<A, E>, outcome: Outcome<A, E>): void {
    this.leave(waiter)
    waiter.settle(outcome)
  }

  private grant(waiter: Waiter<A, E>, slot: Slot<A, E>): void {
    this.leave(waiter)
    this.lease(slot)
    waiter.grant(slot)
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

  /** Hands out what is free, then starts what is missing. */
  private serve(): void {
    // Items may be made, and finalised, synchronously: what they bring about is served in another round.
    this.again = true
    if (this.serving) return
    this.serving = true
    try {
      while (this.again) {
        this.again = false
        if (this.state !== "open") break
        this.handOut()
        this.createMissing()
        this.evictSuspects()
      }
    } finally {
      this.serving = false
    }
  }

  private handOut(): void {
    for (;;) {
      const waiter = this.line.first
      if (waiter === undefined) return
      if (waiter.request.fresh) {
        if (this.slots.size < this.max) this.create(false, undefined, waiter)
        else {
          const { victim } = this
          if (victim === undefined) return
          this.hold(victim, waiter)
          this.evict(victim)
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

  private createMissing(): void {
    // What was made, or has failed, at once is handed out first: it changes what is missing, and for whom.
    while (this.slots.size < this.max && !this.again) {
      const wanted = this.wanted > 0
      const bare = wanted ? this.line.firstBare : undefined
      const own = this.line.firstOwn
      if (bare !== undefined && (own === undefined || bare.turn < own.turn)) this.create(false, bare)
      else if (own !== undefined) this.create(false, undefined, own)
      else if (!wanted && this.kept + this.count.creating >= this.min) {
        this.upkeep.satisfied()
        return
      } else if (this.upkeep.mayStart()) this.create(true)
      else return
    }
  }

  /** Who waits at the limit gets the place of one that may be dead, unless another place is about to come free. */
  private evictSuspects(): void {
    if (this.suspects.length === 0) return
    let free = this.departing - this.suspects.length
    for (let { first } = this.suspects; first !== undefined; { first } = this.suspects) {
      if (this.slots.size < this.max || this.again || this.wanted <= free) return
      free += 1
      this.evict(first)
    }
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
    const usage = this.line.lengthOfAny + this.lent
    return Math.ceil(usage / this.limits.targetUtilization / this.limits.concurrency) - this.sound - this.shared
  }

  /** Slots with an item that counts towards `min`. */
  get kept(): number {
    return this.sound + this.releasing.length
  }

  private create(background: boolean, starter?: Waiter<A, E>, heldFor?: Waiter<A, E>): void {
    const slot = new Slot<A, E>(background, this.expire)
    this.slots.add(slot)
    this.count.creating += 1
    this.driver.moved?.(undefined, "creating")
    if (starter !== undefined) {
      this.line.started(starter)
      starter.creation = slot
      slot.starter = starter
    }
    if (heldFor === undefined) this.shared += 1
    else this.hold(slot, heldFor)
    this.driver.create(slot)
  }

  private check(slot: Slot<A, E>, waiter: Waiter<A, E>): void {
    waiter.checked = true
    this.hold(slot, waiter)
    this.checkOut(slot)
    this.driver.check(slot)
  }

  /** Takes an idle item out of circulation, to be checked. */
  checkOut(slot: Slot<A, E>): void {
    this.tally(slot, -1)
    unlink(slot)
    slot.leases = 1
    this.move(slot, "check")
    this.tally(slot, 1)
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
    const { starter } = slot
    slot.starter = undefined
    if (starter !== undefined) {
      starter.creation = undefined
      this.line.unstarted(starter)
    }
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
    this.move(slot, isGone ? "failed" : "close")
    if (isGone) this.slots.delete(slot)
    const waiter = slot.starter ?? slot.heldFor
    if (waiter !== undefined) this.fail(waiter, outcome)
    if (slot.background && this.state === "open") this.upkeep.failed()
    this.afterwards()
  }

  private uncreate(slot: Slot<A, E>): void {
    if (slot.heldFor === undefined) this.shared -= 1
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
        this.tally(slot, -1)
        unlink(slot)
        slot.doom = reason
        this.loses(slot, reason)
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
    this.armIdle(this.timers.now() + this.limits.idleTimeout)
    this.serve()
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
    this.timers.clear(this.idleTimer)
    for (let waiter = this.line.first; waiter !== undefined; waiter = this.line.first) {
      this.fail(waiter, this.driver.poolClosed())
    }
    this.line.stop()
    for (const slot of Array.from(this.slots)) {
      if (slot.heldFor !== undefined) this.fail(slot.heldFor, this.driver.poolClosed())
      if (slot.state === "creating") this.driver.abort(slot)
      else if (slot.state !== "leased" && slot.state !== "closing") this.close(slot, "Shutdown")
    }
    this.driver.vacated()
  }

  /** Closes what is still leased. */
  sever(): void {
    for (const slot of Array.from(this.slots)) {
      if (slot.state === "leased") this.close(slot, "Shutdown")
    }
    this.driver.vacated()
  }

  private closeIdle(): void {
    for (;;) {
      const { oldest } = this.shelf
      if (oldest === undefined || this.kept <= this.min) return
      const due = oldest.idleSince + this.limits.idleTimeout
      if (due > this.timers.now()) {
        this.timers.set(this.idleTimer, due)
        return
      }
      if (this.wanted >= 0) {
        // For `targetUtilization` it would be made again at once: it is looked at again later.
        this.timers.set(this.idleTimer, this.timers.now() + Math.max(this.limits.idleTimeout, firstPause))
        return
      }
      this.close(oldest, "Idle")
    }
  }

  /** An armed timer is due no later than anything idle: it looks again when it is. */
  private armIdle(due: number): void {
    if (this.idleTimer.position === -1 || due < this.idleTimer.due) this.timers.set(this.idleTimer, due)
  }

  // Changes of state

  private offer(
    slot: Slot<A, E>,
    event: "created" | "checked" | "release" | "settled",
    now: number = this.timers.now()
  ): void {
    this.tally(slot, -1)
    unlink(slot)
    slot.leases = 0
    this.move(slot, event)
    this.tally(slot, 1)
    const reason = this.unfit(slot)
    if (reason !== undefined) {
      this.close(slot, reason)
      return
    }
    if (event === "checked") this.shelf.putBack(slot)
    else this.shelf.putIdle(slot, now)
    // One that is kept for `min` may have been idle for longer than this one.
    if (this.kept > this.min) this.armIdle((this.shelf.oldest ?? slot).idleSince + this.limits.idleTimeout)
  }

  private close(slot: Slot<A, E>, reason: CloseReason): void {
    this.tally(slot, -1)
    unlink(slot)
    this.timers.clear(slot)
    this.move(slot, "close")
    this.loses(slot, reason)
    this.driver.destroy(slot, reason)
  }

  private remove(slot: Slot<A, E>, event: "lost" | "closed"): void {
    this.tally(slot, -1)
    unlink(slot)
    this.timers.clear(slot)
    this.move(slot, event)
    this.slots.delete(slot)
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
    if (this.state === "open") this.serve()
    else if (this.slots.size === 0) this.driver.vacated()
  }

  /** A slot no longer counts towards `min`. */
  private loses(slot: Slot<A, E>, reason: CloseReason): void {
    if (slot.heldFor !== undefined || this.state !== "open") return
    if (this.kept + this.count.creating >= this.min) return
    const now = this.timers.now()
    const lasted = slot.state === "creating" ? 0 : now - slot.createdAt
    if (this.limits.isRenewal(reason, lasted)) this.upkeep.renewed()
    else this.upkeep.lost(now, lasted, (since) => this.hasLasting(since, now))
  }

  /** Whether an item that was made since then has lasted for as long as the longest pause. */
  private hasLasting(since: number, now: number): boolean {
    for (const { createdAt, state } of this.slots) {
      if (state !== "creating" && createdAt >= since && now - createdAt >= longestPause) return true
    }
    return false
  }

  private move(slot: Slot<A, E>, event: SlotEvent): void {
    const next = transitions[slot.state][event]
    if (next === undefined) throw new Error(`BUG: ${event} cannot happen to a slot that is ${slot.state}`)
    this.count[slot.state] -= 1
    this.count[next] += 1
    this.driver.moved?.(slot.state, next)
    slot.state = next
  }

  private tally(slot: Slot<A, E>, sign: 1 | -1): void {
    if (slot.doom !== undefined) return
    if (slot.state === "leased" || slot.state === "idle" || slot.state === "checking") {
      this.sound += sign
      this.lent += sign * slot.leases
    }
  }
}
