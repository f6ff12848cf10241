import type { CloseReason } from "effect-websocket-pool/PoolEvent"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Effect from "#effect/Effect"
import type { Steps } from "#support/fibers"
import { clockOf, forkStepwise, interruptNow } from "#support/fibers"
import type { Driver, Limits } from "../../src/core/driver.js"
import type { Slot as AnySlot, Waiter as AnyWaiter, Outcome, SlotState } from "../../src/core/slot.js"
import { SlotPool } from "../../src/core/slotPool.js"
import { Timers } from "../../src/core/timers.js"
import { firstPause, longestPause } from "../../src/core/upkeep.js"

type Slot = AnySlot<number, string>
type Waiter = AnyWaiter<number, string>

/** Time that moves by hand, and fibers that run when told to: everything in this file happens synchronously. */
class ManualTime {
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

type Call = "create" | "check" | "settle" | "destroy"

/** A driver that answers when the test says so, or at once. */
class FakeDriver implements Driver<number, string> {
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

const setup = (limits: Partial<Limits> & { readonly max: number }, prepare?: (driver: FakeDriver) => void) => {
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

const granted = (waiter: Waiter): Slot => {
  if (waiter.granted === undefined) throw new Error("the waiter has been granted nothing")
  return waiter.granted
}

const failure = (waiter: Waiter): string => {
  assert.isTrue(waiter.done, "the waiter is done")
  return Effect.runSync(Effect.flip(waiter.wait))
}

const states = (pool: SlotPool<number, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(pool.count).filter(([state, count]) => state !== "gone" && count > 0))

describe("SlotPool", () => {
  describe("join", () => {
    it("starts a creation for whoever finds nothing free", () => {
      const { driver, pool, join } = setup({ max: 2 })
      const waiter = join()
      assert.deepStrictEqual(states(pool), { creating: 1 })
      assert.isFalse(waiter.done)

      const slot = driver.succeed()
      assert.strictEqual(waiter.granted, slot)
      assert.deepStrictEqual(states(pool), { leased: 1 })
    })

    it("leases what is idle at once", () => {
      const { join, idle } = setup({ max: 2 })
      const [slot] = idle(1)
      assert.strictEqual(join().granted, slot)
    })

    it("counts the waiters, those included for whom a slot is held", () => {
      const { driver, pool, join } = setup({ max: 2 })
      join()
      join(true)
      join()
      assert.strictEqual(pool.waiting, 3)
      driver.succeed()
      assert.strictEqual(pool.waiting, 2)
    })

    it("serves the waiters first come, first served, whoever started which creation", () => {
      const { driver, pool, join } = setup({ max: 3 })
      const waiters = [join(), join(), join()]
      const creations = Array.from(driver.pending.create)
      const late = join()

      driver.succeed(creations[2])
      assert.deepStrictEqual(
        waiters.map((waiter) => waiter.done),
        [true, false, false]
      )
      driver.succeed(creations[0])
      driver.succeed(creations[1])
      assert.isTrue(waiters.every((waiter) => waiter.done))
      assert.isFalse(late.done)
      pool.release(granted(waiters[1]!))
      assert.strictEqual(late.granted, waiters[1]!.granted)
    })

    it("fails the waiter that started a failed creation, and nobody else", () => {
      const { driver, join } = setup({ max: 2 })
      const first = join()
      const second = join()
      const [, own] = Array.from(driver.pending.create)
      driver.fail(own)
      assert.isFalse(first.done)
      assert.strictEqual(failure(second), "failed")
    })

    it("fails nobody with a creation whose waiter was served otherwise, and starts another for who is left", () => {
      const { driver, join } = setup({ max: 2 })
      const first = join()
      const second = join()
      const [ofFirst, ofSecond] = Array.from(driver.pending.create)
      driver.succeed(ofSecond)
      assert.isTrue(first.done)

      driver.fail(ofFirst)
      assert.isFalse(second.done)
      assert.strictEqual(driver.pending.create.size, 1)
      driver.fail()
      assert.strictEqual(failure(second), "failed")
    })

    it("starts one creation for as many waiters as one item can serve", () => {
      const { driver, join } = setup({ max: 10, concurrency: 3 })
      for (let i = 0; i < 7; i++) join()
      assert.strictEqual(driver.pending.create.size, 3)
    })

    it("starts more creations than there are waiters when a part of the leases is to stay free", () => {
      const { driver, join } = setup({ max: 10, targetUtilization: 0.5 })
      join()
      join()
      assert.strictEqual(driver.pending.create.size, 4)
    })

    it("fails a waiter whose deadline has passed", () => {
      const { time, join, lease } = setup({ max: 1 })
      lease()
      const waiter = join(false, 1_000)
      time.advance(999)
      assert.isFalse(waiter.done)
      time.advance(1)
      assert.strictEqual(failure(waiter), "timed out")
    })

    it("does not fail a waiter that was served before its deadline", () => {
      const { time, pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      const waiter = join(false, 1_000)
      time.advance(999)
      pool.release(slot)
      time.advance(1_000)
      assert.strictEqual(waiter.granted, slot)
      assert.strictEqual(waiter.position, -1)
    })

    it("serves the next when the deadline of the first in line has passed", () => {
      const { time, driver, join } = setup({ max: 1 })
      const first = join(false, 1_000)
      const second = join(false, 2_000)
      time.advance(1_000)
      assert.strictEqual(failure(first), "timed out")
      driver.succeed()
      assert.isDefined(second.granted)
    })

    it("keeps the deadline of a waiter for whom a slot is held", () => {
      const { time, driver, pool, join } = setup({ max: 1 })
      const waiter = join(true, 1_000)
      time.advance(1_000)
      assert.strictEqual(failure(waiter), "timed out")
      // The creation is nobody's now, and idles.
      driver.succeed()
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })

    it("fails at once when maxWaiters wait at the limit", () => {
      const { pool, join, lease } = setup({ max: 1, maxWaiters: 2 })
      const slot = lease()
      const waiters = [join(), join()]
      assert.strictEqual(failure(join()), "too many waiters")
      assert.strictEqual(pool.waiting, 2)
      pool.release(slot)
      assert.strictEqual(waiters[0]!.granted, slot)
      assert.isFalse(join().done)
    })

    it("counts towards maxWaiters only those whom no creation under way will serve", () => {
      const { driver, join } = setup({ max: 2, maxWaiters: 0 })
      const waiters = [join(), join()]
      assert.strictEqual(failure(join()), "too many waiters")
      driver.succeed()
      driver.succeed()
      assert.isTrue(waiters.every((waiter) => waiter.granted !== undefined))
    })

    it("counts as many waiters as a creation under way can serve", () => {
      const { join } = setup({ max: 1, concurrency: 2, maxWaiters: 0 })
      assert.isFalse(join().done)
      assert.isFalse(join().done)
      assert.strictEqual(failure(join()), "too many waiters")
    })
  })

  describe("tryLease", () => {
    it("leases what is idle, and nothing when nothing is", () => {
      const { pool, idle } = setup({ max: 2 })
      assert.isUndefined(pool.tryLease())
      const [slot] = idle(1)
      assert.strictEqual(pool.tryLease(), slot)
      assert.isUndefined(pool.tryLease())
    })

    it("does not overtake a waiter", () => {
      const { driver, pool, join } = setup({ max: 1, concurrency: 2 })
      join()
      join(true)
      driver.succeed()
      // There is room for a second lease, but the one who wants a slot of its own is in line before.
      assert.deepStrictEqual(states(pool), { leased: 1 })
      assert.isUndefined(pool.tryLease())
    })

    it("leaves what has to be checked to a waiter", () => {
      const { driver, pool, idle } = setup({ max: 1 })
      const [slot] = idle(1)
      driver.suspicious.add(slot!)
      assert.isUndefined(pool.tryLease())
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })

    it("takes the fullest that has room, then the most recently used, then the oldest of those never used", () => {
      const { driver, pool } = setup({ min: 4, max: 4, concurrency: 3 })
      const [a, b, c, d] = [driver.succeed(), driver.succeed(), driver.succeed(), driver.succeed()] as const
      const take = () => pool.tryLease()
      assert.deepStrictEqual([take(), take(), take()], [a, a, a])
      assert.deepStrictEqual([take(), take(), take()], [b, b, b])
      assert.strictEqual(take(), c)
      pool.release(a)
      // c has one lease, a has two.
      assert.strictEqual(take(), a)
      for (let i = 0; i < 3; i++) pool.release(b)
      for (let i = 0; i < 3; i++) pool.release(a)
      assert.deepStrictEqual([take(), take()], [c, c])
      assert.deepStrictEqual([take(), take(), take()], [a, a, a])
      assert.deepStrictEqual([take(), take(), take()], [b, b, b])
      assert.strictEqual(take(), d)
    })

    it("closes what is not usable, and takes the next", () => {
      const { driver, pool, idle } = setup({ max: 2 })
      const [a, b] = idle(2)
      driver.unusable.add(b!)
      assert.strictEqual(pool.tryLease(), a)
      assert.deepStrictEqual(driver.destroyed, ["Remote"])
    })

    it("starts the spare item that a part of the leases is to stay free for", () => {
      const { driver, pool } = setup({ min: 1, max: 3, targetUtilization: 0.5 })
      driver.succeed()
      assert.deepStrictEqual(states(pool), { idle: 1 })
      pool.tryLease()
      assert.deepStrictEqual(states(pool), { leased: 1, creating: 1 })
    })

    it("leases nothing from a closed pool", () => {
      const { driver, pool, idle } = setup({ max: 1 })
      idle(1)
      driver.atOnce.destroy = true
      pool.shutdown()
      assert.isUndefined(pool.tryLease())
    })
  })

  describe("release", () => {
    it("gives the slot to the first in line", () => {
      const { pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      const [first, second] = [join(), join()]
      pool.release(slot)
      assert.strictEqual(first.granted, slot)
      assert.isFalse(second.done)
    })

    it("makes room as soon as one of several leases ends", () => {
      const { driver, pool, join } = setup({ max: 1, concurrency: 2 })
      join()
      join()
      const slot = driver.succeed()
      const waiter = join()
      assert.isFalse(waiter.done)
      pool.release(slot)
      assert.strictEqual(waiter.granted, slot)
    })

    it("does nothing to a slot that is leased no more", () => {
      const { pool, idle } = setup({ max: 1 })
      const [slot] = idle(1)
      pool.release(slot!)
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })

    it("closes what the driver finds unfit", () => {
      const { driver, pool, lease } = setup({ max: 1 })
      const slot = lease()
      driver.verdict = "Dirty"
      pool.release(slot)
      assert.deepStrictEqual(driver.destroyed, ["Dirty"])
      assert.deepStrictEqual(states(pool), { closing: 1 })
    })

    it("prefers the driver's reason over that of a limit that was lowered, but not over a doom", () => {
      const { driver, pool, lease } = setup({ max: 2 })
      const [a, b] = [lease(), lease()]
      driver.verdict = "Dirty"
      pool.resize(0, 1)
      pool.release(a)
      pool.doom(b, "Expired")
      pool.release(b)
      assert.deepStrictEqual(driver.destroyed, ["Dirty", "Expired"])
    })

    it("asks the driver about a lease that never began as one that was refused", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const waiter = join()
      const slot = driver.succeed()
      driver.verdict = "Dirty"
      pool.abandon(waiter)
      assert.deepStrictEqual(driver.refusals, [slot])
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })
  })

  describe("settle", () => {
    it("lends a slot again only when it has settled", () => {
      const { driver, pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      driver.verdict = "Settle"
      pool.release(slot)
      assert.deepStrictEqual(states(pool), { releasing: 1 })
      const waiter = join()
      assert.isFalse(waiter.done)
      driver.settled()
      assert.strictEqual(waiter.granted, slot)
    })

    it("makes a new one below the limit instead of waiting for it, and takes whichever comes first", () => {
      const { driver, pool, join, lease } = setup({ max: 2 })
      const slot = lease()
      driver.verdict = "Settle"
      pool.release(slot)
      const waiter = join()
      assert.deepStrictEqual(states(pool), { releasing: 1, creating: 1 })
      driver.settled()
      assert.strictEqual(waiter.granted, slot)
    })

    // It stayed in the books as leased, so that fewer and fewer creations were started.
    it("is forgotten when it is over: the next waiter gets its creation", () => {
      const { driver, pool, join, lease } = setup({ max: 3 })
      driver.verdict = "Settle"
      driver.atOnce.settle = true
      const slot = lease()
      pool.release(slot)
      assert.strictEqual(lease(), slot)
      join()
      assert.deepStrictEqual(states(pool), { leased: 1, creating: 1 })
    })

    it("counts towards min while it lasts, once", () => {
      const { driver, pool } = setup({ min: 2, max: 4, idleTimeout: 1_000 })
      const [a] = [driver.succeed(), driver.succeed()]
      assert.strictEqual(pool.tryLease(), a)
      driver.verdict = "Settle"
      pool.release(a)
      assert.deepStrictEqual(states(pool), { releasing: 1, idle: 1 })
      pool.doom(a, "Discarded")
      driver.closed()
      assert.deepStrictEqual(states(pool), { idle: 1 })
      assert.isFalse(driver.pending.create.size > 0)
    })

    it("closes a slot that does not settle", () => {
      const { driver, pool, lease } = setup({ max: 1 })
      const slot = lease()
      driver.verdict = "Settle"
      pool.release(slot)
      pool.doom(slot, "DrainTimeout")
      assert.deepStrictEqual(driver.destroyed, ["DrainTimeout"])
      // An answer that comes too late is no answer.
      pool.settled(slot)
      assert.deepStrictEqual(states(pool), { closing: 1 })
    })
  })

  describe("checks", () => {
    const suspicious = (max = 1, count = 1) => {
      const all = setup({ max })
      const slots = all.idle(count)
      for (const slot of slots) all.driver.suspicious.add(slot)
      return { ...all, slots, slot: slots[0]! }
    }

    it("hands out a slot that has to be checked only when it is healthy", () => {
      const { driver, pool, join, slot } = suspicious()
      const waiter = join()
      assert.deepStrictEqual(states(pool), { checking: 1 })
      assert.isFalse(waiter.done)
      driver.checked(true)
      assert.strictEqual(waiter.granted, slot)
      assert.strictEqual(slot.leases, 1)
    })

    it("makes a new one for the waiter when it is not", () => {
      const { driver, pool, join } = suspicious()
      const waiter = join()
      driver.checked(false)
      assert.deepStrictEqual(driver.destroyed, ["Unhealthy"])
      driver.closed()
      assert.deepStrictEqual(states(pool), { creating: 1 })
      assert.strictEqual(waiter.granted, undefined)
      const slot = driver.succeed()
      assert.strictEqual(waiter.granted, slot)
    })

    it("makes it at once below the limit, else when the unhealthy one is gone", () => {
      const { driver, pool, join } = suspicious(2)
      const waiter = join()
      driver.checked(false)
      assert.deepStrictEqual(states(pool), { closing: 1, creating: 1 })
      const slot = driver.succeed()
      assert.strictEqual(waiter.granted, slot)
    })

    it("fails the waiter with that creation", () => {
      const { driver, join } = suspicious()
      const waiter = join()
      driver.checked(false)
      driver.closed()
      driver.fail()
      assert.strictEqual(failure(waiter), "failed")
    })

    it("makes a new one for the waiter when the slot is lost meanwhile", () => {
      const { driver, pool, join, slot } = suspicious()
      const waiter = join()
      pool.lose(slot)
      assert.deepStrictEqual(states(pool), { creating: 1 })
      driver.succeed()
      assert.isDefined(waiter.granted)
      pool.checked(slot, true)
      assert.strictEqual(slot.state, "gone")
    })

    it("checks once for each waiter: what it is offered afterwards it gets", () => {
      const { driver, pool, join, lease, idle } = setup({ max: 2 })
      const leased = lease()
      const [slot] = idle(1)
      driver.suspicious.add(leased).add(slot!)
      const waiter = join()
      assert.deepStrictEqual(states(pool), { leased: 1, checking: 1 })
      // With the limit lowered there is no room for another one.
      pool.resize(0, 1)
      pool.lose(slot!)
      assert.deepStrictEqual(states(pool), { leased: 1 })
      pool.release(leased)
      assert.strictEqual(waiter.granted, leased)
    })

    it("leaves the slot idle, or to the next in line, when its waiter is gone", () => {
      const { driver, pool, join, slot } = suspicious()
      pool.abandon(join())
      assert.deepStrictEqual(states(pool), { checking: 1 })
      const next = join()
      driver.suspicious.delete(slot)
      driver.checked(true)
      assert.strictEqual(next.granted, slot)

      const other = suspicious()
      other.pool.abandon(other.join())
      other.driver.checked(true)
      assert.deepStrictEqual(states(other.pool), { idle: 1 })
      assert.strictEqual(other.slot.leases, 0)
    })

    it("closes a slot that was doomed meanwhile, healthy or not", () => {
      const { driver, pool, join, slot } = suspicious()
      const waiter = join()
      pool.doom(slot, "Expired")
      assert.deepStrictEqual(states(pool), { checking: 1 })
      driver.checked(true)
      assert.deepStrictEqual(driver.destroyed, ["Expired"])
      driver.closed()
      driver.succeed()
      assert.isDefined(waiter.granted)
    })

    it("checks idle slots without a waiter", () => {
      const { driver, pool, slot } = suspicious()
      pool.checkOut(slot)
      assert.isUndefined(pool.tryLease())
      driver.pending.check.add(slot)
      driver.checked(true)
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })

    for (const idleTimeout of [10_000, Number.POSITIVE_INFINITY]) {
      it(`is no use of the slot: it stays the least recently used, when idleTimeout is ${idleTimeout}`, () => {
        const { time, driver, pool, lease } = setup({ max: 2, idleTimeout })
        const [a, b] = [lease(), lease()]
        for (const slot of [a, b]) {
          time.advance(1_000)
          pool.release(slot)
        }
        for (const slot of [a, b, a]) {
          time.advance(1_000)
          pool.checkOut(slot)
          driver.pending.check.add(slot)
          driver.checked(true)
        }
        assert.strictEqual(pool.tryLease(), b)
        assert.strictEqual(pool.tryLease(), a)
      })
    }

    it("does not keep a slot idle for longer", () => {
      const { time, driver, pool, idle } = setup({ max: 1, idleTimeout: 1_000 })
      const [slot] = idle(1)
      time.advance(500)
      pool.checkOut(slot!)
      driver.pending.check.add(slot!)
      driver.checked(true)
      time.advance(499)
      assert.deepStrictEqual(states(pool), { idle: 1 })
      time.advance(1)
      assert.deepStrictEqual(states(pool), { closing: 1 })
    })

    // It was failed with the creation that it had started before a slot was checked for it.
    it("takes a waiter off the creation that it started before", () => {
      const { driver, pool, join, lease } = setup({ max: 2 })
      const slot = lease()
      driver.suspicious.add(slot)
      const waiter = join()
      const creation = waiter.creation
      pool.release(slot)
      assert.deepStrictEqual(states(pool), { creating: 1, checking: 1 })

      driver.fail(creation)
      assert.isFalse(waiter.done)
      driver.checked(true)
      assert.strictEqual(waiter.granted, slot)
    })

    it("leaves the creation that a waiter started before to the next in line", () => {
      const { driver, pool, join, lease } = setup({ max: 2 })
      const slot = lease()
      driver.suspicious.add(slot)
      const waiter = join()
      const creation = waiter.creation
      pool.release(slot)
      const next = join()
      assert.strictEqual(driver.succeed(creation), next.granted)
      assert.isFalse(waiter.done)
      driver.checked(true)
      assert.strictEqual(waiter.granted, slot)
    })
  })

  describe("join, again", () => {
    it("goes before all who came later, though maxWaiters wait", () => {
      const { pool, join, lease } = setup({ max: 1, maxWaiters: 2 })
      const slot = lease()
      const [first, second] = [join(), join()]
      pool.release(slot)
      const third = join()
      const again = pool.join({ fresh: false, since: 0, deadline: Number.POSITIVE_INFINITY }, first)
      pool.abandon(first)
      for (const waiter of [again, second, third]) {
        assert.strictEqual(waiter.granted, slot)
        pool.release(slot)
      }
    })

    it("has a deadline like the first time", () => {
      const { time, pool, join, lease } = setup({ max: 1 })
      lease()
      const first = join(false, 1_000)
      const again = pool.join(first.request, first)
      pool.abandon(first)
      time.advance(999)
      assert.isFalse(again.done)
      time.advance(1)
      assert.strictEqual(failure(again), "timed out")
    })
  })

  describe("join, for a slot made for this very lease", () => {
    it("makes one below the limit, though others idle", () => {
      const { driver, pool, join, idle } = setup({ max: 2 })
      const [slot] = idle(1)
      const waiter = join(true)
      assert.deepStrictEqual(states(pool), { idle: 1, creating: 1 })
      driver.succeed()
      assert.notStrictEqual(granted(waiter), slot)
    })

    it("does not wait for its turn below the limit", () => {
      const { driver, pool, join } = setup({ max: 2 })
      join()
      const waiter = join(true)
      assert.deepStrictEqual(states(pool), { creating: 2 })
      driver.succeed(waiter.held)
      assert.isDefined(waiter.granted)
    })

    it("closes a releasing one first at the limit, and makes its own once that is gone", () => {
      const { driver, pool, join, lease, idle } = setup({ max: 2 })
      idle(1)
      const [a, b] = [lease(), lease()]
      pool.release(b)
      driver.verdict = "Settle"
      pool.release(a)
      assert.deepStrictEqual(states(pool), { idle: 1, releasing: 1 })

      const waiter = join(true)
      assert.strictEqual(a.state, "closing")
      assert.deepStrictEqual(driver.destroyed, ["Evicted"])
      assert.strictEqual(driver.pending.create.size, 0)
      driver.closed()
      driver.succeed()
      assert.isDefined(waiter.granted)
      assert.strictEqual(b.state, "idle")
    })

    it("then closes the least recently used idle one", () => {
      const { driver, pool, join, idle } = setup({ max: 3 })
      const [a, b, c] = idle(3)
      pool.release(pool.tryLease()!)
      join(true)
      assert.deepStrictEqual([a!.state, b!.state, c!.state], ["closing", "idle", "idle"])
      driver.closed()
      join(true)
      assert.deepStrictEqual([b!.state, c!.state], ["closing", "idle"])
    })

    it("sees one that was never used as less recently used than any that was", () => {
      const { driver, pool, join } = setup({ min: 3, max: 3 })
      const [a, b, c] = [driver.succeed(), driver.succeed(), driver.succeed()]
      assert.strictEqual(pool.tryLease(), a)
      pool.release(a)
      join(true)
      assert.deepStrictEqual([a.state, b.state, c.state], ["idle", "idle", "closing"])
    })

    it("else closes the next that is given back", () => {
      const { driver, pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      const waiter = join(true)
      const next = join()
      assert.isFalse(waiter.done)
      pool.release(slot)
      assert.deepStrictEqual(driver.destroyed, ["Evicted"])
      driver.closed()
      const own = driver.succeed()
      assert.strictEqual(waiter.granted, own)
      assert.isFalse(next.done)
      pool.release(own)
      assert.strictEqual(next.granted, own)
    })

    it("does not overtake one that came before when there is room again for one", () => {
      const { driver, pool, join, lease } = setup({ max: 1 })
      lease()
      const [first, second] = [join(), join(true)]
      pool.resize(0, 2)
      assert.isDefined(first.creation)
      assert.isUndefined(second.held)
      driver.succeed()
      assert.isDefined(first.granted)
    })

    it("calls for no creation but its own", () => {
      const { driver, pool, join } = setup({ max: 5 })
      pool.abandon(join())
      // The abandoned creation is for this one.
      join()
      assert.strictEqual(driver.pending.create.size, 1)
      join(true)
      assert.strictEqual(driver.pending.create.size, 2)
    })

    it("waits in the same line as the others", () => {
      const { pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      const first = join()
      const second = join(true)
      pool.release(slot)
      assert.strictEqual(first.granted, slot)
      assert.strictEqual(slot.state, "leased")
      pool.release(slot)
      assert.strictEqual(slot.state, "closing")
      assert.strictEqual(second.held, slot)
    })

    it("fails with its own creation", () => {
      const { driver, join } = setup({ max: 1 })
      const waiter = join(true)
      driver.fail()
      assert.strictEqual(failure(waiter), "failed")
    })

    it("leaves its creation to the others when it goes", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const waiter = join(true)
      const next = join()
      pool.abandon(waiter)
      driver.succeed()
      assert.isDefined(next.granted)
    })

    it("leaves its place to the others when it goes before what it evicted is gone", () => {
      const { driver, pool, join, idle } = setup({ max: 1 })
      idle(1)
      const waiter = join(true)
      const next = join()
      pool.abandon(waiter)
      driver.closed()
      assert.deepStrictEqual(states(pool), { creating: 1 })
      driver.succeed()
      assert.isDefined(next.granted)
    })

    it("lets the others go on when it goes at the head of the line", () => {
      const { driver, pool, join } = setup({ max: 1, concurrency: 2 })
      join()
      driver.succeed()
      const waiter = join(true)
      const next = join()
      assert.isFalse(next.done)
      pool.abandon(waiter)
      assert.isTrue(next.done)
    })

    it("waits on, first in line, when the limit was lowered before its place was free", () => {
      const { driver, pool, join, lease } = setup({ max: 2 })
      const [a, b] = [lease(), lease()]
      const waiter = join(true)
      pool.release(a)
      pool.resize(0, 1)
      const next = join()
      driver.closed()
      assert.deepStrictEqual(states(pool), { leased: 1 })
      pool.release(b)
      driver.closed()
      driver.succeed()
      assert.isDefined(waiter.granted)
      assert.isFalse(next.done)
    })

    // The second was given the place of the first, when it became free after the limit had been lowered.
    it("is not overtaken by one that came later when the limit was lowered", () => {
      const { driver, pool, join, idle } = setup({ max: 2 })
      idle(2)
      const [first, second] = [join(true), join(true)]
      const [ofFirst, ofSecond] = [first.held!, second.held!]
      pool.resize(0, 1)
      driver.closed(ofFirst)
      driver.closed(ofSecond)
      driver.succeed()
      assert.isDefined(first.granted)
      assert.isFalse(second.done)
    })
  })

  describe("abandon", () => {
    it("leaves the creation to the next in line", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const [first, second] = [join(), join()]
      pool.abandon(first)
      assert.strictEqual(pool.waiting, 1)
      driver.succeed()
      assert.isDefined(second.granted)
    })

    it("lets the creation idle when nobody waits", () => {
      const { driver, pool, join } = setup({ max: 1 })
      pool.abandon(join())
      driver.succeed()
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })

    it("fails nobody with that creation, and starts another for who waits", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const [first, second] = [join(), join()]
      pool.abandon(first)
      driver.fail()
      assert.isFalse(second.done)
      assert.deepStrictEqual(states(pool), { creating: 1 })
    })

    it("gives on what was granted", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const [first, second] = [join(), join()]
      const slot = driver.succeed()
      assert.strictEqual(first.granted, slot)
      pool.abandon(first)
      assert.strictEqual(second.granted, slot)
      assert.strictEqual(slot.leases, 1)
    })

    it("means nothing to a waiter that has failed", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const waiter = join()
      driver.fail()
      pool.abandon(waiter)
      assert.strictEqual(pool.waiting, 0)
      assert.deepStrictEqual(states(pool), {})
    })
  })

  describe("min", () => {
    const openings = (limits: Partial<Limits> & { readonly max: number }, randomness = 0.5) =>
      setup(limits, (driver) => {
        driver.randomness = randomness
      })

    it("is made ahead, all at once", () => {
      const { driver, pool } = setup({ min: 3, max: 5 })
      assert.strictEqual(driver.pending.create.size, 3)
      for (let i = 0; i < 3; i++) driver.succeed()
      assert.deepStrictEqual(states(pool), { idle: 3 })
    })

    it("is never given up, with pauses from 100 ms, doubled up to 10 s", () => {
      const { time, driver } = openings({ min: 1, max: 1 })
      for (const pause of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]) {
        driver.fail()
        time.advance(pause - 1)
        assert.strictEqual(driver.pending.create.size, 0)
        time.advance(1)
        assert.strictEqual(driver.pending.create.size, 1)
      }
      assert.strictEqual(firstPause, 100)
      assert.strictEqual(longestPause, 10_000)
    })

    for (const [randomness, pause] of [
      [0, 80],
      [1, 120]
    ] as const) {
      it(`is tried again between 20 % below and above that: after ${pause} ms when random says ${randomness}`, () => {
        const { time, driver } = openings({ min: 1, max: 1 }, randomness)
        driver.fail()
        time.advance(pause - 1)
        assert.strictEqual(driver.pending.create.size, 0)
        time.advance(1)
        assert.strictEqual(driver.pending.create.size, 1)
      })
    }

    it("starts from 100 ms again after a success", () => {
      const { time, driver, pool } = openings({ min: 1, max: 1, isRenewal: () => true })
      driver.fail()
      time.advance(100)
      driver.fail()
      time.advance(200)
      const slot = driver.succeed()
      pool.doom(slot, "Discarded")
      driver.closed()
      driver.fail()
      time.advance(99)
      assert.strictEqual(driver.pending.create.size, 0)
      time.advance(1)
      assert.strictEqual(driver.pending.create.size, 1)
    })

    // Each failure of one round doubled the pause: ten items to keep meant ten seconds after the first round.
    it("counts all that fail before the next try as one failure", () => {
      const { time, driver } = openings({ min: 4, max: 4 })
      for (let i = 0; i < 4; i++) driver.fail()
      time.advance(99)
      assert.strictEqual(driver.pending.create.size, 0)
      time.advance(1)
      assert.strictEqual(driver.pending.create.size, 4)
      for (let i = 0; i < 4; i++) driver.fail()
      time.advance(199)
      assert.strictEqual(driver.pending.create.size, 0)
      time.advance(1)
      assert.strictEqual(driver.pending.create.size, 4)
    })

    it("waits while a waiter does not: its creation starts at once, and its failure is its own", () => {
      const { time, driver, join } = openings({ min: 1, max: 2 })
      driver.fail()
      const waiter = join()
      assert.strictEqual(driver.pending.create.size, 1)
      driver.fail()
      assert.strictEqual(failure(waiter), "failed")
      time.advance(99)
      assert.strictEqual(driver.pending.create.size, 0)
      time.advance(1)
      assert.strictEqual(driver.pending.create.size, 1)
    })

    it("is made up for without a pause after a waiter's creation has failed", () => {
      const { driver, pool, join } = setup({ min: 1, max: 2, isRenewal: () => true })
      driver.succeed()
      const slot = pool.tryLease()
      const waiter = join()
      driver.fail()
      assert.strictEqual(failure(waiter), "failed")
      pool.doom(slot!, "Discarded")
      assert.deepStrictEqual(states(pool), { leased: 1, creating: 1 })
    })

    it("is made up for at once where that is asked for", () => {
      const { driver, pool } = setup({ min: 1, max: 2, isRenewal: () => true })
      pool.doom(driver.succeed(), "Discarded")
      assert.deepStrictEqual(states(pool), { closing: 1, creating: 1 })
    })

    it("is made up for through the back-off elsewhere, longer each time when items do not live long", () => {
      const { time, driver, pool } = openings({ min: 1, max: 1 })
      driver.atOnce.destroy = true
      for (const pause of [100, 200, 400, 800]) {
        pool.lose(driver.succeed())
        time.advance(pause - 1)
        assert.strictEqual(driver.pending.create.size, 0)
        time.advance(1)
        assert.strictEqual(driver.pending.create.size, 1)
      }
      const slot = driver.succeed()
      time.advance(longestPause)
      pool.doom(slot, "Expired")
      time.advance(99)
      assert.strictEqual(driver.pending.create.size, 0)
      time.advance(1)
      assert.strictEqual(driver.pending.create.size, 1)
    })
  })

  describe("idleTimeout", () => {
    it("closes what has been idle for that long, the least recently used first, but never below min", () => {
      const { time, driver, pool, idle } = setup({ min: 1, max: 3, idleTimeout: 1_000 })
      driver.succeed()
      const [a, b] = idle(2)
      time.advance(500)
      pool.release(pool.tryLease()!)
      time.advance(499)
      assert.deepStrictEqual(states(pool), { idle: 2 })
      time.advance(1)
      assert.deepStrictEqual([a!.state, b!.state], ["closing", "idle"])
      time.advance(100_000)
      assert.strictEqual(b!.state, "idle")
      assert.deepStrictEqual(driver.destroyed, ["Idle"])
    })

    it("counts from the last use", () => {
      const { time, pool, idle } = setup({ max: 1, idleTimeout: 1_000 })
      idle(1)
      for (let i = 0; i < 5; i++) {
        time.advance(999)
        pool.release(pool.tryLease()!)
      }
      time.advance(999)
      assert.deepStrictEqual(states(pool), { idle: 1 })
      time.advance(1)
      assert.deepStrictEqual(states(pool), { closing: 1 })
    })

    for (const order of ["used", "unused"] as const) {
      it(`closes first what has been idle for longer, when that is the ${order} one`, () => {
        const { time, driver, pool, join, lease } = setup({ max: 2, idleTimeout: 1_000 })
        const used = (): Slot => {
          const slot = lease(true)
          pool.release(slot)
          return slot
        }
        const unused = (): Slot => {
          pool.abandon(join(true))
          return driver.succeed()
        }
        const first = order === "used" ? used() : unused()
        time.advance(500)
        const second = order === "used" ? unused() : used()
        time.advance(499)
        assert.deepStrictEqual([first.state, second.state], ["idle", "idle"])
        time.advance(1)
        assert.deepStrictEqual([first.state, second.state], ["closing", "idle"])
        time.advance(499)
        assert.strictEqual(second.state, "idle")
        time.advance(1)
        assert.strictEqual(second.state, "closing")
      })
    }

    it("closes what was never used", () => {
      const { time, driver, pool, join } = setup({ max: 1, idleTimeout: 1_000 })
      pool.abandon(join())
      driver.succeed()
      time.advance(999)
      assert.deepStrictEqual(states(pool), { idle: 1 })
      time.advance(1)
      assert.deepStrictEqual(driver.destroyed, ["Idle"])
    })

    // It was closed, and made again at once, every idleTimeout.
    it("leaves alone the spare item that a part of the leases is to stay free for", () => {
      const { time, driver, pool } = setup({ max: 4, targetUtilization: 0.5, idleTimeout: 1_000 }, (driver) => {
        driver.atOnce.create = driver.atOnce.destroy = true
      })
      const waiter = pool.join({ fresh: false, since: 0, deadline: Number.POSITIVE_INFINITY })
      assert.deepStrictEqual(states(pool), { leased: 1, idle: 1 })
      time.advance(5_000)
      assert.strictEqual(driver.created, 2)
      pool.release(granted(waiter))
      time.advance(1_000)
      assert.deepStrictEqual(states(pool), {})
    })

    it("closes the spare item once fewer leases call for it, though none has ended an item's use", () => {
      const { time, driver, pool, join } = setup({ max: 4, concurrency: 2, targetUtilization: 0.5, idleTimeout: 1_000 })
      driver.atOnce.create = driver.atOnce.destroy = true
      const slot = granted(join())
      join()
      assert.deepStrictEqual(states(pool), { leased: 1, idle: 1 })
      time.advance(1_000)
      pool.release(slot)
      time.advance(1_000)
      assert.deepStrictEqual(states(pool), { leased: 1 })
    })
  })

  describe("lifetime", () => {
    it("closes what is that old: idle ones now, leased ones when given back", () => {
      const { time, driver, pool, join, lease } = setup({ max: 2 }, (driver) => {
        driver.maxAge = 1_000
      })
      const leased = lease()
      join()
      const idle = driver.succeed()
      pool.release(idle)
      time.advance(999)
      assert.deepStrictEqual(states(pool), { leased: 1, idle: 1 })
      time.advance(1)
      assert.deepStrictEqual(states(pool), { leased: 1, closing: 1 })
      assert.strictEqual(idle.state, "closing")
      pool.release(leased)
      assert.deepStrictEqual(driver.destroyed, ["Expired", "Expired"])
      assert.deepStrictEqual([leased.position, idle.position], [-1, -1])
    })
  })

  describe("doom", () => {
    it("closes what is idle or releasing at once", () => {
      const { driver, pool, lease, idle } = setup({ max: 2 })
      const [slot] = idle(1)
      pool.doom(slot!, "Discarded")
      assert.strictEqual(slot!.state, "closing")
      driver.verdict = "Settle"
      const other = lease()
      pool.release(other)
      pool.doom(other, "Dirty")
      assert.strictEqual(other.state, "closing")
      assert.deepStrictEqual(driver.destroyed, ["Discarded", "Dirty"])
    })

    it("closes what is leased when its last lease ends, and lends it no more", () => {
      const { driver, pool, join } = setup({ max: 1, concurrency: 3 })
      join()
      join()
      const slot = driver.succeed()
      pool.doom(slot, "Discarded")
      const waiter = join()
      assert.isFalse(waiter.done)
      pool.release(slot)
      assert.deepStrictEqual(states(pool), { leased: 1 })
      assert.isFalse(waiter.done)
      pool.release(slot)
      assert.deepStrictEqual(states(pool), { closing: 1 })
      driver.closed()
      assert.deepStrictEqual(states(pool), { creating: 1 })
    })

    it("does not settle what is doomed", () => {
      const { driver, pool, lease } = setup({ max: 1 })
      const slot = lease()
      driver.verdict = "Settle"
      pool.doom(slot, "Discarded")
      pool.release(slot)
      assert.deepStrictEqual(driver.destroyed, ["Discarded"])
    })

    it("closes what is being made when it is made, and the waiter gets another", () => {
      const { driver, pool, join } = setup({ max: 1 })
      const waiter = join()
      const slot = waiter.creation!
      pool.doom(slot, "Refreshed")
      driver.succeed()
      assert.deepStrictEqual(driver.destroyed, ["Refreshed"])
      driver.closed()
      driver.fail()
      assert.strictEqual(failure(waiter), "failed")
    })

    it("keeps its first reason", () => {
      const { driver, pool, lease } = setup({ max: 1 })
      const slot = lease()
      pool.doom(slot, "Discarded")
      pool.doom(slot, "Expired")
      pool.release(slot)
      assert.deepStrictEqual(driver.destroyed, ["Discarded"])
    })

    it("means nothing to what is closing or gone", () => {
      const { driver, pool, idle } = setup({ max: 1 })
      const [slot] = idle(1)
      pool.doom(slot!, "Discarded")
      pool.doom(slot!, "Expired")
      driver.closed()
      pool.doom(slot!, "Expired")
      assert.deepStrictEqual(driver.destroyed, ["Discarded"])
      assert.strictEqual(slot!.state, "gone")
    })
  })

  describe("lose", () => {
    it("removes what is idle or releasing at once, with nothing to finalise", () => {
      const { driver, pool, lease, idle } = setup({ max: 2 })
      const [slot] = idle(1)
      pool.lose(slot!)
      assert.strictEqual(slot!.state, "gone")
      driver.verdict = "Settle"
      const other = lease()
      pool.release(other)
      pool.lose(other)
      assert.strictEqual(other.state, "gone")
      assert.deepStrictEqual(driver.destroyed, [])
      assert.strictEqual(pool.slots.size, 0)
    })

    it("removes what is leased at once: its leases go on without it", () => {
      const { driver, pool, lease } = setup({ max: 1, concurrency: 2 })
      const slot = lease()
      assert.strictEqual(lease(), slot)
      pool.lose(slot)
      assert.strictEqual(slot.state, "gone")
      assert.deepStrictEqual(states(pool), {})
      pool.release(slot)
      pool.release(slot)
      assert.deepStrictEqual(states(pool), {})
      assert.deepStrictEqual(driver.destroyed, [])
    })

    it("makes room for a waiter", () => {
      const { driver, pool, join, lease } = setup({ max: 1 })
      const slot = lease()
      const waiter = join()
      assert.strictEqual(driver.pending.create.size, 0)
      pool.lose(slot)
      assert.strictEqual(driver.pending.create.size, 1)
      driver.succeed()
      assert.isDefined(waiter.granted)
      pool.release(slot)
      assert.isDefined(waiter.granted)
    })

    it("means nothing to what is being made, closing or gone", () => {
      const { driver, pool, join } = setup({ max: 1 })
      pool.abandon(join())
      const [creating] = Array.from(driver.pending.create)
      pool.lose(creating!)
      const slot = driver.succeed()
      assert.strictEqual(slot.state, "idle")
      pool.doom(slot, "Discarded")
      pool.lose(slot)
      assert.strictEqual(slot.state, "closing")
      driver.closed()
      pool.lose(slot)
      assert.strictEqual(slot.state, "gone")
    })
  })

  describe("refresh", () => {
    it("closes idle and releasing slots now, leased ones when given back, those being made when made", () => {
      const { driver, pool, join, lease } = setup({ max: 4 })
      const [idle, releasing, leased] = [lease(), lease(), lease()]
      pool.abandon(join())
      const [creating] = Array.from(driver.pending.create)
      pool.release(idle)
      driver.verdict = "Settle"
      pool.release(releasing)
      driver.verdict = "Reuse"

      pool.refresh()
      assert.deepStrictEqual(states(pool), { closing: 2, leased: 1, creating: 1 })
      driver.succeed(creating)
      pool.release(leased)
      assert.deepStrictEqual(driver.destroyed, ["Refreshed", "Refreshed", "Refreshed", "Refreshed"])
    })

    it("has those who lose their creations start others in their turn", () => {
      const { driver, pool, join } = setup({ max: 2 })
      const [first, second] = [join(), join()]
      const [ofFirst, ofSecond] = [first.creation, second.creation]
      pool.refresh()
      driver.succeed(ofSecond)
      driver.succeed(ofFirst)
      driver.closed()
      assert.isDefined(first.creation)
      assert.isUndefined(second.creation)
    })

    it("leaves alone what is made afterwards", () => {
      const { driver, pool, lease, idle } = setup({ max: 1 })
      idle(1)
      pool.refresh()
      driver.closed()
      const slot = lease()
      pool.release(slot)
      assert.strictEqual(slot.state, "idle")
    })
  })

  describe("resize", () => {
    it("makes what a higher min asks for, and serves those who waited at the old limit", () => {
      const { driver, pool, join, lease } = setup({ max: 1 })
      lease()
      const waiter = join()
      pool.resize(3, 4)
      assert.strictEqual(driver.pending.create.size, 2)
      driver.succeed()
      assert.isDefined(waiter.granted)
    })

    it("closes releasing slots first, then the least recently used idle ones, leased ones when given back", () => {
      const { driver, pool, lease } = setup({ max: 5 })
      const [a, b, c, d, e] = [lease(), lease(), lease(), lease(), lease()]
      for (const slot of [a, b, c]) pool.release(slot)
      driver.verdict = "Settle"
      pool.release(d)
      pool.resize(0, 3)
      assert.deepStrictEqual(
        [a, b, c, d, e].map((slot) => slot.state),
        ["closing", "idle", "idle", "closing", "leased"]
      )
      const leased = [pool.tryLease()!, pool.tryLease()!]
      pool.resize(0, 1)
      assert.deepStrictEqual(states(pool), { closing: 2, leased: 3 })
      driver.verdict = "Reuse"
      for (const slot of leased) pool.release(slot)
      assert.deepStrictEqual(states(pool), { closing: 4, leased: 1 })
      pool.release(e)
      assert.strictEqual(e.state, "idle")
      assert.isTrue(driver.destroyed.every((reason) => reason === "Evicted"))
    })

    it("closes what is made beyond a limit that was lowered meanwhile", () => {
      const { driver, pool, join } = setup({ max: 2 })
      const waiters = [join(), join()]
      pool.resize(0, 1)
      driver.succeed()
      assert.deepStrictEqual(driver.destroyed, ["Evicted"])
      driver.succeed()
      assert.isDefined(waiters[0]!.granted)
      assert.isFalse(waiters[1]!.done)
    })

    it("lets idle slots beyond a lower min go after idleTimeout", () => {
      const { time, driver, pool } = setup({ min: 2, max: 2, idleTimeout: 1_000 })
      driver.succeed()
      driver.succeed()
      time.advance(10_000)
      pool.resize(1, 2)
      time.advance(1_000)
      assert.deepStrictEqual(states(pool), { idle: 1, closing: 1 })
    })
  })

  describe("shutdown", () => {
    it("fails all waiters, aborts creations, closes what is not leased, and waits for the leases", () => {
      const { driver, pool, join, lease } = setup({ max: 4 })
      const [leased, idle, releasing] = [lease(), lease(), lease()]
      pool.release(idle)
      driver.verdict = "Settle"
      pool.release(releasing)
      driver.suspicious.add(idle)
      const checking = join()
      const waiters = [checking, join(), join(), join(true)]

      pool.shutdown()
      for (const waiter of waiters) assert.strictEqual(failure(waiter), "pool closed")
      assert.strictEqual(pool.waiting, 0)
      assert.strictEqual(driver.aborted.size, 1)
      assert.deepStrictEqual(states(pool), { leased: 1, creating: 1, closing: 2 })
      driver.closed()
      driver.closed()
      driver.fail()
      driver.verdict = "Reuse"
      pool.release(leased)
      assert.deepStrictEqual(driver.destroyed, ["Shutdown", "Shutdown", "Shutdown"])
      assert.deepStrictEqual(driver.vacancies.at(-1), { slots: 1, leased: 0 })
      driver.closed()
      assert.deepStrictEqual(driver.vacancies.at(-1), { slots: 0, leased: 0 })
    })

    it("fails whoever comes later, and starts nothing", () => {
      const { driver, pool, join } = setup({ min: 1, max: 1 })
      pool.shutdown()
      assert.strictEqual(failure(join()), "pool closed")
      driver.fail()
      assert.strictEqual(pool.slots.size, 0)
      pool.resize(1, 1)
      assert.strictEqual(driver.pending.create.size, 0)
    })

    it("closes what is made all the same", () => {
      const { driver, pool, join } = setup({ max: 1 })
      join()
      pool.shutdown()
      driver.succeed()
      assert.deepStrictEqual(driver.destroyed, ["Shutdown"])
    })

    it("tells of the vacancy at once when there is nothing to wait for", () => {
      const { driver, pool } = setup({ max: 1 })
      pool.shutdown()
      assert.deepStrictEqual(driver.vacancies, [{ slots: 0, leased: 0 }])
    })

    it("happens once", () => {
      const { driver, pool } = setup({ max: 1 })
      pool.shutdown()
      pool.shutdown()
      assert.strictEqual(driver.vacancies.length, 1)
    })

    it("leaves no timer behind", () => {
      const { time, driver, pool, join, idle } = setup({ min: 1, max: 3, idleTimeout: 1_000 }, (driver) => {
        driver.atOnce.destroy = true
        driver.maxAge = 5_000
      })
      driver.fail()
      idle(1)
      join(false, 500)
      join(false, 500)
      assert.isAbove(time.asleep, 0)
      pool.shutdown()
      driver.fail()
      pool.sever()
      assert.strictEqual(pool.slots.size, 0)
      time.timers.stop()
      assert.strictEqual(time.asleep, 0)
    })
  })

  describe("sever", () => {
    it("closes what is still leased, and removes what was lost", () => {
      const { driver, pool, lease } = setup({ max: 2 })
      const [a, b] = [lease(), lease()]
      pool.lose(b)
      pool.shutdown()
      pool.sever()
      assert.deepStrictEqual([a.state, b.state], ["closing", "gone"])
      assert.deepStrictEqual(driver.destroyed, ["Shutdown"])
      pool.release(a)
      driver.closed()
      assert.deepStrictEqual(driver.vacancies.at(-1), { slots: 0, leased: 0 })
    })
  })

  describe("an answer that was not asked for", () => {
    it("is a defect of whoever gives it, and leaves the slot as it was", () => {
      const { driver, pool } = setup({ min: 1, max: 1 })
      const [slot] = Array.from(driver.pending.create)
      assert.throws(() => pool.closed(slot!), "BUG: closed cannot happen to a slot that is creating")
      assert.strictEqual(slot!.state, "creating")

      driver.succeed()
      assert.throws(() => pool.created(slot!, 2), "BUG: created cannot happen to a slot that is idle")
      assert.throws(() => pool.failed(slot!, Effect.fail("failed")), "BUG: failed cannot happen to a slot that is idle")
      assert.strictEqual(slot!.state, "idle")

      pool.doom(slot!, "Discarded")
      assert.throws(() => pool.checkOut(slot!), "BUG: check cannot happen to a slot that is closing")
      driver.closed()
      assert.throws(() => pool.closed(slot!), "BUG: closed cannot happen to a slot that is gone")
      assert.strictEqual(slot!.state, "gone")
    })

    it("is no answer when it only comes too late", () => {
      const { pool, idle } = setup({ max: 1 })
      const [slot] = idle(1)
      pool.checked(slot!, false)
      pool.settled(slot!)
      assert.deepStrictEqual(states(pool), { idle: 1 })
    })
  })

  it("takes synchronous answers to everything", () => {
    const { driver, pool, join } = setup({ min: 2, max: 3, isRenewal: () => true }, (driver) => {
      driver.atOnce.create = driver.atOnce.check = driver.atOnce.settle = driver.atOnce.destroy = true
      driver.verdict = "Settle"
    })
    assert.deepStrictEqual(states(pool), { idle: 2 })
    const waiters = [join(), join(true), join()]
    assert.deepStrictEqual(states(pool), { leased: 3 })
    const late = join(true)
    for (const waiter of waiters) pool.release(granted(waiter))
    assert.isDefined(late.granted)
    driver.healthy = false
    assert.deepStrictEqual(states(pool), { leased: 1, idle: 2 })
    pool.refresh()
    pool.shutdown()
    pool.release(granted(late))
    assert.strictEqual(pool.slots.size, 0)
  })
})

/** One step of a random run: what to do, to whom, and how. */
interface Step {
  readonly what: (typeof whats)[number]
  readonly pick: number
  readonly flag: boolean
  readonly millis: number
}

const whats = [
  "join",
  "join",
  "join",
  "joinFresh",
  "tryLease",
  "tryLease",
  "accept",
  "accept",
  "accept",
  "release",
  "release",
  "release",
  "abandon",
  "create",
  "create",
  "create",
  "fail",
  "check",
  "settle",
  "close",
  "close",
  "suspect",
  "spoil",
  "checkOut",
  "doom",
  "lose",
  "resize",
  "refresh",
  "verdict",
  "verdict",
  "advance",
  "advance"
] as const

const limitsArbitrary = fc.record({
  min: fc.integer({ min: 0, max: 3 }),
  max: fc.integer({ min: 1, max: 4 }),
  concurrency: fc.constantFrom(1, 1, 2, 3),
  targetUtilization: fc.constantFrom(1, 1, 0.75, 0.5),
  idleTimeout: fc.constantFrom(Number.POSITIVE_INFINITY, 1_000),
  maxWaiters: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 2, 0),
  isRenewal: fc.boolean().map((isRenewal) => () => isRenewal)
})

