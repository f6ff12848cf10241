import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { Limits } from "../../src/core/driver.js"
import type { SlotState } from "../../src/core/slot.js"
import type { SlotPool } from "../../src/core/slotPool.js"
import { longestPause } from "../../src/core/upkeep.js"
import {
  type FakeDriver,
  failure,
  granted,
  type ManualTime,
  type Slot,
  setup,
  states,
  type Waiter
} from "./support/slotPool.js"

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
