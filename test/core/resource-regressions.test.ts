import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"

describe("get", () => {
  // The spare item that targetUtilization calls for was made in the name of the waiter before it was given its own.
  it.effect("gets the item that was made for it, though making a spare one fails", () =>
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
        Effect.andThen(Effect.sleep("1 second")),
        Effect.andThen(Effect.fail("failure"))
      )
      const acquire = Effect.suspend(() => (++started === 1 ? failing : Effect.succeed(started)))
      // Closing this pool would take for ever.
      const pool = yield* ResourcePool.makeWithTTL({
        acquire,
        min: 0,
        max: 2,
        concurrency: 2,
        timeToLive: "1 hour"
      }).pipe(Scope.provide(yield* Scope.make()))
      const use = Effect.forkChild(Effect.exit(ResourcePool.use(pool, Effect.succeed)))
      const [first, second] = [yield* use, yield* use]
      yield* TestClock.adjust("1 second")
      const ends = [first, second].map((fiber) => poll(fiber) !== undefined)
      assert.deepStrictEqual(ends, [true, true])
      assert.deepStrictEqual(yield* Fiber.join(first), Exit.fail("failure"))
      assert.deepStrictEqual(yield* Fiber.join(second), Exit.succeed(2))
    })
  )
})

describe("close", () => {
  // The creation that was being started had no fiber yet that could be interrupted.
  it.effect("in the step that starts a creation for a get gives that creation up", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const closing: Array<Fiber.Fiber<void>> = []
      const acquire = Effect.suspend(() => {
        closing.push(Effect.runFork(Scope.close(scope, Exit.void)))
        return Effect.never
      })
      const pool = yield* ResourcePool.makeWithTTL({ acquire, min: 0, max: 1, timeToLive: "1 hour" }).pipe(
        Scope.provide(scope)
      )
      const error = yield* Effect.flip(Effect.scoped(ResourcePool.get(pool)))
      assert.strictEqual(error._tag, "PoolClosedError")
      yield* TestClock.adjust(0)
      assert.isDefined(poll(closing[0]!))
    })
  )
})

describe("invalidate", () => {
  // The second time took back what the first had said, so whoever had been granted the item still got it.
  for (const times of [1, 2, 3]) {
    it.effect(`${times} time(s) between the grant of an item and its acceptance keeps it from being lent`, () =>
      Effect.gen(function* () {
        let made = 0
        const pool = yield* ResourcePool.make({ acquire: Effect.sync(() => ({ id: ++made })), size: 1 })
        const holder = yield* Scope.make()
        const first = yield* Scope.provide(ResourcePool.get(pool), holder)
        const waiter = yield* Effect.forkScoped(ResourcePool.get(pool))
        yield* TestClock.adjust(0)
        assert.isUndefined(poll(waiter))
        // In one step: it is granted to who waits, whose fiber has not run since.
        yield* Scope.close(holder, Exit.void)
        for (let n = 0; n < times; n++) yield* ResourcePool.invalidate(pool, first)
        const second = yield* Fiber.join(waiter)
        assert.notStrictEqual(second, first)
        assert.strictEqual(second.id, 2)
      })
    )
  }
})

describe("timeToLive of 0 since creation", () => {
  // What had expired was made anew at once, for ever.
  it.effect("with min above 0 remakes through the back-off", () =>
    Effect.gen(function* () {
      let made = 0
      let finalised = 0
      const acquire = Effect.acquireRelease(
        Effect.sync(() => ++made),
        () => Effect.sync(() => ++finalised)
      )
      const scope = yield* Scope.make()
      yield* Scope.provide(
        ResourcePool.makeWithTTL({ acquire, min: 2, max: 4, timeToLive: 0, timeToLiveStrategy: "creation" }),
        scope
      )
      yield* TestClock.adjust(0)
      assert.isAtMost(made, 2)
      yield* TestClock.adjust("10 seconds")
      // Pauses of 100, 200, 400 milliseconds and so on, with a jitter of a fifth.
      const early = made
      assert.isAtLeast(early, 4)
      assert.isAtMost(early, 2 * 9)
      yield* TestClock.adjust("10 minutes")
      // At most one round in eight seconds, once the pauses have grown.
      assert.isAtMost(made - early, 2 * 76)
      assert.isAtLeast(made - early, 50)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(finalised, made)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(finalised, made)
    })
  )

  for (const [millis, isAtOnce] of [
    [999, false],
    [1000, true]
  ] as const) {
    it.effect(`of ${millis} milliseconds remakes ${isAtOnce ? "at once" : "after a pause"}`, () =>
      Effect.gen(function* () {
        let made = 0
        const scope = yield* Scope.make()
        const acquire = Effect.sync(() => ++made)
        const timeToLive = `${millis} millis` as const
        yield* Scope.provide(
          ResourcePool.makeWithTTL({ acquire, min: 1, max: 1, timeToLive, timeToLiveStrategy: "creation" }),
          scope
        )
        yield* TestClock.adjust(millis)
        assert.strictEqual(made, isAtOnce ? 2 : 1)
        yield* TestClock.adjust(120)
        assert.strictEqual(made, 2)
        yield* Scope.close(scope, Exit.void)
      })
    )
  }
})
