import type { Making, Setting } from "./resourceProgram.js"
import { Violation, type World } from "./world.js"

/** Sums of durations are no whole numbers. */
const slack = 0.001
/** The shortest, the first and the longest pause after a creation to keep `min` has failed. */
const shortestPause = 80
const firstPause = 100
const longestPause = 10_000

/**
 * The life of an item, from the first operation of `acquire` to the last one of its finaliser. One whose making
 * has failed is `failing` while what it had acquired is finalised.
 */
export type ItemState = "making" | "made" | "failing" | "closing" | "gone"

export class Item {
  state: ItemState = "making"
  readonly holders = new Set<User>()
  uses = 0
  madeAt = 0
  /** When it was last made or given back, and in which order. */
  idleSince = 0
  order = 0
  /** The moment in which it was invalidated. */
  spoiled: number | undefined = undefined
  /** When it may have been lent to somebody who was interrupted before he had it. */
  vagueSince: number | undefined = undefined
  /** The waiter that started it and takes its failure. If the model cannot know: one of `maybe`, or nobody. */
  starter: User | "nobody" | "unknown" = "unknown"
  maybe: ReadonlySet<User> = new Set()
  /** Whether it is made for nobody, so that its failure slows such creations down. */
  background: boolean | "unknown" = "unknown"
  /** The moment in which its failure was told, to whom it was told, and who had to be told. */
  failedIn: number | undefined = undefined
  readonly told: Array<User> = []
  culprit: User | "nobody" | "unknown" = "unknown"

  constructor(
    readonly id: number,
    readonly how: Making
  ) {}
}

/** One lease that a fiber asks for. */
export class User {
  state: "waiting" | "holding" | "done" = "waiting"
  item: Item | undefined = undefined
  /** Whether it was told to stop. */
  interrupted = false
  /** Whether it was given what it does not hold yet. */
  granted = false
  /** Whether it was given an item that was invalidated before it held it. */
  hasRefused = false

  constructor(
    readonly token: number,
    /** The moment in which it began to wait. */
    readonly since: number,
    readonly isLate: boolean
  ) {}
}

/** What has happened since everybody waited. */
class Moment {
  readonly served: Array<User> = []
  readonly failed: Array<Item> = []
  /** Whether waiters may have been given what they do not hold yet. */
  grants = false
  /** How many items were invalidated: one that has been given may be given back then. */
  spoiled = 0
  /** Whether a waiter was interrupted: then it may have given back what it never held. */
  cancels = false
  /** Whether somebody was told of a failure, and nobody knows who. */
  tells = false

  /** Whether it is unknown who waits and who has been served. */
  get isMurky(): boolean {
    return this.spoiled > 0 || this.cancels || this.tells
  }
}

/**
 * What a pool of resources has promised, as seen from outside: who waits, who holds what, what exists. It is told of
 * all that happens as it happens, and looks at everything each time that everybody waits.
 *
 * Where fibers yield at any time, nothing is known of the order of what happens at the same moment. The same holds
 * where an item comes to its end by age at this very instant, or an interruption crosses a hand-off. What the model
 * cannot know, it does not check.
 */
export class Model {
  readonly min: number
  readonly max: number
  readonly concurrency: number
  private readonly targetUtilization: number
  private readonly lifetime: number
  private readonly idleTimeout: number
  private readonly isExact: boolean

  /** What exists. */
  readonly items = new Set<Item>()
  readonly line: Array<User> = []
  asked = 0
  leases = 0
  started = 0
  finalised = 0
  state: "open" | "closing" = "open"
  moment = 0
  violation: Violation | undefined
  private recent: Moment = new Moment()
  private orders = 0
  /** Since when there are more items than needed. */
  private spareSince = Number.POSITIVE_INFINITY
  private lastFailure = Number.NEGATIVE_INFINITY
  private pausedUntil = Number.NEGATIVE_INFINITY
  /** Whether the next failure in the background surely begins a pause. */
  private pauses = true

