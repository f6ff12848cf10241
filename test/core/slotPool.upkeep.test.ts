import { assert, describe, it } from "vitest"
import type { Limits } from "../../src/core/driver.js"
import { firstPause, longestPause } from "../../src/core/upkeep.js"
import { failure, granted, type Slot, setup, states } from "./support/slotPool.js"

describe("SlotPool", () => {
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
})
