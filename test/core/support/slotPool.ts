import type { CloseReason } from "effect-websocket-pool/PoolEvent"
import { assert } from "vitest"
import * as Effect from "#effect/Effect"
import type { Steps } from "#support/fibers"
import { clockOf, forkStepwise, interruptNow } from "#support/fibers"
import type { Driver, Limits } from "../../../src/core/driver.js"
import type { Slot as AnySlot, Waiter as AnyWaiter, Outcome } from "../../../src/core/slot.js"
import { SlotPool } from "../../../src/core/slotPool.js"
import { Timers } from "../../../src/core/timers.js"

export type Slot = AnySlot<number, string>
export type Waiter = AnyWaiter<number, string>

/** Time that moves by hand, and fibers that run when told to: everything in this file happens synchronously. */
export class ManualTime {
  now = 0
  private readonly tasks: Array<() => void> = []
  private readonly sleepers = new Map<() => void, number>()

  private readonly steps: Steps = {
    mayYield: () => false,
    schedule: (task) => {
      this.tasks.push(task)
    }
  }

  private readonly clock = clockOf(
    () => this.now,
    (millis, wake) => {
      this.sleepers.set(wake, this.now + millis)
      return () => this.sleepers.delete(wake)
    }
  )

  readonly timers = new Timers(
    this.clock,
    (effect) => forkStepwise(effect, this.steps, { immediate: false }),
    (fiber) => interruptNow(fiber)
  )

  get asleep(): number {
    this.settle()
    return this.sleepers.size
  }

  advance(millis: number): void {
    const end = this.now + millis
    for (;;) {
      this.settle()
      const next = Array.from(this.sleepers).sort((a, b) => a[1] - b[1])[0]
      if (next === undefined || next[1] > end) break
      this.now = Math.max(this.now, next[1])
      this.sleepers.delete(next[0])
      next[0]()
    }
    this.now = end
  }