  constructor(
    readonly setting: Setting,
    private readonly world: World
  ) {
    const { concurrency, constructor, max, min, strategy, targetUtilization, timeToLive, yields } = setting
    const ttl = timeToLive === undefined || constructor === "make" ? Number.POSITIVE_INFINITY : timeToLive
    this.min = constructor === "make" ? max : Math.min(min, max)
    this.max = max
    this.concurrency = concurrency
    this.targetUtilization = targetUtilization ?? 1
    this.lifetime = strategy === "creation" ? ttl : Number.POSITIVE_INFINITY
    this.idleTimeout = strategy === "creation" ? Number.POSITIVE_INFINITY : ttl
    this.isExact = yields === 0
  }

  fail(message: string): never {
    this.violation ??= new Violation(`${message} at ${this.world.now} ms`)
    throw this.violation
  }

  // Items

  /** `acquire` begins. */
  begins(how: Making): Item {
    const item = new Item(++this.started, how)
    if (this.state !== "open") this.fail(`creation ${item.id} begins in a closed pool`)
    if (this.items.size >= this.max) this.fail(`item ${item.id} is one more than max`)
    if (this.isExact && !this.isEdge) {
      const wanted = this.wanted
      if (wanted <= 0 && this.kept + this.underWay >= this.min) this.fail(`nothing calls for creation ${item.id}`)
      this.findStarter(item, wanted)
      if (item.background === true) {
        if (this.world.now < this.pausedUntil - slack) this.fail(`creation ${item.id} comes before its pause is over`)
        this.pauses = true
      }
    } else {
      item.maybe = new Set(this.line)
    }
    this.items.add(item)
    return item
  }

  /** First come, first served: a creation is started by the first who has started none. */
  private findStarter(item: Item, wanted: number): void {
    const isMurky = this.recent.isMurky
    const without = this.line.filter((user) => isMurky || !(user.granted || this.hasStarted(user)))
    const [first] = without
    if (wanted <= 0 || first === undefined) {
      item.starter = "nobody"
      item.background = true
      return
    }
    item.maybe = new Set(without)
    if (isMurky || this.mayHaveStarted(first)) return
    item.starter = first
    item.background = false
  }

  private hasStarted(user: User): boolean {
    for (const { starter } of this.items) if (starter === user) return true
    return false
  }

  private mayHaveStarted(user: User): boolean {
    for (const { maybe, starter } of this.items) if (starter === "unknown" && maybe.has(user)) return true
    return false
  }

  /** `acquire` ends. */
  ends(item: Item, end: "made" | "failed" | "interrupted"): void {
    if (end === "made") {
      item.state = "made"
      item.madeAt = this.world.now
      item.starter = "nobody"
      this.idles(item)
      this.grant()
      return
    }
    if (end === "interrupted" && item.how !== "interrupts" && this.state === "open") {
      this.fail(`creation ${item.id} was given up`)
    }
    item.state = "failing"
    this.failed(item)
  }

  private failed(item: Item): void {
    item.failedIn = this.moment
    item.culprit = item.starter
    // It is told at once.
    if (item.starter instanceof User) this.leaves(item.starter)
    else if (item.starter === "unknown") this.recent.tells = true
    this.recent.failed.push(item)
    this.lastFailure = this.world.now
    if (item.background === true && this.pauses) this.pausedUntil = this.world.now + shortestPause
    if (item.background !== false) this.pauses = false
  }

  private idles(item: Item): void {
    item.idleSince = this.world.now
    item.vagueSince = undefined
    item.order = ++this.orders
  }

  spoil(item: Item): void {
    if (item.spoiled === undefined) this.recent.spoiled += 1
    item.spoiled ??= this.moment
  }

