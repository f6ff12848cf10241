import { environment } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { Timers } from "../../src/core/timers.js"
import { Upkeep } from "../../src/core/upkeep.js"

describe("Upkeep", () => {
  it.effect("waits the whole pause after a failure, also when it comes in the pause after a loss", () =>
    Effect.gen(function* () {
      const { fork } = yield* environment<never>({ isInterruptible: true })
      const timers = new Timers(
        yield* Clock.clockWith(Effect.succeed),
        (effect) => fork(effect, { immediate: false }),
        (fiber) => interruptNow(fiber)
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => timers.stop()))
      let resumed = 0
      const upkeep = new Upkeep(
        timers,
        () => 0.5,
        () => {
          resumed += 1
        }
      )
      upkeep.lost(0, 0, () => false)
      assert.isFalse(upkeep.mayStart())
      yield* TestClock.adjust(60)
      upkeep.failed()
      yield* TestClock.adjust(99)
      assert.strictEqual(resumed, 0)
      assert.isFalse(upkeep.mayStart())
      yield* TestClock.adjust(1)
      assert.strictEqual(resumed, 1)
      assert.isTrue(upkeep.mayStart())
    })
  )
})
