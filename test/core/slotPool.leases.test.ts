import { assert, describe, it } from "vitest"
import * as Effect from "#effect/Effect"
import { granted, setup, states } from "./support/slotPool.js"

describe("SlotPool", () => {
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