interface DriverAnswers {
  readonly maxAge: number
  readonly create: boolean
  readonly check: boolean
  readonly settle: boolean
  readonly destroy: boolean
}

const driverArbitrary = fc.record<DriverAnswers>({
  maxAge: fc.constantFrom(Number.POSITIVE_INFINITY, 3_000),
  create: fc.boolean(),
  check: fc.boolean(),
  settle: fc.boolean(),
  destroy: fc.boolean()
})

const stepsArbitrary = fc.array(
  fc.record<Step>({
    what: fc.constantFrom(...whats),
    pick: fc.nat(1_000),
    flag: fc.boolean(),
    millis: fc.constantFrom(1, 50, 500, 1_000, 5_000)
  }),
  { maxLength: 200, size: "max" }
)

/** A pool, and what its users know of it. `audit` compares the two. */
class Model {
  readonly waiters: Array<Waiter> = []
  /** Leases that were accepted. */
  readonly leases: Array<Slot> = []
  readonly pool: SlotPool<number, string>
  readonly driver: FakeDriver
  readonly time: ManualTime

  constructor(
    readonly limits: Limits,
    readonly answers: DriverAnswers,
    /** How long its waiters wait: all of them as long, as in any pool. */
    readonly patience: number
  ) {
    const { pool, driver, time } = setup(limits, (driver) => {
      driver.maxAge = answers.maxAge
      Object.assign(driver.atOnce, answers)
    })
    this.pool = pool
    this.driver = driver
    this.time = time
  }

