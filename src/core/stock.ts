import type { CloseReason } from "../values/events.js"
import { Books } from "./books.js"
import type { Driver, Limits } from "./driver.js"
import { Idling } from "./idling.js"
import { List, unlink } from "./list.js"
import type { Rounds } from "./rounds.js"
import { Shelf } from "./shelf.js"
import { Slot } from "./slot.js"
import type { Timers } from "./timers.js"
import { longestPause, Upkeep } from "./upkeep.js"

/** What is asked of the stock. */
interface Demand {
  /** How many more items the leases, and those in line for one, call for; below 0 there are some to spare. */
  readonly wanted: () => number
  /** Whether anybody is in line. */
  readonly isAwaited: () => boolean
}

/**
 * The slots of a pool: which there are, which of them is lent next, and which have to go. A slot changes its state here, or
 * by way of the books. It knows nothing of those who wait but that a slot may be held for one.
 */
export class Stock<A, E> {
  state: "open" | "closing" = "open"
  min: number
  max: number
  /** How many items are to be given up at the next releases. */
  owed = 0

  readonly books: Books<A, E>
  /** What can be lent. */
  readonly shelf: Shelf<A, E>
  readonly releasing = new List<Slot<A, E>>()
  /** Those that are checked for nobody, and may well be dead: who needs a place takes theirs. */
  readonly suspects = new List<Slot<A, E>>()
  readonly upkeep: Upkeep
  /** Leases on one slot up to which it is filled before another one is called for. */
  readonly target: number
  private readonly idling: Idling<A, E>
  private readonly expire = (slot: Slot<A, E>): void => this.doom(slot, "Expired")

