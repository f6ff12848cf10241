import type { PoolClosedError } from "effect-websocket-pool/PoolError"
import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import { pipe } from "#effect/Function"
import * as Pool from "#effect/Pool"
import * as TestClock from "#effect/testing/TestClock"
import { isInterruptibleHere } from "#support/fibers"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { closeable, forkWaiting, isDone, items, lease, makePool, settle } from "./support/resourcePool.js"

describe("use", () => {
  it.effect("lends an item for the length of an effect, and gives its result", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const user = yield* forkWaiting(
        ResourcePool.use(pool, (item) => Effect.as(Effect.sleep("1 second"), `used ${item}`))
      )
      const next = yield* forkWaiting(Effect.scoped(ResourcePool.get(pool)))
      yield* TestClock.adjust("999 millis")
      assert.isFalse(isDone(next))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isDone(next))
      assert.strictEqual(yield* Fiber.join(user), "used 1")
    })
  )

  it.effect("takes the pool first or last", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      assert.strictEqual(yield* ResourcePool.use(pool, (item) => Effect.succeed(item + 1)), 2)
      assert.strictEqual(
        yield* pipe(
          pool,
          ResourcePool.use((item) => Effect.succeed(item + 1))
        ),
        2
      )
    })
  )

  for (const [how, f, exit] of [
    ["fails", () => Effect.fail("failure"), Exit.fail("failure")],
    ["dies", () => Effect.die("defect"), Exit.die("defect")],
    [
      "throws before there is one",
      () => {
        throw "thrown"
      },
      Exit.die("thrown")
    ]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<never, string>, Exit.Exit<never, string>]>) {
    it.effect(`takes the item back when the effect ${how}`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool(items(), { max: 1 })
        assert.deepStrictEqual(yield* Effect.exit(ResourcePool.use(pool, f)), exit)
        assert.strictEqual(yield* ResourcePool.use(pool, Effect.succeed), 1)
      })
    )
  }

  it.effect("takes the item back when the effect is interrupted, after it has cleaned up", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const user = yield* forkWaiting(
        ResourcePool.use(pool, () => Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second")))
      )
      const next = yield* forkWaiting(ResourcePool.use(pool, Effect.succeed))
      const interrupting = yield* forkWaiting(Fiber.interrupt(user))
      yield* TestClock.adjust("999 millis")
      assert.isFalse(isDone(next))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(next), 1)
      yield* Fiber.join(interrupting)
    })
  )

  it.effect("leaves the effect interruptible as it was", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const isInterruptible = ResourcePool.use(pool, () => isInterruptibleHere)
      assert.isTrue(yield* isInterruptible)
      assert.isFalse(yield* Effect.uninterruptible(isInterruptible))
    })
  )

  it.effect("waits in the same line as get", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const holder = yield* lease(pool)
      const served: Array<string> = []
      const waiters = [
        yield* forkWaiting(ResourcePool.use(pool, () => Effect.sync(() => served.push("use")))),
        yield* forkWaiting(Effect.scoped(Effect.map(ResourcePool.get(pool), () => served.push("get")))),
        yield* forkWaiting(ResourcePool.use(pool, () => Effect.sync(() => served.push("use again"))))
      ]
      yield* holder.release
      for (const waiter of waiters) yield* Fiber.join(waiter)
      assert.deepStrictEqual(served, ["use", "get", "use again"])
    })
  )

  it("has these types", () => {
    class Service extends Context.Service<Service, string>()("Service") {}
    const f = (item: number) => Effect.map(Effect.andThen(Service, Effect.fail("of f" as const)), () => `${item}`)
    type Expected = Effect.Effect<string, "failure" | "of f" | PoolClosedError, Service>
    const first = (pool: ResourcePool.ResourcePool<number, "failure">) => ResourcePool.use(pool, f)
    const last = (pool: ResourcePool.ResourcePool<number, "failure">) => pipe(pool, ResourcePool.use(f))
    expectTypeOf(first).returns.toEqualTypeOf<Expected>()
    expectTypeOf(last).returns.toEqualTypeOf<Expected>()
  })
})