  get inLine(): Array<Waiter> {
    return this.waiters.filter((waiter) => waiter.list !== undefined).sort((a, b) => a.turn - b.turn)
  }

  run(step: Step): void {
    const { driver, pool, time } = this
    const one = <T>(from: Iterable<T>): T | undefined => {
      const all = Array.from(from)
      return all[step.pick % all.length]
    }
    const slot = (...states: ReadonlyArray<SlotState>): Slot | undefined =>
      one(Array.from(pool.slots).filter((slot) => states.includes(slot.state)))
    const given = <T>(value: T | undefined, f: (value: T) => void): void => {
      if (value !== undefined) f(value)
    }
    switch (step.what) {
      case "join":
      case "joinFresh":
        this.waiters.push(
          pool.join({ fresh: step.what === "joinFresh", since: time.now, deadline: time.now + this.patience })
        )
        break
      case "tryLease":
        given(pool.tryLease(), (slot) => this.leases.push(slot))
        break
      case "accept":
        given(one(this.waiters.filter((waiter) => waiter.granted !== undefined)), (waiter) => this.accept(waiter))
        break
      case "release":
        given(one(this.leases), (slot) => this.release(slot))
        break
      case "abandon":
        given(one(this.waiters), (waiter) => this.abandon(waiter))
        break
      case "create":
        given(one(driver.pending.create), (slot) => driver.succeed(slot))
        break
      case "fail":
        if (step.flag) driver.healthy = !driver.healthy
        given(one(driver.pending.create), (slot) => driver.fail(slot))
        break
      case "check":
        given(one(driver.pending.check), (slot) => driver.checked(step.flag, slot))
        break
      case "settle":
        given(one(driver.pending.settle), (slot) => driver.settled(slot))
        break
      case "close":
        given(one(driver.pending.destroy), (slot) => driver.closed(slot))
        break
      case "suspect":
        given(slot("idle", "leased"), (slot) => driver.suspicious.add(slot))
        break
      case "spoil":
        given(slot("idle"), (slot) => driver.unusable.add(slot))
        break
      case "checkOut":
        given(slot("idle"), (slot) => {
          pool.checkOut(slot)
          driver.pending.check.add(slot)
        })
        break
      case "doom":
        given(one(pool.slots), (slot) => pool.doom(slot, "Discarded"))
        break
      case "lose":
        given(one(pool.slots), (slot) => {
          driver.pending.check.delete(slot)
          driver.pending.settle.delete(slot)
          pool.lose(slot)
        })
        break
      case "resize": {
        const max = 1 + (step.pick % 4)
        pool.resize(Math.min(max, Math.floor(step.pick / 4) % 4), max)
        break
      }
      case "refresh":
        pool.refresh()
        break
      case "verdict":
        driver.verdict = (["Reuse", "Reuse", "Settle", "Dirty"] as const)[step.pick % 4]!
        driver.verdictOnRefusal = step.flag ? "Reuse" : "Dirty"
        break
      case "advance":
        time.advance(step.millis)
    }
  }