  /** The finaliser begins. */
  closes(item: Item): void {
    if (item.state !== "made" && item.state !== "failing") this.fail(`item ${item.id} is finalised twice`)
    if (item.holders.size > 0) this.fail(`item ${item.id} is finalised while it is held`)
    if (item.state === "failing") return
    item.state = "closing"
    if (this.state !== "open" || item.spoiled !== undefined || this.isExpired(item)) return
    const idle = this.world.now - item.idleSince
    if (idle < this.idleTimeout - slack) this.fail(`item ${item.id} is finalised after ${idle} ms without use`)
    if (!this.isExact || this.isEdge) return
    if (this.kept < this.min) this.fail(`item ${item.id} is finalised, with ${this.kept} left`)
    // Without it nothing must be missing, or it would be made again at once.
    if (this.wanted > 0) this.fail(`item ${item.id} is finalised although targetUtilization calls for it`)
  }

  /** The finaliser has ended. */
  ended(item: Item): void {
    item.state = "gone"
    this.finalised += 1
    this.items.delete(item)
  }

  // Leases

  /** A fiber asks for a lease. */
  asks(): User {
    const user = new User(++this.asked, this.moment, this.state !== "open")
    this.line.push(user)
    return user
  }

  /** A lease begins. */
  holds(user: User, item: Item): void {
    if (item.state !== "made") this.fail(`item ${item.id} is lent while it is ${item.state}`)
    if (item.holders.size >= this.concurrency) {
      this.fail(`item ${item.id} is lent to ${user.token} and ${item.holders.size} others`)
    }
    if (item.spoiled !== undefined) {
      // In the instant after the hand-off: one that was just made is lent all the same, and to who refused one already.
      const mayRefuse = this.isExact && !this.isEdge && item.uses > 0
      const isRefused = mayRefuse && this.recent.spoiled === 1 && !user.hasRefused
      if (item.spoiled < this.moment || isRefused) this.fail(`item ${item.id} was invalidated, and is lent`)
    }
    if (this.world.now - item.madeAt > this.lifetime + slack) this.fail(`item ${item.id} is too old, and is lent`)
    if (user.isLate) this.fail(`a closed pool lends item ${item.id}`)
    user.state = "holding"
    user.item = item
    item.holders.add(user)
    item.uses += 1
    this.leaves(user)
    this.leases += 1
    this.recent.served.push(user)
  }

  /** A lease is about to end. */
  letsGo(user: User, item: Item): void {
    item.holders.delete(user)
    if (item.holders.size === 0) this.idles(item)
    this.grant()
  }

  /** The first in line are given what is free. */
  private grant(): void {
    if (this.line.length === 0 || this.state !== "open") return
    this.recent.grants = true
    let room = 0
    for (const { holders } of this.free) room += this.concurrency - holders.size
    for (const user of this.line) {
      if (room <= 0) return
      room -= 1
      if (user.granted) continue
      user.granted = true
      this.disown(user)
    }
  }

  /** What it started is for the others now. */
  private disown(user: User): void {
    for (const item of this.items) if (item.starter === user) item.starter = "nobody"
  }

  interrupts(user: User): void {
    user.interrupted = true
    if (user.state === "waiting") this.recent.cancels = true
  }

  /** It waits no more. */
  private leaves(user: User): void {
    const place = this.line.indexOf(user)
    if (place < 0) return
    this.line.splice(place, 1)
    this.disown(user)
  }

  /** A fiber that asked for a lease is over. `failure` is the creation that it failed with. */
  over(user: User, end: "ended" | "interrupted" | "closed" | "failed", failure?: Item): void {
    const wasWaiting = user.state === "waiting"
    user.state = "done"
    this.leaves(user)
    if (!wasWaiting && end !== "ended" && end !== "interrupted") this.fail(`${user.token} held an item, and ${end}`)
    switch (end) {
      case "ended":
        if (wasWaiting) this.fail(`${user.token} ended without an item`)
        return
      case "closed":
        if (this.state === "open") this.fail(`${user.token} was told that an open pool is closed`)
        return
      case "failed":
        if (failure!.failedIn !== this.moment) this.fail(`the failure of creation ${failure!.id} was kept`)
        failure!.told.push(user)
        return
      case "interrupted": {
        if (user.interrupted) {
          if (wasWaiting) this.recent.cancels = true
          return
        }
        // The fewer may have started a creation, the more likely it is this one.
        const [own] = this.recent.failed
          .filter(({ culprit, how, maybe, told }) => {
            const isOwn = culprit === user || (culprit === "unknown" && maybe.has(user))
            return how === "interrupts" && isOwn && told.length === 0
          })
          .sort((a, b) => a.maybe.size - b.maybe.size)
        if (own === undefined) this.fail(`${user.token} was interrupted by nobody`)
        own.told.push(user)
      }
    }
  }

