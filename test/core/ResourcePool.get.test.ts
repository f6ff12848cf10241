import type { PoolClosedError } from "effect-websocket-pool/PoolError"
import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as fc from "fast-check"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow } from "#support/fibers"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { forkWaiting, isDone, items, lease, makePool, settle } from "./support/resourcePool.js"

describe("get", () => {
  it.effect("takes the most recently used idle item first, then those never used, in the order of their making", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { min: 4, max: 4 })
      const [first, second] = [yield* lease(pool), yield* lease(pool)]
      yield* second.release
      yield* first.release
      const got = yield* Effect.replicateEffect(ResourcePool.get(pool), 4)
      assert.deepStrictEqual(got, [1, 2, 3, 4])
      assert.deepStrictEqual([first.item, second.item], [1, 2])
    })
  )

  it.effect("serves waiters first come, first served, for any pattern of cancellations", () =>
    Effect.gen(function* () {
      const count = 100
      const cancelled = fc.sample(fc.array(fc.nat(3), { minLength: count, maxLength: count }), { numRuns: 3, seed: 42 })
      for (const pattern of cancelled) {
        const pool = yield* makePool(items(), { max: 1 })
        const holder = yield* lease(pool)
        const served: Array<number> = []
        const waiters = yield* Effect.forEach(pattern, (_, i) =>
          Effect.forkChild(
            ResourcePool.use(pool, () =>
              Effect.andThen(
                Effect.sync(() => served.push(i)),
                Effect.yieldNow
              )
            )
          )
        )
        yield* settle
        const cancel = (kind: number) =>
          Effect.sync(() => {
            for (const [i, waiter] of waiters.entries()) {
              if (pattern[i] === kind) interruptNow(waiter)
            }
          })
        // Some before, some together with the hand-off, and some while the others are being served.
        yield* cancel(0)
        yield* settle
        yield* Effect.andThen(holder.release, cancel(1))
        for (const waiter of waiters) yield* Fiber.await(waiter)
        const survivors = Array.from(pattern.keys()).filter((i) => pattern[i]! > 1)
        assert.deepStrictEqual(served, survivors)
        assert.isAbove(survivors.length, 30)
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 1)
      }
    })
  )

  it.effect("gives an item to the next in line when it is interrupted the instant after the hand-off", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const holder = yield* lease(pool)
      const used: Array<string> = []
      const waitAs = (name: string) => forkWaiting(ResourcePool.use(pool, () => Effect.sync(() => used.push(name))))
      const [first, second] = [yield* waitAs("first"), yield* waitAs("second")]
      yield* Effect.andThen(
        holder.release,
        Effect.sync(() => interruptNow(first))
      )
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(first)))
      yield* Fiber.join(second)
      assert.deepStrictEqual(used, ["second"])
    })
  )

  it.effect("gets another item when its own is invalidated the instant after the hand-off", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { max: 1 })
      const { item, release } = yield* lease(pool)
      const waiter = yield* forkWaiting(ResourcePool.use(pool, Effect.succeed))
      yield* Effect.andThen(release, ResourcePool.invalidate(pool, item))
      assert.strictEqual(yield* Fiber.join(waiter), 2)
      assert.deepStrictEqual(all.existing, [2])
    })
  )

  it.effect("lets an item idle when it is interrupted the instant after the hand-off, with nobody else in line", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { max: 1, timeToLive: "1 second" })
      const holder = yield* lease(pool)
      const waiter = yield* forkWaiting(lease(pool))
      yield* Effect.andThen(
        holder.release,
        Effect.sync(() => interruptNow(waiter))
      )
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiter)))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(all.existing, [1])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(all.existing, [])
    })
  )

  it.effect("leaves its creation to the next in line when it is interrupted", () =>
    Effect.gen(function* () {
      const all = items(() => Effect.sleep("1 second"))
      const pool = yield* makePool(all, { max: 1 })
      const first = yield* forkWaiting(lease(pool))
      yield* TestClock.adjust("500 millis")
      const second = yield* forkWaiting(lease(pool))
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("499 millis")
      assert.isFalse(isDone(second))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(second)).item, 1)
      assert.strictEqual(all.started, 1)
      yield* (yield* Fiber.join(second)).release
    })
  )

  it.effect("leaves its creation to whoever comes later when it is interrupted", () =>
    Effect.gen(function* () {
      const all = items(() => Effect.sleep("1 second"))
      const pool = yield* makePool(all, { max: 1 })
      yield* Fiber.interrupt(yield* forkWaiting(lease(pool)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 1)
    })
  )

  it.effect("waits on in a region that cannot be interrupted", () =>
    Effect.gen(function* () {
      const used: Array<number> = []
      const pool = yield* makePool(
        items(() => Effect.sleep("1 second")),
        { max: 1 }
      )
      const waiter = yield* forkWaiting(
        Effect.uninterruptible(Effect.scoped(Effect.map(ResourcePool.get(pool), (item) => used.push(item))))
      )
      const interrupting = yield* forkWaiting(Fiber.interrupt(waiter))
      yield* TestClock.adjust("999 millis")
      assert.isFalse(isDone(interrupting))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(used, [1])
    })
  )

  it.effect("gives an item back at once when its scope is closed already", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Scope.provide(ResourcePool.get(pool), scope), 1)
      assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 1)
    })
  )

  it.effect("may be run again and again, for as many leases", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 2 })
      const get = ResourcePool.get(pool)
      assert.deepStrictEqual(yield* Effect.scoped(Effect.all([get, get])), [1, 2])
      assert.deepStrictEqual(yield* Effect.scoped(Effect.all([get, get])), [1, 2])
    })
  )

  it("has this type", () => {
    const get = (pool: ResourcePool.ResourcePool<number, "failure">) => ResourcePool.get(pool)
    expectTypeOf(get).returns.toEqualTypeOf<Effect.Effect<number, "failure" | PoolClosedError, Scope.Scope>>()
  })
})

describe("the line", () => {
  it.effect("is not overtaken when an item is invalidated the instant after the hand-off", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const { item, release } = yield* lease(pool)
      const served: Array<string> = []
      const waitAs = (name: string) =>
        forkWaiting(ResourcePool.use(pool, (n) => Effect.sync(() => served.push(`${name} ${n}`))))
      const first = yield* waitAs("first")
      const second = yield* waitAs("second")
      yield* Effect.andThen(release, ResourcePool.invalidate(pool, item))
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(served, ["first 2", "second 2"])
    })
  )
})
