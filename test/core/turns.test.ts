import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import { assert, describe, it } from "#support/vitest"
import { realTurnOfTheLoop } from "../../src/core/cancellable.js"

/** What runs after this does so where Node runs its timers. */
const amongTimers = Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 1))

describe("a real turn of the loop", () => {
  // On Effect 3 it was a timer: on a busy machine several went by before sockets had their turn, and a pool with no time
  // to close was closed before the sockets that it had destroyed were gone.
  it.live("comes after what waits for the loop already, however late timers are", () =>
    Effect.gen(function* () {
      yield* amongTimers
      let hasTurned = false
      setImmediate(() => {
        hasTurned = true
      })
      const turn = yield* Effect.forkChild(
        Effect.andThen(
          realTurnOfTheLoop,
          Effect.sync(() => hasTurned)
        )
      )
      yield* Effect.yieldNow
      // A timer that is set late makes the loop look at its clock again, and end all that are due by then.
      const lateUntil = performance.now() + 3
      while (performance.now() < lateUntil);
      setTimeout(() => {}, 0)
      assert.isTrue(yield* Fiber.join(turn))
    })
  )
})
