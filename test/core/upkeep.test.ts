import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as TestClock from "effect/TestClock"
import { Timers } from "../../src/core/timers.js"
import { Upkeep } from "../../src/core/upkeep.js"

describe("Upkeep", () => {
  it.scoped("waits the whole pause after a failure, also when it comes in the pause after a loss", () =>
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime()
      const timers = new Timers(
        yield* Effect.clock,
        (effect) => Runtime.runFork(runtime)(effect, { immediate: false }),
        (fiber) => fiber.unsafeInterruptAsFork(FiberId.none)
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