  // Counts

  /** An item that is lent no more. */
  private isDoomed(item: Item): boolean {
    return item.spoiled !== undefined || this.isExpired(item)
  }

  private isExpired(item: Item): boolean {
    return this.world.now >= item.madeAt + this.lifetime - slack
  }

  /** Whether an item comes to its end just now: nobody can say whether it has. */
  private get isEdge(): boolean {
    if (this.lifetime === Number.POSITIVE_INFINITY) return false
    for (const { madeAt, state } of this.items) {
      if (state === "made" && Math.abs(madeAt + this.lifetime - this.world.now) <= slack) return true
    }
    return false
  }

  private count(matches: (item: Item) => boolean): number {
    let count = 0
    for (const item of this.items) if (matches(item)) count += 1
    return count
  }

  /** Items that are made, and may be lent. */
  get kept(): number {
    return this.count((item) => item.state === "made" && !this.isDoomed(item))
  }

  private get underWay(): number {
    return this.count(({ state }) => state === "making")
  }

  /** How many creations are missing for the leases and for those who wait. */
  private get wanted(): number {
    let usage = this.line.length
    for (const item of this.items) if (item.state === "made" && !this.isDoomed(item)) usage += item.holders.size
    return Math.ceil(usage / this.targetUtilization / this.concurrency) - this.kept - this.underWay
  }

  /** What a newcomer gets: one of these. Undefined where nobody can say. */
  get next(): ReadonlyArray<Item> | undefined {
    if (!this.isExact || this.isEdge || this.line.length > 0 || this.state !== "open") return undefined
    const free = this.free
    const target = this.concurrency * this.targetUtilization - 1e-9
    const inUse = free.filter(({ holders }) => holders.size > 0)
    const below = inUse.filter(({ holders }) => holders.size < target)
    const most = Math.max(...below.map(({ holders }) => holders.size))
    if (below.length > 0) return below.filter(({ holders }) => holders.size === most)
    const least = Math.min(...inUse.map(({ holders }) => holders.size))
    if (inUse.length === free.length) return inUse.filter(({ holders }) => holders.size === least)
    if (free.some(({ vagueSince }) => vagueSince !== undefined)) return undefined
    const idle = free.filter(({ holders }) => holders.size === 0)
    const used = idle.filter(({ uses }) => uses > 0).sort((a, b) => b.order - a.order)
    const unused = idle.filter(({ uses }) => uses === 0).sort((a, b) => a.order - b.order)
    return [...used, ...unused].slice(0, 1)
  }

  private get free(): Array<Item> {
    return Array.from(this.items).filter(
      (item) => item.state === "made" && !this.isDoomed(item) && item.holders.size < this.concurrency
    )
  }

  // Checks

  /** Everybody waits. */
  settled(isClosed: boolean): void {
    if (this.violation !== undefined) throw this.violation
    this.checkFailures()
    this.checkOrder()
    if (this.state === "open") this.checkOpen()
    else this.checkClosing(isClosed)
    this.forget()
    this.recent = new Moment()
    this.moment += 1
  }

  /** What crossed in this moment is unknown from now on. */
  private forget(): void {
    const { cancels, grants, spoiled } = this.recent
    if (!grants) return
    for (const user of this.line) {
      if (user.granted) user.hasRefused = true
      user.granted = false
    }
    for (const item of this.items) {
      if (cancels && item.state === "made" && item.holders.size === 0) item.vagueSince = this.world.now
      const { starter } = item
      // Who refused what was invalidated is in line again, and has started nothing.
      if ((spoiled > 0 || this.isEdge) && starter instanceof User) {
        item.starter = "unknown"
        item.maybe = new Set([starter])
      }
    }
  }

