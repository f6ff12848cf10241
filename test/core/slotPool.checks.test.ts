import { assert, describe, it } from "vitest"
import { failure, setup, states } from "./support/slotPool.js"

describe("SlotPool", () => {
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
})
