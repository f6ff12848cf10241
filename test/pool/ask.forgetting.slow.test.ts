/** What a pool keeps of an `ask` that was given up, wherever it was: nothing. */
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { steppingScheduler, withScheduler } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { leftOf } from "../support/garbage.js"
import { makeServer, scenario, settle } from "../support/wire.js"

/** More than an `ask` has up to its wait. */
const steps = 80

describe("ask", () => {
  it.effect("leaves nothing in the pool that was interrupted in any of its steps", () =>
    scenario(makeServer({}), { maxConnections: 200 }, (pool) =>
      Effect.gen(function* () {
        const left: Array<number> = []
        let given = 0
        for (let step = 0; step < steps; step++) {
          const kept: Array<WeakRef<object>> = []
          let isOver = false
          const scheduler = steppingScheduler((fiber) => {
            if (isOver || fiber.currentOpCount < step >> 1) return false
            isOver = true
            fiber.interruptNow()
            return true
          })
          const asking = Effect.suspend(() => {
            const message = new Uint8Array(1)
            kept.push(new WeakRef(message))
            return pool.ask(message)
          })
          const fiber = yield* Effect.forkChild(withScheduler(asking, scheduler))
          yield* settle
          if (isOver) {
            given += 1
            assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
          } else yield* Fiber.interrupt(fiber)
          // Who asks next shall not push it aside, to where nobody looks.
          if (step % 2 === 1) yield* Effect.forkScoped(pool.ask("other"))
          yield* settle
          yield* TestClock.adjust(100)
          left.push(yield* leftOf(kept, 0))
        }
        assert.isAbove(given, 6)
        assert.deepStrictEqual(left, Array(steps).fill(0))
      })
    )
  )
})