  /** What `get` does with what it was granted. */
  private accept(waiter: Waiter): void {
    const slot = granted(waiter)
    this.waiters.splice(this.waiters.indexOf(waiter), 1)
    if (slot.doom === undefined) this.leases.push(slot)
    else this.pool.release(slot, true)
  }

  private release(slot: Slot): void {
    this.leases.splice(this.leases.indexOf(slot), 1)
    this.pool.release(slot)
  }

  private abandon(waiter: Waiter): void {
    this.waiters.splice(this.waiters.indexOf(waiter), 1)
    this.pool.abandon(waiter)
  }

  /** A step must leave the pool such that all of this holds. */
  step(step: Step): void {
    const sizeBefore = this.pool.slots.size
    const before = this.inLine
    this.run(step)
    this.audit()
    assert.isAtMost(this.pool.slots.size, Math.max(this.pool.max, sizeBefore), "it grows beyond max")
    this.auditOrder(before)
  }

  private audit(): void {
    const { pool } = this
    const slots = Array.from(pool.slots)
    const those = (...states: ReadonlyArray<SlotState>) => slots.filter((slot) => states.includes(slot.state))

    for (const state of Object.keys(pool.count) as Array<SlotState>) {
      if (state !== "gone") assert.strictEqual(pool.count[state], those(state).length, `count of ${state}`)
    }
    assert.strictEqual(those("gone").length, 0)
    if (slots.length - pool.count.closing > pool.max) {
      assert.strictEqual(those("idle", "releasing").length, 0, "beyond max only what is leased or under way is left")
    }

    const held = this.leases.concat(this.waiters.flatMap((waiter) => waiter.granted ?? []))
    for (const slot of slots) {
      const leases = held.filter((other) => other === slot).length
      if (slot.state === "leased") {
        assert.strictEqual(slot.leases, leases, "every lease is somebody's")
        assert.isAtMost(leases, this.limits.concurrency)
      } else assert.strictEqual(leases, 0, `nobody has a lease of what is ${slot.state}`)
      if (slot.state === "idle") assert.isUndefined(slot.doom, "what is doomed is not offered")
      if (slot.starter !== undefined) assert.strictEqual(slot.starter.creation, slot)
      if (slot.heldFor !== undefined) assert.strictEqual(slot.heldFor.held, slot)
    }

    assert.strictEqual(pool.waiting, this.waiters.filter((waiter) => !waiter.done).length)
    for (const waiter of this.waiters) {
      const isInLine = waiter.list !== undefined
      if (waiter.done) {
        assert.isFalse(isInLine)
        assert.strictEqual(waiter.position, -1, "a waiter that is done has no deadline")
        continue
      }
      assert.notStrictEqual(isInLine, waiter.held !== undefined, "a waiter is in line, or waits for its own slot")
      if (waiter.creation !== undefined) assert.strictEqual(waiter.creation.starter, waiter)
      assert.strictEqual(waiter.bare.list !== undefined, isInLine && waiter.creation === undefined)
    }
    if (pool.state === "open") this.auditService(those)
  }