describe("invalidate", () => {
  it.effect("finalises an idle item at once, and replaces it up to min", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { min: 1, max: 2 })
      yield* ResourcePool.invalidate(pool, 1)
      assert.deepStrictEqual(all.closed, [1])
      assert.deepStrictEqual(all.existing, [2])
    })
  )

  it.effect("does not replace an item beyond min", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { max: 2 })
      yield* ResourcePool.invalidate(pool, yield* Effect.scoped(ResourcePool.get(pool)))
      assert.deepStrictEqual(all.existing, [])
      assert.strictEqual(all.started, 1)
    })
  )

  it.effect(
    "lends a leased item no more, finalises it when its last holder lets go, and makes its replacement before",
    () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 1, max: 2, concurrency: 3 })
        const [first, second] = [yield* lease(pool), yield* lease(pool)]
        assert.deepStrictEqual([first.item, second.item], [1, 1])
        yield* ResourcePool.invalidate(pool, 1)
        assert.deepStrictEqual(all.existing, [1, 2])
        const third = yield* lease(pool)
        assert.strictEqual(third.item, 2)
        yield* first.release
        assert.deepStrictEqual(all.closed, [])
        yield* second.release
        assert.deepStrictEqual(all.closed, [1])
        yield* third.release
      })
  )

  it.effect("takes the pool first or last", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { min: 2, max: 2 })
      yield* ResourcePool.invalidate(pool, 1)
      yield* pipe(pool, ResourcePool.invalidate(2))
      assert.deepStrictEqual(all.closed, [1, 2])
    })
  )

  it.effect("does nothing about an item that the pool does not know, or knows no more", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* makePool(all, { min: 1, max: 1 })
      yield* ResourcePool.invalidate(pool, 99)
      yield* ResourcePool.invalidate(pool, 1)
      yield* ResourcePool.invalidate(pool, 1)
      assert.deepStrictEqual(all.closed, [1])
      assert.deepStrictEqual(all.existing, [2])
    })
  )

  it.effect("happens once to an item that is finalised or on loan", () =>
    Effect.gen(function* () {
      const all = items(undefined, () => Effect.sleep("1 second"))
      const { pool, close } = yield* closeable(makePool(all, { max: 1 }))
      const { release } = yield* lease(pool)
      yield* ResourcePool.invalidate(pool, 1)
      yield* ResourcePool.invalidate(pool, 1)
      yield* release
      yield* ResourcePool.invalidate(pool, 1)
      assert.deepStrictEqual(all.closing, [1])
      const closing = yield* forkWaiting(close)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(all.closed, [1])
    })
  )

  it.effect("takes one of several equal items, each time another", () =>
    Effect.gen(function* () {
      let closed = 0
      const acquire = Effect.as(
        Effect.addFinalizer(() => Effect.sync(() => closed++)),
        "item"
      )
      const pool = yield* ResourcePool.makeWithTTL({ acquire, min: 0, max: 4, timeToLive: "1 hour" })
      const leases = yield* Effect.replicateEffect(lease(pool), 4)
      yield* ResourcePool.invalidate(pool, "item")
      yield* ResourcePool.invalidate(pool, "item")
      for (const { release } of leases) yield* release
      assert.strictEqual(closed, 2)
      yield* ResourcePool.invalidate(pool, "item")
      assert.strictEqual(closed, 3)
    })
  )

  // It took an item that was still being made for the item undefined.
  it.effect("leaves alone what is being made, whatever the item is", () =>
    Effect.gen(function* () {
      let closed = 0
      const acquire = Effect.andThen(
        Effect.sleep("1 second"),
        Effect.as(
          Effect.addFinalizer(() => Effect.sync(() => closed++)),
          undefined
        )
      )
      const pool = yield* ResourcePool.make({ acquire, size: 1 })
      yield* settle
      yield* ResourcePool.invalidate(pool, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(closed, 0)
      yield* ResourcePool.invalidate(pool, undefined)
      assert.strictEqual(closed, 1)
      yield* TestClock.adjust("1 second")
    })
  )

  it.effect("serves those who wait for the place", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      const { item, release } = yield* lease(pool)
      const waiter = yield* forkWaiting(ResourcePool.use(pool, Effect.succeed))
      yield* ResourcePool.invalidate(pool, item)
      yield* release
      assert.strictEqual(yield* Fiber.join(waiter), 2)
    })
  )

  it("has these types", () => {
    const first = (pool: ResourcePool.ResourcePool<number, "failure">) => ResourcePool.invalidate(pool, 1)
    const last = (pool: ResourcePool.ResourcePool<number, "failure">) => pipe(pool, ResourcePool.invalidate(1))
    expectTypeOf(first).returns.toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf(last).returns.toEqualTypeOf<Effect.Effect<void>>()
  })
})

describe("isResourcePool", () => {
  it.effect("tells a ResourcePool from everything else", () =>
    Effect.gen(function* () {
      assert.isTrue(ResourcePool.isResourcePool(yield* makePool(items(), { max: 1 })))
      assert.isFalse(ResourcePool.isResourcePool(yield* Pool.make({ acquire: Effect.void, size: 1 })))
      for (const other of [undefined, null, 1, "pool", {}, []]) assert.isFalse(ResourcePool.isResourcePool(other))
    })
  )

  it("narrows", () => {
    expectTypeOf(ResourcePool.isResourcePool).guards.toEqualTypeOf<ResourcePool.ResourcePool<unknown, unknown>>()
  })
})

describe("ResourcePool", () => {
  it("is invariant in its items and covariant in its error", () => {
    expectTypeOf<ResourcePool.ResourcePool<number, "a">>().toExtend<ResourcePool.ResourcePool<number, string>>()
    expectTypeOf<ResourcePool.ResourcePool<number>>().toExtend<ResourcePool.ResourcePool<number, string>>()
    expectTypeOf<ResourcePool.ResourcePool<number, string>>().not.toExtend<ResourcePool.ResourcePool<number, "a">>()
    expectTypeOf<ResourcePool.ResourcePool<1>>().not.toExtend<ResourcePool.ResourcePool<number>>()
    expectTypeOf<ResourcePool.ResourcePool<number>>().not.toExtend<ResourcePool.ResourcePool<1>>()
  })

  it.effect("can be piped, as Effect's Pool can", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(items(), { max: 1 })
      assert.strictEqual(yield* pool.pipe(ResourcePool.get, Effect.scoped), 1)
      assert.strictEqual(yield* pool.pipe(ResourcePool.use(Effect.succeed)), 1)
      assert.strictEqual(pool.pipe(), pool)
    })
  )

  it("is marked with TypeId", () => {
    assert.strictEqual<symbol>(ResourcePool.TypeId, Symbol.for("effect-websocket-pool/ResourcePool"))
    expectTypeOf<ResourcePool.TypeId>().toEqualTypeOf<typeof ResourcePool.TypeId>()
  })
})

/** Runs fibers, and does something at one of their operations, whichever fiber it belongs to. */