  private checkFailures(): void {
    for (const { culprit, id, maybe, told } of this.recent.failed) {
      const [first] = told
      if (told.length > 1) this.fail(`the failure of creation ${id} was told to ${told.length}`)
      if (culprit === "unknown") {
        if (first !== undefined && !maybe.has(first)) this.fail(`${first.token} was told of creation ${id}`)
      } else if (culprit === "nobody" || culprit.interrupted || this.recent.served.includes(culprit)) {
        if (first !== undefined && first !== culprit) this.fail(`${first.token} did not start creation ${id}`)
      } else if (first !== culprit && this.state === "open") {
        this.fail(`${culprit.token} was not told that creation ${id} failed`)
      }
    }
  }

  private checkOrder(): void {
    const [first] = this.line
    if (first === undefined || this.recent.spoiled > 0 || this.isEdge) return
    const other = this.recent.served.find((user) =>
      this.isExact ? user.token > first.token : user.since > first.since
    )
    if (other !== undefined) this.fail(`${other.token} was served before ${first.token}`)
  }

  private checkOpen(): void {
    for (const item of this.items) {
      if (item.state !== "made" || item.holders.size > 0) continue
      if (item.spoiled !== undefined) this.fail(`item ${item.id} was invalidated, and is not finalised`)
      if (this.world.now - item.madeAt > this.lifetime + slack) this.fail(`item ${item.id} is too old`)
    }
    if (this.isEdge) return
    this.checkIdle()
    const waiting = this.line.length
    if (waiting > 0 && this.free.length > 0) this.fail(`${waiting} wait while item ${this.free[0]!.id} is free`)
    if (this.items.size >= this.max) return
    if (waiting > this.underWay * this.concurrency) {
      this.fail(`${waiting} wait for ${this.underWay} creations, and there is room for more`)
    }
    if (this.world.now < this.lastFailure + longestPause + 1) return
    // What expires within a second is replaced through the back-off.
    if (this.lifetime < 1_000) return
    if (this.wanted > 0) this.fail(`${this.wanted} creations are missing`)
    if (this.kept + this.underWay < this.min) this.fail(`${this.kept} are kept, ${this.underWay} under way`)
  }

  /** What is idle for too long is looked at as often as it comes to that, and closed if it is not needed then. */
  private checkIdle(): void {
    const isSpare = this.kept > this.min && (this.wanted < 0 || this.targetUtilization === 1)
    if (!isSpare) this.spareSince = Number.POSITIVE_INFINITY
    else if (this.spareSince > this.world.now) this.spareSince = this.world.now
    const patience = this.targetUtilization === 1 ? this.idleTimeout : Math.max(this.idleTimeout, firstPause)
    if (this.world.now - this.spareSince <= patience + slack) return
    for (const { holders, id, idleSince, state, vagueSince } of this.items) {
      if (state !== "made" || holders.size > 0) continue
      const idle = this.world.now - Math.max(idleSince, vagueSince ?? 0)
      if (idle > this.idleTimeout + slack) {
        this.fail(`item ${id} has not been used for ${idle} ms, with ${this.kept} kept`)
      }
    }
  }

  private checkClosing(isClosed: boolean): void {
    if (this.line.length > 0) this.fail(`${this.line.length} wait for a closed pool`)
    for (const { holders, how, id, state } of this.items) {
      if (state === "made" && holders.size === 0) this.fail(`the closed pool keeps item ${id}`)
      if (state === "making" && how !== "stubborn") this.fail(`the closed pool goes on making item ${id}`)
    }
    if (isClosed && this.items.size > 0) this.fail(`closed, with ${this.items.size} items left`)
    if (!isClosed && this.items.size === 0) this.fail("nothing is left, and it is not closed")
  }
}
