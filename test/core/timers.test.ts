import * as fc from "fast-check"
import { environment } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { makeTimer, type Timer, Timers } from "../../src/core/timers.js"

/** Timers on the test's clock, with a record of what they ask of it. */
const setup = Effect.gen(function* () {
  const { fork } = yield* environment<never>({ isInterruptible: true })
  const clock = yield* Clock.clockWith(Effect.succeed)
  const sleeps: Array<number> = []
  const asleep = new Set<Fiber.Fiber<void>>()
  const spy: Clock.Clock = Object.create(clock, {
    sleep: {
      value: (duration: Duration.Duration) => {
        sleeps.push(Duration.toMillis(duration))
        // A loop of sleeps without length is to fail a test, not to hang it.
        return sleeps.length > 1_000 ? Effect.never : clock.sleep(duration)
      }
    }
  })
  const timers = new Timers(
    spy,
    (effect) => {
      const fiber = fork(effect, { immediate: false })
      asleep.add(fiber)
      fiber.addObserver(() => asleep.delete(fiber))
      return fiber
    },
    (fiber) => interruptNow(fiber)
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => timers.stop()))

  /** What was due, in the order in which it was. */
  const fired: Array<string> = []
  const timer = (name: string, then: (self: Timer) => void = () => {}): Timer => {
    const self = makeTimer(() => {
      fired.push(name)
      then(self)
    })
    return self
  }
  return { timers, timer, fired, sleeps, asleep }
})

/** Lets everything happen that does not need time. */
const settle = TestClock.adjust(0)

describe("makeTimer", () => {
  it("makes a timer that is not armed", () => {
    assert.strictEqual(makeTimer(() => {}).position, -1)
  })
})

