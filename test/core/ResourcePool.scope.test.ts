import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Clock from "#effect/Clock"
import * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import type * as Pool from "#effect/Pool"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { withClock } from "#support/fibers"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { closeable, forkWaiting, isDone, items, lease, makePool, settle } from "./support/resourcePool.js"

describe("makeWithTTL", () => {
  describe("acquire", () => {
    it.effect("has what it had acquired finalised when it fails", () =>
      Effect.gen(function* () {
        const events: Array<string> = []
        const acquire = Effect.andThen(
          Effect.addFinalizer((exit) => Effect.sync(() => events.push(exit._tag))),
          Effect.fail("failure")
        )
        const pool = yield* ResourcePool.makeWithTTL({ acquire, min: 0, max: 1, timeToLive: "1 hour" })
        yield* Effect.result(Effect.scoped(ResourcePool.get(pool)))
        assert.deepStrictEqual(events, ["Failure"])
      })
    )

    it.effect("dies in the get that started it, and in no other", () =>
      Effect.gen(function* () {
        const all = items((n) => (n === 1 ? Effect.die("defect") : Effect.void))
        const pool = yield* makePool(all, { max: 1 })
        const exit = yield* Effect.exit(Effect.scoped(ResourcePool.get(pool)))
        assert.deepStrictEqual(exit, Exit.die("defect"))
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 2)
      })
    )

    it.effect("is interrupted in the get that started it, and in no other, when it interrupts itself", () =>
      Effect.gen(function* () {
        const all = items((n) => (n === 1 ? Effect.interrupt : Effect.void))
        const pool = yield* makePool(all, { max: 1 })
        const exit = yield* Effect.exit(Effect.scoped(ResourcePool.get(pool)))
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 2)
      })
    )

    it.effect("may throw", () =>
      Effect.gen(function* () {
        const all = items((n) => {
          if (n === 1) throw "thrown"
          return Effect.void
        })
        const pool = yield* makePool(all, { max: 1 })
        assert.deepStrictEqual(yield* Effect.exit(Effect.scoped(ResourcePool.get(pool))), Exit.die("thrown"))
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 2)
      })
    )

    it.effect("fails nobody when the get that started it was served otherwise", () =>
      Effect.gen(function* () {
        const all = items((n) => (n === 2 ? Effect.delay(Effect.fail("failure"), "1 second") : Effect.void))
        const pool = yield* makePool(all, { max: 2 })
        const first = yield* lease(pool)
        const second = yield* forkWaiting(lease(pool))
        yield* first.release
        const third = yield* forkWaiting(lease(pool))
        assert.deepStrictEqual([second, third].map(isDone), [true, false])
        yield* TestClock.adjust("1 second")
        // It got a creation of its own, the third.
        assert.strictEqual((yield* Fiber.join(third)).item, 3)
        for (const waiter of [second, third]) yield* (yield* Fiber.join(waiter)).release
      })
    )

    it.effect("fails only the get that started it when several do", () =>
      Effect.gen(function* () {
        const all = items((n) =>
          n === 2 ? Effect.delay(Effect.fail("failure"), "1 second") : Effect.sleep("2 seconds")
        )
        const pool = yield* makePool(all, { max: 3 })
        const waiters = yield* Effect.replicateEffect(
          Effect.forkChild(Effect.exit(Effect.scoped(ResourcePool.get(pool)))),
          3
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(waiters.map(isDone), [false, true, false])
        assert.deepStrictEqual(yield* Fiber.join(waiters[1]!), Exit.fail("failure"))
        yield* TestClock.adjust("1 second")
        assert.isTrue(waiters.every(isDone))
      })
    )
  })

  describe("closing its scope", () => {
    it.effect("finalises idle items at once, leased ones when given back", () =>
      Effect.gen(function* () {
        const all = items()
        const { pool, close } = yield* closeable(makePool(all, { min: 3, max: 3 }))
        const [first, second] = [yield* lease(pool), yield* lease(pool)]
        const closing = yield* forkWaiting(close)
        assert.deepStrictEqual(all.closed, [3])
        yield* first.release
        assert.deepStrictEqual(all.closed, [3, first.item])
        assert.isFalse(isDone(closing))
        yield* second.release
        yield* Fiber.join(closing)
        assert.deepStrictEqual(all.closed, [3, first.item, second.item])
      })
    )

    it.effect("waits for the finalisers, which run side by side", () =>
      Effect.gen(function* () {
        const all = items(undefined, () => Effect.sleep("1 second"))
        const { close } = yield* closeable(makePool(all, { min: 3, max: 3 }))
        const closing = yield* forkWaiting(close)
        yield* TestClock.adjust("999 millis")
        assert.isFalse(isDone(closing))
        yield* TestClock.adjust("1 millis")
        assert.isTrue(isDone(closing))
      })
    )

    it.effect("fails those who wait at once, whatever they wait for, and those who come later", () =>
      Effect.gen(function* () {
        const all = items((n) => (n === 1 ? Effect.void : Effect.never))
        const { pool, close } = yield* closeable(makePool(all, { max: 2 }))
        const { release } = yield* lease(pool)
        const says = Effect.map(Effect.flip(Effect.scoped(ResourcePool.get(pool))), (error) => error._tag)
        // One waits for its creation, the other at the limit.
        const waiters = [yield* forkWaiting(says), yield* forkWaiting(says)]
        assert.isFalse(waiters.some(isDone))
        const closing = yield* forkWaiting(close)
        for (const waiter of waiters) assert.strictEqual(yield* Fiber.join(waiter), "PoolClosedError")
        assert.strictEqual(yield* says, "PoolClosedError")
        assert.isFalse(isDone(closing))
        yield* release
        yield* Fiber.join(closing)
        assert.strictEqual(yield* says, "PoolClosedError")
        assert.strictEqual(
          yield* ResourcePool.use(pool, () => Effect.void).pipe(
            Effect.flip,
            Effect.map(({ _tag }) => _tag)
          ),
          "PoolClosedError"
        )
      })
    )

    it.effect("interrupts creations in flight, and waits for what they had acquired", () =>
      Effect.gen(function* () {
        const finalised: Array<string> = []
        const acquire = Effect.addFinalizer(() =>
          Effect.delay(
            Effect.sync(() => finalised.push("part")),
            "1 second"
          )
        ).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => finalised.push("interrupted")))
        )
        const { close } = yield* closeable(ResourcePool.makeWithTTL({ acquire, min: 1, max: 1, timeToLive: "1 hour" }))
        const closing = yield* forkWaiting(close)
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(finalised, ["interrupted"])
        assert.isFalse(isDone(closing))
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(finalised, ["interrupted", "part"])
      })
    )

    it.effect("finalises an item whose creation could not be interrupted", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.uninterruptible(Effect.sleep("1 second")))
        const { close } = yield* closeable(
          makePool({ acquire: Effect.uninterruptible(all.acquire) }, { min: 1, max: 1 })
        )
        const closing = yield* forkWaiting(close)
        yield* TestClock.adjust("999 millis")
        assert.isFalse(isDone(closing))
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("leaves no sleep behind, whatever the pool was waiting for", () =>
      Effect.gen(function* () {
        const clock = yield* Clock.clockWith(Effect.succeed)
        let asleep = 0
        const counting: Clock.Clock = Object.create(clock, {
          sleep: {
            value: (duration: Duration.Duration) =>
              Effect.acquireUseRelease(
                Effect.sync(() => asleep++),
                () => clock.sleep(duration),
                () => Effect.sync(() => asleep--)
              )
          }
        })
        for (const timeToLiveStrategy of ["usage", "creation"] as const) {
          for (const isFailing of [false, true]) {
            const all = items(() => (isFailing ? Effect.fail("failure") : Effect.void))
            const { pool, close } = yield* closeable(
              makePool(all, { min: 1, max: 2, timeToLive: "1 hour", timeToLiveStrategy })
            ).pipe(withClock(counting))
            yield* Effect.ignore(Effect.scoped(Effect.zip(ResourcePool.get(pool), ResourcePool.get(pool))))
            yield* settle
            assert.isAbove(asleep, 0)
            yield* close
            yield* settle
            assert.strictEqual(asleep, 0)
          }
        }
      })
    )

    it.effect("stops trying to make min", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.fail("failure"))
        const { close } = yield* closeable(makePool(all, { min: 1, max: 1 }))
        yield* close
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(all.started, 1)
      })
    )

    it.effect("lets go of a pool that was made in a scope that is closed already", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.close(scope, Exit.void)
        const all = items()
        const pool = yield* Scope.provide(makePool(all, { min: 1, max: 1 }), scope)
        yield* settle
        assert.deepStrictEqual(all.existing, [])
        assert.strictEqual((yield* Effect.flip(Effect.scoped(ResourcePool.get(pool))))._tag, "PoolClosedError")
      })
    )
  })

  it("has these types", () => {
    class Service extends Context.Service<Service, string>()("Service") {}
    const acquire = Effect.andThen(Service, Effect.fail("failure" as const)).pipe(Effect.as(1))
    expectTypeOf(ResourcePool.makeWithTTL({ acquire, min: 0, max: 1, timeToLive: 1_000 })).toEqualTypeOf<
      Effect.Effect<ResourcePool.ResourcePool<number, "failure">, never, Scope.Scope | Service>
    >()
    expectTypeOf(
      ResourcePool.makeWithTTL({
        acquire: Effect.succeed(1),
        min: 0,
        max: 1,
        concurrency: undefined,
        targetUtilization: undefined,
        timeToLive: "1 second",
        timeToLiveStrategy: undefined
      })
    ).toEqualTypeOf<Effect.Effect<ResourcePool.ResourcePool<number>, never, Scope.Scope>>()
    // What Effect's pool takes, this one takes.
    expectTypeOf<Parameters<typeof Pool.make>[0]>().toExtend<Parameters<typeof ResourcePool.make>[0]>()
    expectTypeOf<Parameters<typeof Pool.makeWithTTL>[0]>().toExtend<Parameters<typeof ResourcePool.makeWithTTL>[0]>()
  })
})