  /** Nobody is in line while something could serve the first, and what is missing is under way. */
  private auditService(those: (...states: ReadonlyArray<SlotState>) => Array<Slot>): void {
    const { limits, pool } = this
    const line = this.inLine
    const first = line[0]
    for (const { request } of line) assert.isAbove(request.deadline, this.time.now, "a waiter waits for too long")
    if (first?.request.fresh === true) {
      assert.isAtLeast(pool.slots.size, pool.max)
      assert.strictEqual(those("idle", "releasing").length, 0, "something could make room for the first in line")
    } else if (first !== undefined) {
      const withRoom = those("leased").filter((slot) => slot.doom === undefined && slot.leases < limits.concurrency)
      assert.strictEqual(those("idle").concat(withRoom).length, 0, "something could be leased to the first in line")
    }

    if (pool.slots.size >= pool.max) return
    const sound = those("idle", "checking", "leased").filter((slot) => slot.doom === undefined)
    const lent = sound.reduce((sum, slot) => sum + slot.leases, 0)
    const shared = those("creating").filter((slot) => slot.heldFor === undefined).length
    const usage = line.filter((waiter) => !waiter.request.fresh).length + lent
    const wanted = Math.ceil(usage / limits.targetUtilization / limits.concurrency) - sound.length - shared
    const isBare = line.some((waiter) => !waiter.request.fresh && waiter.creation === undefined)
    assert.isFalse(wanted > 0 && isBare, "a creation that is called for has not been started")
    assert.isFalse(
      line.some((waiter) => waiter.request.fresh),
      "below the limit, a slot is made for whoever wants its own"
    )
    assert.strictEqual(pool.kept, sound.length + pool.count.releasing)
  }

