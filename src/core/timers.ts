import { millisOf, monotonicOf } from "#dialect"
import type * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"

/** Something to do at a time. Whoever waits for it implements it, so that waiting allocates nothing. */
export interface Timer {
  /** When it is due. */
  due: number
  /** Where it stands in the heap; -1 when it is not armed. */
  position: number
  /**
   * By how much it may come early, along with another one that says so: to wake a process that does nothing costs more
   * than what is done then.
   */
  readonly leeway?: number
  /** What to do; `true` says that those that may come early shall come along. */
  readonly onDue: () => unknown
}

/** A timer that stands for itself. */
export const makeTimer = (onDue: () => unknown): Timer => ({ due: 0, position: -1, onDue })

/** Longer sleeps never end on the live clock: it hands them to `setTimeout`, whose delay is a signed 32 bit integer. */
const longestSleep = 2 ** 31 - 1

/** Sleeps are rounded to nanoseconds. One may end this many milliseconds too early, which another would not mend. */
const slack = 1e-6

/** Milliseconds by which the two clocks may differ for being read one after the other. */
const clockNoise = 10

/**
 * All deadlines of one pool: a heap, and one fiber that sleeps until the earliest is due. Nothing runs, and
 * nothing grows with the number of connections, while nothing is due.
 */
export class Timers {
  private readonly heap: Array<Timer> = []
  private sleeper: Fiber.Fiber<void> | undefined
  private wakeAt = Number.POSITIVE_INFINITY
  private firing = false
  private stopped = false
  /** While a timer fires it is never earlier than that timer was due, or it would be set for the same moment again. */
  private floor = 0
  /** What the clock showed at the start. */
  private readonly origin: bigint
  /** The latest reading of the clock, and by how much it has been set back since the start. */
  private latest = 0
  private setBack = 0
  /** What the wall clock showed at the start. */
  private readonly wallOrigin: number
  /** By how many milliseconds the wall clock was ahead of this one when `readWallJumps` was last called. */
  private wallLead = 0
  /** By how many milliseconds the wall clock has jumped ahead since the start, all jumps that were seen together. */
  wallJumps = 0

  constructor(
    private readonly clock: Clock.Clock,
    private readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
    private readonly interrupt: (fiber: Fiber.Fiber<void>) => void
  ) {
    this.origin = monotonicOf(clock)
    this.wallOrigin = millisOf(clock)
  }

  /**
   * The time on which all deadlines stand, in whole milliseconds since the start: a number so small that it takes no
   * memory of its own for weeks, and every connection keeps some. It is rounded up, so that nothing is due too early. It is read from the monotonic clock, which nobody
   * sets: a wall clock that jumps ahead would make timers that sleep already miss every deadline.
   */
  now(): number {
    const now = Math.ceil(this.exactly())
    return now < this.floor ? this.floor : now
  }

  /**
   * The same, not rounded. It never runs backwards, not even when a test sets its clock back: that would hold every
   * deadline up.
   */
  exactly(): number {
    const time = Number(monotonicOf(this.clock) - this.origin) / 1e6
    if (time < this.latest) this.setBack += this.latest - time
    this.latest = time
    return time + this.setBack
  }

  /**
   * Looks whether the wall clock has jumped ahead. It does when the machine has slept: the monotonic clock of many
   * systems stands still meanwhile. Being set back takes nothing off: a machine may sleep after that, too.
   */
  readWallJumps(now: number): number {
    const lead = Math.round(millisOf(this.clock) - this.wallOrigin - now)
    const jump = lead - this.wallLead
    this.wallLead = lead
    if (jump > clockNoise) this.wallJumps += jump
    return this.wallJumps
  }

  /** What the wall clock, as it is set now, shows at a time. */
  onClock(time: number): number {
    return millisOf(this.clock) - (this.now() - time)
  }

  /** Arms a timer, or moves it. One that is due at infinity is not armed. */
  set(timer: Timer, due: number): void {
    if (this.stopped || due === Number.POSITIVE_INFINITY) {
      this.clear(timer)
      return
    }
    const earlier = timer.position === -1 || due < timer.due
    timer.due = due
    if (timer.position === -1) {
      timer.position = this.heap.length
      this.heap.push(timer)
    }
    if (earlier) this.siftUp(timer)
    else this.siftDown(timer)
    this.sleep()
  }

  clear(timer: Timer): void {
    const position = timer.position
    if (position === -1) return
    timer.position = -1
    const last = this.heap.pop()!
    if (last === timer) return
    this.heap[position] = last
    last.position = position
    this.siftUp(last)
    this.siftDown(last)
  }

  /** Whether its fiber sleeps. */
  get isAsleep(): boolean {
    return this.sleeper !== undefined
  }

  /** Drops every timer, for good. */
  stop(): void {
    this.stopped = true
    for (const timer of this.heap) timer.position = -1
    this.heap.length = 0
    this.rouse()
  }

  private rouse(): void {
    const sleeper = this.sleeper
    this.sleeper = undefined
    this.wakeAt = Number.POSITIVE_INFINITY
    if (sleeper !== undefined) this.interrupt(sleeper)
  }

  private sleep(): void {
    const first = this.heap[0]
    if (first === undefined || first.due >= this.wakeAt || this.firing) return
    this.rouse()
    this.wakeAt = first.due
    const delay = Math.min(Math.max(first.due - this.exactly(), 0), longestSleep)
    this.sleeper = this.fork(
      Effect.interruptible(
        Effect.flatMap(this.clock.sleep(Duration.millis(delay)), () => Effect.sync(() => this.onWake()))
      )
    )
  }

  private onWake(): void {
    this.sleeper = undefined
    this.wakeAt = Number.POSITIVE_INFINITY
    this.firing = true
    // What a timer sets anew for this very moment waits for the next round, so that a round ends.
    const now = this.exactly()
    let rounds = this.heap.length
    let hasCompany = false
    try {
      while (rounds-- > 0) {
        const first = this.heap[0]
        if (first === undefined) break
        const { due, leeway = 0 } = first
        const isDue = due - now <= slack
        if (!isDue && !(hasCompany && due - now <= leeway)) break
        if (isDue) this.floor = due
        this.clear(first)
        if (first.onDue() === true) hasCompany = true
      }
    } finally {
      // A defect in one of them, of somebody else's transport say, must not stop the others.
      this.floor = 0
      this.firing = false
      this.sleep()
    }
  }

  private siftUp(timer: Timer): void {
    const { heap } = this
    let at = timer.position
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]!
      if (parent.due <= timer.due) break
      heap[at] = parent
      parent.position = at
      at = above
    }
    heap[at] = timer
    timer.position = at
  }

  private siftDown(timer: Timer): void {
    const { heap } = this
    let at = timer.position
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.due < heap[below]!.due) below += 1
      const child = heap[below]!
      if (child.due >= timer.due) break
      heap[at] = child
      child.position = at
      at = below
    }
    heap[at] = timer
    timer.position = at
  }
}