describe("Timers", () => {
  describe("now", () => {
    it.effect("is the time of the clock", () =>
      Effect.gen(function* () {
        const { timers } = yield* setup
        yield* TestClock.adjust(1_234)
        assert.strictEqual(timers.now(), 1_234)
        assert.strictEqual(timers.exactly(), 1_234)
      })
    )
  })

  describe("onClock", () => {
    it.effect("is what the clock shows, as it is set now", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        const { timers } = yield* setup
        yield* TestClock.adjust(500)
        const before = timers.now()
        assert.strictEqual(before, 500)
        assert.strictEqual(timers.onClock(before), 1_000_500)
        yield* TestClock.setTime(400_000)
        yield* TestClock.adjust(100)
        assert.strictEqual(timers.onClock(timers.now()), 400_100)
        assert.strictEqual(timers.onClock(before), 400_100 - (timers.now() - before))
        assert.isAtLeast(timers.now(), before)
      })
    )
  })

  describe("set", () => {
    it.effect("arms a timer, which goes off once, when it is due and not before", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const a = timer("a")
        timers.set(a, 1_000)
        assert.notStrictEqual(a.position, -1)
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["a"])
        assert.strictEqual(a.position, -1)
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(fired, ["a"])
      })
    )

    it.effect("sets timers off in the order in which they are due, not in that of arming", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        for (const due of [500, 100, 400, 200, 300]) timers.set(timer(`${due}`), due)
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(fired, ["100", "200", "300", "400", "500"])
      })
    )

    it.effect("keeps the order when all are due at one moment that comes late, for which it wakes once", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, sleeps } = yield* setup
        yield* TestClock.adjust(1_000)
        for (const due of [100, 500, 400, 200, 300]) timers.set(timer(`${due}`), due)
        yield* settle
        assert.deepStrictEqual(fired, ["100", "200", "300", "400", "500"])
        assert.strictEqual(sleeps.length, 1)
      })
    )

    it.effect("wakes earlier for a timer that is due before all others", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        timers.set(timer("later"), 1_000)
        yield* settle
        timers.set(timer("earlier"), 500)
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["earlier"])
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(fired, ["earlier"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["earlier", "later"])
      })
    )

    it.effect("moves an armed timer to an earlier time", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const a = timer("a")
        timers.set(timer("b"), 800)
        timers.set(a, 1_000)
        yield* settle
        timers.set(a, 500)
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["a"])
        yield* TestClock.adjust(1_000)
        assert.deepStrictEqual(fired, ["a", "b"])
      })
    )

    it.effect("moves an armed timer to a later time", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const a = timer("a")
        timers.set(a, 500)
        timers.set(timer("b"), 800)
        yield* settle
        timers.set(a, 1_000)
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(fired, ["b"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["b", "a"])
      })
    )

    it.effect("takes a time in the past for now, but does not go off before it returns", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        yield* TestClock.adjust(1_000)
        timers.set(timer("past"), 1)
        timers.set(timer("now"), 1_000)
        assert.deepStrictEqual(fired, [])
        yield* settle
        assert.deepStrictEqual(fired, ["past", "now"])
      })
    )

    it.effect("disarms a timer that is due at infinity", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const a = timer("a")
        timers.set(a, Number.POSITIVE_INFINITY)
        assert.strictEqual(a.position, -1)
        timers.set(a, 1_000)
        timers.set(a, Number.POSITIVE_INFINITY)
        assert.strictEqual(a.position, -1)
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(fired, [])
      })
    )

    it.effect("sleeps in one fiber for any number of timers, and in none when nothing is armed", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, asleep } = yield* setup
        assert.strictEqual(asleep.size, 0)
        for (let due = 1_000; due > 0; due -= 10) timers.set(timer(`${due}`), due)
        yield* settle
        assert.strictEqual(asleep.size, 1)
        yield* TestClock.adjust(1_000)
        assert.strictEqual(fired.length, 100)
        assert.strictEqual(asleep.size, 0)
      })
    )

    it.effect("sleeps no longer than setTimeout can, and sets off in time what is due later", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, sleeps } = yield* setup
        const longest = 2 ** 31 - 1
        const due = 2.5 * (longest + 1)
        timers.set(timer("a"), due)
        yield* TestClock.adjust(due - 1)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["a"])
        assert.deepStrictEqual(sleeps, [longest, longest, due - 2 * longest])
      })
    )

    // A sleep is rounded to nanoseconds. One that ended a little early was followed by endless sleeps of no length.
    it.effect("does not sleep again for less than a nanosecond, and takes the time for that when it was due", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, sleeps } = yield* setup
        const due = 100.000_000_3
        timers.set(
          timer("a", () => assert.strictEqual(timers.now(), due)),
          due
        )
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(fired, ["a"])
        assert.deepStrictEqual(sleeps, [100])
        assert.strictEqual(timers.now(), 100)
        // It goes on: no assertion has failed meanwhile.
        timers.set(timer("b"), 200)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(fired, ["a", "b"])
      })
    )

    it.effect("sets off what is due at a fraction of a millisecond before the next one is over", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        yield* TestClock.adjust(0.25)
        timers.set(timer("a"), 100.5)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["a"])
      })
    )
  })

  describe("clear", () => {
    it.effect("disarms a timer, and leaves the others alone", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const all = ["a", "b", "c", "d", "e"].map((name) => timer(name))
        for (const [i, timer] of all.entries()) timers.set(timer, 100 * (i + 1))
        timers.clear(all[0]!)
        timers.clear(all[2]!)
        timers.clear(all[4]!)
        assert.deepStrictEqual(
          all.map((timer) => timer.position !== -1),
          [false, true, false, true, false]
        )
        yield* TestClock.adjust(1_000)
        assert.deepStrictEqual(fired, ["b", "d"])
      })
    )

    it.effect("keeps the order of those that stay, wherever they stood", () =>
      Effect.gen(function* () {
        for (let cleared = 1; cleared <= 7; cleared++) {
          const { timers, timer, fired } = yield* setup
          const start = timers.now()
          const all = [7, 6, 5, 4, 3, 2, 1].map((due) => {
            const self = timer(`${due}`)
            timers.set(self, start + due)
            return self
          })
          timers.clear(all[7 - cleared]!)
          yield* TestClock.adjust(10)
          assert.deepStrictEqual(
            fired,
            ["1", "2", "3", "4", "5", "6", "7"].filter((name) => name !== `${cleared}`)
          )
        }
      })
    )

    it.effect("means nothing to a timer that is not armed", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const a = timer("a")
        timers.clear(a)
        timers.set(a, 100)
        yield* TestClock.adjust(100)
        timers.clear(a)
        timers.clear(a)
        timers.set(a, 200)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(fired, ["a", "a"])
      })
    )
  })

  describe("stop", () => {
    it.effect("drops every timer for good, and the fiber that waits for them", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, asleep } = yield* setup
        const [a, b] = [timer("a"), timer("b")]
        timers.set(a, 1_000)
        timers.set(b, 2_000)
        yield* settle
        timers.stop()
        yield* settle
        assert.strictEqual(asleep.size, 0)
        assert.deepStrictEqual([a.position, b.position], [-1, -1])
        timers.set(a, 3_000)
        assert.strictEqual(a.position, -1)
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(fired, [])
        assert.strictEqual(asleep.size, 0)
      })
    )
  })

  describe("isAsleep", () => {
    it.effect("tells whether its fiber sleeps", () =>
      Effect.gen(function* () {
        const { timers, timer } = yield* setup
        assert.isFalse(timers.isAsleep)
        timers.set(timer("a"), 1_000)
        assert.isTrue(timers.isAsleep)
        yield* TestClock.adjust("1 second")
        assert.isFalse(timers.isAsleep)
        timers.set(timer("b"), 2_000)
        timers.stop()
        assert.isFalse(timers.isAsleep)
      })
    )
  })

  describe("what a timer does when it is due", () => {
    it.effect("may arm it again, for later", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, sleeps } = yield* setup
        for (const name of ["tick", "tock"]) {
          timers.set(
            timer(name, (self) => timers.set(self, timers.now() + 100)),
            100
          )
        }
        yield* TestClock.adjust(399)
        assert.strictEqual(fired.length, 6)
        yield* TestClock.adjust(1)
        assert.strictEqual(fired.length, 8)
        // It sleeps once for each moment, however many timers are armed in one.
        assert.deepStrictEqual(sleeps, [100, 100, 100, 100, 100])
      })
    )

    it.effect("may arm it again, for now: the others get their turn all the same", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, sleeps } = yield* setup
        let left = 20
        const again = timer("again", (self) => {
          if (left-- > 0) timers.set(self, timers.now())
        })
        timers.set(again, 100)
        timers.set(timer("other"), 100)
        yield* TestClock.adjust(100)
        yield* settle
        assert.strictEqual(fired.filter((name) => name === "again").length, 21)
        assert.include(fired.slice(0, 3), "other")
        // It ends its rounds, so that others than timers get their turn, too.
        assert.isAbove(sleeps.length, 10)
      })
    )

    it.effect("takes those along that may come early, if it may itself, and no others", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const early = (name: string, due: number): void => {
          const { onDue } = timer(name)
          // What only looks again takes nobody along.
          timers.set({ ...makeTimer(() => onDue() ?? name !== "idle"), leeway: 10 }, due)
        }
        timers.set(timer("exact"), 95)
        early("first", 100)
        early("second", 110)
        early("third", 110.5)
        yield* TestClock.adjust(99)
        assert.deepStrictEqual(fired, ["exact"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["exact", "first", "second"])
        timers.set(timer("before"), 110.2)
        early("idle", 110.2)
        early("fourth", 110.4)
        yield* TestClock.setTime(110.3)
        assert.deepStrictEqual(fired.slice(3), ["before", "idle"])
        yield* TestClock.setTime(110.4)
        assert.deepStrictEqual(fired.slice(5), ["fourth", "third"])
      })
    )

    it.effect("does not run ahead of the clock when it comes early", () =>
      Effect.gen(function* () {
        const { timers } = yield* setup
        const times: Array<number> = []
        const early = (due: number): void =>
          timers.set({ ...makeTimer(() => times.push(timers.now()) > 0), leeway: 10 }, due)
        early(100)
        early(110)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(times, [100, 100])
      })
    )

    it.effect("may arm others, due earlier than those that wait", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        timers.set(timer("last"), 1_000)
        timers.set(
          timer("first", () => timers.set(timer("middle"), 500)),
          100
        )
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(fired, ["first"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(fired, ["first", "middle"])
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(fired, ["first", "middle", "last"])
      })
    )

    it.effect("may clear others that are due at the same moment", () =>
      Effect.gen(function* () {
        const { timers, timer, fired } = yield* setup
        const other = timer("other")
        timers.set(
          timer("first", () => timers.clear(other)),
          100
        )
        timers.set(other, 100.5)
        yield* TestClock.adjust(50)
        timers.set(other, 100)
        yield* TestClock.adjust(50)
        assert.deepStrictEqual(fired, ["first"])
      })
    )

    it.effect("may stop them all", () =>
      Effect.gen(function* () {
        const { timers, timer, fired, asleep } = yield* setup
        timers.set(
          timer("first", () => timers.stop()),
          100
        )
        timers.set(timer("second"), 200)
        yield* TestClock.adjust(1_000)
        assert.deepStrictEqual(fired, ["first"])
        assert.strictEqual(asleep.size, 0)
      })
    )
  })

  it.effect("goes off in order after any sequence of arming, moving and clearing", () =>
    Effect.gen(function* () {
      const steps = fc.sample(
        fc.record({ which: fc.nat(99), due: fc.integer({ min: 1, max: 10_000 }), isCleared: fc.boolean() }),
        { numRuns: 2_000, seed: 7 }
      )
      const { timers, timer } = yield* setup
      const order: Array<number> = []
      const all: ReadonlyArray<Timer> = Array.from({ length: 100 }, (_, i) =>
        timer(`${i}`, (self) => {
          assert.strictEqual(timers.now(), self.due)
          order.push(self.due)
        })
      )
      const armed = new Map<Timer, number>()
      for (const { which, due, isCleared } of steps) {
        const chosen = all[which]!
        if (isCleared) {
          timers.clear(chosen)
          armed.delete(chosen)
        } else {
          timers.set(chosen, due)
          armed.set(chosen, due)
        }
      }
      yield* TestClock.setTime(10_000)
      assert.isAbove(armed.size, 30)
      assert.deepStrictEqual(
        order,
        Array.from(armed.values()).sort((a, b) => a - b)
      )
    })
  )
})
