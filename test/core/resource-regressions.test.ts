import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as ResourcePool from "effect-websocket-pool/ResourcePool"

describe("get", () => {
  // The spare item that targetUtilization calls for was made in the name of the waiter before it was given its own.
  it.scoped("gets the item that was made for it, though making a spare one fails", () =>
    Effect.gen(function* () {
      let started = 0
      const acquire = Effect.suspend(() => (++started === 1 ? Effect.succeed(1) : Effect.fail("failure")))
      const pool = yield* ResourcePool.makeWithTTL({
        acquire,
        min: 0,
        max: 2,
        targetUtilization: 0.5,
        timeToLive: "1 hour"
      })
      assert.strictEqual(yield* ResourcePool.get(pool), 1)
    })
  )

  // A creation counted as under way, and its failure was told to nobody, until all that it had acquired was finalised.
  it.effect("does not wait for the finalisers of a creation that has failed", () =>
    Effect.gen(function* () {
      let started = 0
      const failing = Effect.addFinalizer(() => Effect.never).pipe(
        Effect.zipRight(Effect.sleep("1 second")),
        Effect.zipRight(Effect.fail("failure"))
      )
      const acquire = Effect.suspend(() => (++started === 1 ? failing : Effect.succeed(started)))
      // Closing this pool would take for ever.
      const pool = yield* ResourcePool.makeWithTTL({
        acquire,
        min: 0,
        max: 2,
        concurrency: 2,
        timeToLive: "1 hour"
      }).pipe(Scope.extend(yield* Scope.make()))
      const use = Effect.fork(Effect.exit(ResourcePool.use(pool, Effect.succeed)))
      const [first, second] = [yield* use, yield* use]
      yield* TestClock.adjust("1 second")
      const ends = [first, second].map((fiber) => fiber.unsafePoll() !== null)
      assert.deepStrictEqual(ends, [true, true])
      assert.deepStrictEqual(yield* Fiber.join(first), Exit.fail("failure"))
      assert.deepStrictEqual(yield* Fiber.join(second), Exit.succeed(2))
    })
  )
})