  /** Nobody who was in line is still there when somebody who came later was served. */
  private auditOrder(before: ReadonlyArray<Waiter>): void {
    const left = this.inLine
    for (const fresh of [true, false]) {
      const waitsStill = left.find((waiter) => waiter.request.fresh === fresh)
      if (waitsStill === undefined) continue
      for (const waiter of before) {
        const wasServed = waiter.granted !== undefined || waiter.held !== undefined
        if (waiter.request.fresh !== fresh || waiter.list !== undefined || !wasServed) continue
        assert.isBelow(waiter.turn, waitsStill.turn, "a waiter was overtaken")
      }
    }
  }

  private answerAll(): void {
    const { driver } = this
    driver.healthy = true
    driver.suspicious.clear()
    Object.assign(driver.atOnce, { create: true, check: true, settle: true, destroy: true })
    for (let left = 1; left > 0; ) {
      for (const slot of Array.from(driver.pending.check)) driver.checked(true, slot)
      for (const slot of Array.from(driver.pending.settle)) driver.settled(slot)
      for (const slot of Array.from(driver.pending.destroy)) driver.closed(slot)
      for (const slot of Array.from(driver.pending.create)) driver.succeed(slot)
      left = Object.values(driver.pending).reduce((sum, slots) => sum + slots.size, 0)
    }
  }

