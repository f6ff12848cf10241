import { assert, describe, it } from "vitest"
import { failure, granted, setup, states } from "./support/slotPool.js"

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
})