  private settle(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

export type Call = "create" | "check" | "settle" | "destroy"

/** A driver that answers when the test says so, or at once. */
export class FakeDriver implements Driver<number, string> {
  pool!: SlotPool<number, string>
  /** The calls it has not answered yet. */
  readonly pending = {
    create: new Set<Slot>(),
    check: new Set<Slot>(),
    settle: new Set<Slot>(),
    destroy: new Set<Slot>()
  }
  /** What it answers at once, and how. */
  readonly atOnce = { create: false, check: false, settle: false, destroy: false }
  healthy = true
  verdict: "Reuse" | "Settle" | CloseReason = "Reuse"
  verdictOnRefusal: "Reuse" | CloseReason = "Reuse"
  maxAge = Number.POSITIVE_INFINITY
  randomness = 0.5
  readonly suspicious = new Set<Slot>()
  readonly unusable = new Set<Slot>()
  readonly aborted = new Set<Slot>()
  readonly destroyed: Array<CloseReason> = []
  readonly refusals: Array<Slot> = []
  /** How many slots, and leases, there were each time it was told of a vacancy. */
  readonly vacancies: Array<{ readonly slots: number; readonly leased: number }> = []
  created = 0

  private call(call: Call, slot: Slot, answer: () => void): void {
    assert.isFalse(this.pending[call].has(slot), `${call} was called twice`)
    this.pending[call].add(slot)
    if (this.atOnce[call]) answer()
  }

  private answer(call: Call, slot: Slot | undefined): Slot {
    const answered = slot ?? Array.from(this.pending[call])[0]
    if (answered === undefined || !this.pending[call].delete(answered)) throw new Error(`no ${call} is pending`)
    return answered
  }

  // What a test says

  succeed(slot?: Slot): Slot {
    const answered = this.answer("create", slot)
    this.pool.created(answered, ++this.created)
    return answered
  }

  fail(slot?: Slot): void {
    this.pool.failed(this.answer("create", slot), Effect.fail("failed"))
  }

  checked(isHealthy: boolean, slot?: Slot): void {
    this.pool.checked(this.answer("check", slot), isHealthy)
  }

  settled(slot?: Slot): void {
    this.pool.settled(this.answer("settle", slot))
  }

  closed(slot?: Slot): void {
    this.pool.closed(this.answer("destroy", slot))
  }

  // What the pool says

  create(slot: Slot): void {
    this.call("create", slot, () => (this.healthy ? this.succeed(slot) : this.fail(slot)))
  }

  abort(slot: Slot): void {
    assert.isTrue(this.pending.create.has(slot))
    this.aborted.add(slot)
    if (this.atOnce.create) this.fail(slot)
  }

  isUsable(slot: Slot): boolean {
    assert.include(["idle", "checking", "leased"], slot.state)
    return !this.unusable.has(slot)
  }

  needsCheck(slot: Slot): boolean {
    assert.strictEqual(slot.state, "idle")
    return this.suspicious.has(slot)
  }

  check(slot: Slot): void {
    this.call("check", slot, () => {
      this.suspicious.delete(slot)
      this.checked(this.healthy, slot)
    })
  }

  released(): "Reuse" | "Settle" | CloseReason {
    return this.verdict
  }

  refused(slot: Slot): "Reuse" | CloseReason {
    this.refusals.push(slot)
    return this.verdictOnRefusal
  }

  settle(slot: Slot): void {
    this.call("settle", slot, () => this.settled(slot))
  }

  destroy(slot: Slot, reason: CloseReason): void {
    this.pending.check.delete(slot)
    this.pending.settle.delete(slot)
    this.destroyed.push(reason)
    this.call("destroy", slot, () => this.closed(slot))
  }

  lifetime(): number {
    return this.maxAge
  }

  timedOut(): Outcome<number, string> {
    return Effect.fail("timed out")
  }

  tooManyWaiters(): Outcome<number, string> {
    return Effect.fail("too many waiters")
  }

  poolClosed(): Outcome<number, string> {
    return Effect.fail("pool closed")
  }

  random(): number {
    return this.randomness
  }

  vacated(): void {
    this.vacancies.push({ slots: this.pool.slots.size, leased: this.pool.count.leased })
  }
}

export const setup = (limits: Partial<Limits> & { readonly max: number }, prepare?: (driver: FakeDriver) => void) => {
  const time = new ManualTime()
  const driver = new FakeDriver()
  prepare?.(driver)
  const pool = new SlotPool<number, string>(
    {
      min: 0,
      concurrency: 1,
      targetUtilization: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxWaiters: Number.POSITIVE_INFINITY,
      isRenewal: () => false,
      ...limits
    },
    driver,
    time.timers
  )
  driver.pool = pool
  pool.resize(pool.min, pool.max)
  const join = (fresh = false, timeout = Number.POSITIVE_INFINITY) =>
    pool.join({ fresh, since: time.now, deadline: time.now + timeout })
  /** Leases as a `get` does that need not wait for anybody. */
  const lease = (fresh = false): Slot => {
    const waiter = join(fresh)
    if (!waiter.done) driver.succeed(waiter.creation ?? waiter.held)
    return granted(waiter)
  }
  /** Leases as many as asked for, then gives them back in turn. */
  const idle = (count: number): Array<Slot> => {
    const slots = Array.from({ length: count }, () => lease())
    for (const slot of slots) pool.release(slot)
    return slots
  }
  return { time, driver, pool, join, lease, idle }
}

export const granted = (waiter: Waiter): Slot => {
  if (waiter.granted === undefined) throw new Error("the waiter has been granted nothing")
  return waiter.granted
}

export const failure = (waiter: Waiter): string => {
  assert.isTrue(waiter.done, "the waiter is done")
  return Effect.runSync(Effect.flip(waiter.wait))
}

export const states = (pool: SlotPool<number, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(pool.count).filter(([state, count]) => state !== "gone" && count > 0))