  private giveBackAll(): void {
    for (const waiter of Array.from(this.waiters)) {
      if (waiter.granted !== undefined) this.accept(waiter)
      else if (waiter.done) this.abandon(waiter)
    }
    for (const slot of Array.from(this.leases)) this.release(slot)
  }

  /** Once everything succeeds and is given back, all who waited are served, and `min` is there. */
  recover(): void {
    const { driver, pool, time } = this
    driver.verdict = "Reuse"
    driver.maxAge = Number.POSITIVE_INFINITY
    this.answerAll()
    for (let rounds = 0; this.waiters.length + this.leases.length > 0; rounds++) {
      this.giveBackAll()
      this.audit()
      assert.isBelow(rounds, 1_000, "somebody is never served")
    }
    for (let i = 0; i < 3; i++) {
      time.advance(1.2 * longestPause)
      this.audit()
    }
    assert.isAtLeast(pool.kept, Math.min(pool.min, pool.max))
    assert.strictEqual(pool.kept, pool.slots.size)
    if (this.limits.idleTimeout !== Number.POSITIVE_INFINITY) assert.strictEqual(pool.kept, pool.min)
  }

  /** After `shutdown` and the last lease, nothing is left. */
  end(sever: boolean): void {
    const { driver, pool, time } = this
    pool.shutdown()
    this.audit()
    assert.strictEqual(pool.waiting, 0)
    assert.isUndefined(pool.tryLease())
    assert.strictEqual(
      failure(pool.join({ fresh: false, since: 0, deadline: Number.POSITIVE_INFINITY })),
      "pool closed"
    )
    if (sever) {
      pool.sever()
      this.leases.length = 0
      this.waiters.length = 0
      assert.strictEqual(pool.count.leased, 0)
    }
    this.giveBackAll()
    assert.strictEqual(pool.count.leased, 0)
    assert.isTrue(
      driver.vacancies.some(({ leased }) => leased === 0),
      "it tells that the last lease has ended"
    )
    this.answerAll()
    assert.strictEqual(pool.slots.size, 0)
    assert.deepStrictEqual(states(pool), {})
    assert.deepStrictEqual(driver.vacancies.at(-1), { slots: 0, leased: 0 })
    time.timers.stop()
    assert.strictEqual(time.asleep, 0)
  }
}

describe("SlotPool, at random", () => {
  it("keeps its books, its limits, and its line, whatever happens", () => {
    fc.assert(
      fc.property(
        limitsArbitrary,
        driverArbitrary,
        fc.constantFrom(500, 5_000, Number.POSITIVE_INFINITY),
        stepsArbitrary,
        fc.boolean(),
        (limits, answers, patience, steps, sever) => {
          const model = new Model({ ...limits, min: Math.min(limits.min, limits.max) }, answers, patience)
          for (const step of steps) model.step(step)
          if (sever) model.recover()
          model.end(sever)
        }
      ),
      { seed: 20_240_607, numRuns: 300 }
    )
  })
})