  constructor(
    private readonly limits: Limits,
    private readonly driver: Driver<A, E>,
    private readonly timers: Timers,
    private readonly rounds: Rounds<A, E>,
    private readonly demand: Demand
  ) {
    this.min = limits.min
    this.max = limits.max
    this.target = limits.concurrency * limits.targetUtilization
    this.shelf = new Shelf(this.target)
    this.books = new Books(driver.moved && ((from, to) => driver.moved?.(from, to)))
    this.upkeep = new Upkeep(
      timers,
      () => driver.random(),
      () => rounds.serve()
    )
    this.idling = new Idling(
      this.shelf,
      timers,
      limits.idleTimeout,
      (slot) => driver.isOccupied?.(slot) !== true,
      () => this.kept > this.min && (demand.wanted() < 0 || "Later"),
      (slot) => {
        this.close(slot, "Idle")
        rounds.work()
      }
    )
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

  get hasRoom(): boolean {
    return this.slots.size < this.max
  }

  // Lending

  /** What is to be lent next. */
  pick(): Slot<A, E> | undefined {
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

  lend(slot: Slot<A, E>): void {
    unlink(slot)
    // A slot that was checked is leased already, to the waiter that it was checked for.
    const leases = slot.state === "checking" ? slot.leases : slot.leases + 1
    if (slot.state === "leased") this.books.lend(slot, leases)
    else this.books.move(slot, "lease", leases)
    slot.uses += 1
    if (slot.leases < this.limits.concurrency) this.shelf.putInUse(slot)
  }

  /** It can be lent, unless something else is to become of it. */
  offer(slot: Slot<A, E>, event: "created" | "checked" | "release" | "settled", now: number = this.timers.now()): void {
    unlink(slot)
    slot.isSurplus = false
    this.books.move(slot, event, 0)
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

  /** An idle item that had something of its own to do is idle from now on. */
  rest(slot: Slot<A, E>): void {
    unlink(slot)
    this.shelf.putIdle(slot, this.timers.now())
    this.idling.arm(slot.idleSince)
  }

  /** Why a slot must not be offered, whatever its item is like. */
  unfit(slot: Slot<A, E>): CloseReason | undefined {
    if (slot.doom !== undefined) return slot.doom
    if (this.state !== "open") return "Shutdown"
    if (this.owed > 0 && slot.state === "leased") return "Reclaimed"
    return this.hasTooMany ? "Evicted" : undefined
  }

  // Coming and going

  /** A slot whose item is to be made: `Make` is up to the caller. */
  open(background: boolean): Slot<A, E> {
    const slot = new Slot<A, E>(background, this.expire)
    this.books.open(slot)
    return slot
  }

  /** Takes an item that is given back out of circulation, to be made fit for the next lease. */
  settle(slot: Slot<A, E>): void {
    this.books.move(slot, "settle")
    this.releasing.push(slot)
    this.rounds.put({ _tag: "Settle", slot })
  }

  /** Takes an idle item out of circulation, to be checked. */
  checkOut(slot: Slot<A, E>): void {
    unlink(slot)
    this.books.move(slot, "check", 1)
  }

  /** Takes an idle item out of circulation that may be dead, to be checked for nobody. */
  suspect(slot: Slot<A, E>): void {
    this.checkOut(slot)
    this.suspects.push(slot)
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
    this.rounds.serve()
  }

  close(slot: Slot<A, E>, reason: CloseReason): void {
    this.settleDebt()
    unlink(slot)
    this.timers.clear(slot)
    // A check is for a lease that is not there yet.
    this.books.move(slot, "close", slot.state === "checking" ? 0 : slot.leases)
    this.loses(slot, reason)
    this.rounds.put({ _tag: "Close", slot, reason })
  }

  remove(slot: Slot<A, E>, event: "lost" | "closed"): void {
    if (event === "lost") this.settleDebt()
    unlink(slot)
    this.timers.clear(slot)
    this.books.move(slot, event)
    if (event === "lost" && slot.doom === undefined) this.loses(slot, "Remote")
  }

  /** One less is owed: a place has come free. */
  settleDebt(): void {
    if (this.owed > 0) this.owed -= 1
  }

  /** A slot no longer counts towards `min`, nor among those that `targetUtilization` calls for. */
  private loses(slot: Slot<A, E>, reason: CloseReason): void {
    if (slot.heldFor !== undefined || this.state !== "open") return
    const isSpare = !this.demand.isAwaited() && this.demand.wanted() > 0
    if (this.kept + this.count.creating >= this.min && !isSpare) return
    const now = this.timers.now()
    const lasted = slot.state === "creating" ? 0 : now - slot.createdAt
    if (this.limits.isRenewal(reason, lasted)) this.upkeep.renewed()
    else this.upkeep.lost(now, lasted, (since) => this.books.hasLasting(since, longestPause, now))
  }

  // Too many

  /** Whether there are more than there may be, those aside that are ending. */
  private get hasTooMany(): boolean {
    return this.slots.size - this.count.closing > this.max
  }

  private isTooMany(slot: Slot<A, E>): boolean {
    return slot.isSurplus && this.hasTooMany
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

  retire(slot: Slot<A, E>, reason: CloseReason): void {
    if (this.driver.retire !== undefined && slot.state === "leased") this.rounds.put({ _tag: "Retire", slot, reason })
  }

  /** What goes first when a place is needed. */
  get victim(): Slot<A, E> | undefined {
    return this.suspects.first ?? this.releasing.first ?? this.shelf.leastRecentlyUsed
  }

  evict(slot: Slot<A, E>): void {
    this.close(slot, slot.list === this.suspects ? "Unhealthy" : "Evicted")
  }

  resize(min: number, max: number): void {
    this.min = min
    this.max = max
    while (this.hasTooMany) {
      const { victim } = this
      if (victim === undefined) break
      this.evict(victim)
    }
    this.recall()
    this.idling.arm(this.timers.now())
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

  /** Keeps nothing up any more. */
  stop(): void {
    this.state = "closing"
    this.upkeep.stop()
    this.idling.stop()
  }
}
