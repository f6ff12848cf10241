import { assert, describe, it } from "vitest"
import { failure, setup, states } from "./support/slotPool.js"

describe("SlotPool", () => {
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
})
