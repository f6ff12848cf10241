import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { randomly, seeded } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { forkWaiting, items, lease, makePool, settle } from "./support/resourcePool.js"

describe("makeWithTTL", () => {
  describe("timeToLive by usage", () => {
    it.effect("is the default, and closes an item after that long without use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 2, timeToLive: "1 second" })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("999 millis")
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("closes an item that was never used", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("1 second"))
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 second", timeToLiveStrategy: "usage" })
        yield* Fiber.interrupt(yield* forkWaiting(lease(pool)))
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(all.existing, [1])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.existing, [])
      })
    )

    it.effect("may be zero: an item is lent once", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: 0 })
        for (const expected of [1, 2, 3]) {
          assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), expected)
          yield* settle
          assert.deepStrictEqual(all.existing, [])
        }
      })
    )

    it.effect("never closes an item in use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 2, timeToLive: "1 second" })
        const { release } = yield* lease(pool)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(all.closed, [])
        yield* release
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("never goes below min, and keeps what was used last", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 1, max: 3, timeToLive: "1 second" })
        const [a, b, c] = [yield* lease(pool), yield* lease(pool), yield* lease(pool)]
        yield* b.release
        yield* c.release
        yield* TestClock.adjust("1 millis")
        yield* a.release
        yield* TestClock.adjust("998 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.sameMembers(all.closed, [b.item, c.item])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(all.existing, [a.item])
        assert.strictEqual(all.started, 3)
      })
    )

    it.effect("closes the surplus of a pool whose other items are in steady use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 5, timeToLive: "1 second" })
        for (const { release } of yield* Effect.replicateEffect(lease(pool), 5)) yield* release
        yield* ResourcePool.use(pool, () => Effect.sleep("150 millis")).pipe(Effect.forever, Effect.forkScoped)
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(all.closed.length, 0)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.existing, [5])
      })
    )
  })

  describe("timeToLive by creation", () => {
    it.effect("closes an idle item that long after it was made, whatever its use", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("500 millis"))
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 second", timeToLiveStrategy: "creation" })
        const waiter = yield* forkWaiting(lease(pool))
        yield* TestClock.adjust("500 millis")
        yield* (yield* Fiber.join(waiter)).release
        for (let i = 0; i < 9; i++) {
          yield* TestClock.adjust("100 millis")
          yield* Effect.scoped(ResourcePool.get(pool))
        }
        yield* TestClock.adjust("99 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("lends an item no more when it has come to its end, and closes it when its last lease ends", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, {
          max: 2,
          concurrency: 2,
          timeToLive: "1 second",
          timeToLiveStrategy: "creation"
        })
        const { item, release } = yield* lease(pool)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(all.closed, [])
        const next = yield* lease(pool)
        assert.notStrictEqual(next.item, item)
        yield* release
        assert.deepStrictEqual(all.closed, [item])
        yield* next.release
      })
    )

    it.effect("replaces items up to min at once", () =>
      Effect.gen(function* () {
        const all = items()
        yield* makePool(all, { min: 2, max: 2, timeToLive: "1 second", timeToLiveStrategy: "creation" })
        yield* TestClock.adjust("1 second")
        assert.sameMembers(all.closed, [1, 2])
        assert.deepStrictEqual(all.existing, [3, 4])
      })
    )

    it.effect("may be zero: an item is lent once", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: 0, timeToLiveStrategy: "creation" })
        for (const expected of [1, 2, 3]) {
          assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), expected)
          yield* settle
          assert.deepStrictEqual(all.existing, [])
        }
      })
    )

    it.effect("closes nothing for want of use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 hour", timeToLiveStrategy: "creation" })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("59 minutes")
        assert.deepStrictEqual(all.closed, [])
      })
    )
  })

  describe("min", () => {
    const failing = () => {
      const all = items(() => (isUp ? Effect.void : Effect.fail("failure")))
      let isUp = false
      return { all, repair: () => (isUp = true) }
    }

    it.effect("is tried again after 100 ms, doubled each time up to 10 s, for ever", () =>
      Effect.gen(function* () {
        const { all } = failing()
        yield* makePool(all, { min: 1, max: 1 })
        let started = 1
        assert.strictEqual(all.started, started)
        for (const pause of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]) {
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(all.started, started)
          yield* TestClock.adjust(1)
          assert.strictEqual(all.started, ++started)
        }
      }).pipe(randomly([0.5]))
    )

    for (const [random, pause] of [
      [0, 80],
      [1, 120]
    ] as const) {
      it.effect(`is tried again ${pause} ms after the first failure when random says ${random}`, () =>
        Effect.gen(function* () {
          const { all } = failing()
          yield* makePool(all, { min: 1, max: 1 })
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(all.started, 1)
          yield* TestClock.adjust(1)
          assert.strictEqual(all.started, 2)
        }).pipe(randomly([random]))
      )
    }

    // A pause with a fraction of a nanosecond ended in endless sleeps of no length.
    it.effect("is tried again between 20 % earlier and later, differently each time", () =>
      Effect.gen(function* () {
        const starts: Array<number> = []
        yield* makePool(
          items(() =>
            Effect.andThen(
              Effect.map(Clock.currentTimeMillis, (now) => starts.push(now)),
              Effect.fail("failure")
            )
          ),
          { min: 1, max: 1 }
        )
        yield* TestClock.adjust("10 minutes")
        assert.isAtLeast(starts.length, 50)
        const pauses = starts.slice(1).map((start, i) => start - starts[i]!)
        for (const [i, pause] of pauses.entries()) {
          const middle = Math.min(100 * 2 ** i, 10_000)
          assert.isAtLeast(pause, 0.8 * middle)
          assert.isAtMost(pause, Math.min(1.2 * middle + 1, 10_000))
        }
        assert.isAbove(new Set(pauses).size, pauses.length / 3)
      }).pipe(seeded("jitter"))
    )

    // Each of them doubled the pause.
    it.effect("is tried again after 100 ms however many items failed at once", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.andThen(Effect.sleep("1 second"), Effect.fail("failure")))
        yield* makePool(all, { min: 10, max: 10 })
        assert.strictEqual(all.started, 10)
        yield* TestClock.adjust("1099 millis")
        assert.strictEqual(all.started, 10)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(all.started, 20)
      }).pipe(randomly([0.5]))
    )

    it.effect("is made up for when the trouble is over", () =>
      Effect.gen(function* () {
        const { all, repair } = failing()
        yield* makePool(all, { min: 3, max: 3 })
        yield* TestClock.adjust("10 minutes")
        repair()
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual(all.existing.length, 3)
      })
    )

    it.effect("does not make a get wait for its pause, nor fail with its failure", () =>
      Effect.gen(function* () {
        const { all, repair } = failing()
        const pool = yield* makePool(all, { min: 1, max: 2 })
        yield* TestClock.adjust("10 minutes")
        repair()
        const before = all.started
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), before + 1)
      })
    )

    it.effect("is not made up for while all items are made", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 2, max: 3 })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(all.started, 2)
      })
    )
  })
})
