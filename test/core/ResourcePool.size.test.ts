import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { makeInherited } from "#support/fibers"
import { logger } from "#support/telemetry"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { closeable, forkWaiting, isDone, items, type Lease, lease, makePool, settle } from "./support/resourcePool.js"

describe("make", () => {
  it.effect("makes all items ahead, at once, and does not wait for them", () =>
    Effect.gen(function* () {
      const all = items(() => Effect.sleep("1 second"))
      yield* ResourcePool.make({ acquire: all.acquire, size: 10 })
      assert.strictEqual(all.started, 10)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(all.made, [])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(all.made.length, 10)
    })
  )

  it.effect("makes no more than that, and keeps them for ever", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* ResourcePool.make({ acquire: all.acquire, size: 2 })
      const leases = [yield* lease(pool), yield* lease(pool)]
      const waiter = yield* forkWaiting(lease(pool))
      assert.isFalse(isDone(waiter))
      for (const { release } of leases) yield* release
      yield* (yield* Fiber.join(waiter)).release
      yield* TestClock.adjust("365 days")
      assert.deepStrictEqual(all.existing, [1, 2])
      assert.strictEqual(all.started, 2)
    })
  )

  it.effect("lends one item as often as concurrency says", () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ acquire: items().acquire, size: 1, concurrency: 3 })
      const leases = yield* Effect.replicateEffect(lease(pool), 3)
      const waiter = yield* forkWaiting(lease(pool))
      assert.isFalse(isDone(waiter))
      yield* leases[0]!.release
      assert.strictEqual((yield* Fiber.join(waiter)).item, 1)
      for (const { release } of [...leases.slice(1), yield* Fiber.join(waiter)]) yield* release
    })
  )

  class Service extends Context.Service<Service, string>()("Service") {}

  it.effect("gives acquire the services and fiber refs that were there when the pool was made", () =>
    Effect.gen(function* () {
      const inherited = makeInherited("neither")
      const acquire = Effect.zip(Service, inherited.get)
      const pool = yield* ResourcePool.makeWithTTL({ acquire, min: 1, max: 2, timeToLive: "1 hour" }).pipe(
        Effect.provideService(Service, "of the pool"),
        inherited.set("of the pool")
      )
      // The first is made ahead, the second for this `get`.
      const got = yield* Effect.replicateEffect(ResourcePool.get(pool), 2).pipe(
        Effect.provideService(Service, "of the get"),
        inherited.set("of the get")
      )
      assert.deepStrictEqual(got, [
        ["of the pool", "of the pool"],
        ["of the pool", "of the pool"]
      ])
    })
  )

  it("needs no other fiber to run while acquire is synchronous", () => {
    const all = items()
    const program = Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ acquire: all.acquire, size: 2 })
      const used = yield* ResourcePool.use(pool, Effect.succeed)
      const got = yield* ResourcePool.get(pool)
      return [used, got]
    })
    assert.deepStrictEqual(Effect.runSync(Effect.scoped(program)), [1, 1])
    assert.sameMembers(all.closed, [1, 2])
  })

  it("has these types", () => {
    const acquire = Effect.andThen(Service, Effect.fail("failure" as const)).pipe(Effect.as(1))
    expectTypeOf(ResourcePool.make({ acquire, size: 1 })).toEqualTypeOf<
      Effect.Effect<ResourcePool.ResourcePool<number, "failure">, never, Scope.Scope | Service>
    >()
    expectTypeOf(
      ResourcePool.make({ acquire: Effect.succeed(1), size: 1, concurrency: undefined, targetUtilization: undefined })
    ).toEqualTypeOf<Effect.Effect<ResourcePool.ResourcePool<number>, never, Scope.Scope>>()
    expectTypeOf(ResourcePool.make({ acquire: items().acquire, size: 1 })).toEqualTypeOf<
      Effect.Effect<ResourcePool.ResourcePool<number>, never, Scope.Scope>
    >()
  })
})

describe("makeWithTTL", () => {
  describe("size", () => {
    it.effect("starts with min items and grows on demand", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 1, max: 3 })
        assert.strictEqual(all.started, 1)
        yield* ResourcePool.get(pool)
        assert.strictEqual(all.started, 1)
        yield* ResourcePool.get(pool)
        assert.strictEqual(all.started, 2)
      })
    )

    it.effect("makes no more than max items though min says so", () =>
      Effect.gen(function* () {
        const all = items()
        yield* makePool(all, { min: 5, max: 3 })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(all.started, 3)
      })
    )

    it.effect("starts as many creations at once as there are waiters", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("1 second"))
        const pool = yield* makePool(all, { max: 4 })
        const waiters = yield* Effect.replicateEffect(Effect.forkChild(lease(pool)), 6)
        yield* settle
        assert.strictEqual(all.started, 4)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(waiters.map(isDone), [true, true, true, true, false, false])
        for (const waiter of waiters) yield* (yield* Fiber.join(waiter)).release
        assert.strictEqual(all.started, 4)
      })
    )

    it.effect("counts an item that is still being finalised", () =>
      Effect.gen(function* () {
        const all = items(undefined, () => Effect.sleep("1 second"))
        const { pool, close } = yield* closeable(makePool(all, { max: 1 }))
        yield* ResourcePool.invalidate(pool, yield* Effect.scoped(ResourcePool.get(pool)))
        const waiter = yield* forkWaiting(lease(pool))
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(all.started, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(all.started, 2)
        yield* (yield* Fiber.join(waiter)).release
        const closing = yield* forkWaiting(close)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
        assert.strictEqual(all.most, 1)
      })
    )

    it.effect("loses a place to a finaliser that hangs, and no more than that", () =>
      Effect.gen(function* () {
        const all = items(undefined, (n) => (n === 1 ? Effect.never : Effect.void))
        // Closing this pool would take for ever.
        const { pool } = yield* closeable(makePool(all, { max: 2 }))
        yield* ResourcePool.invalidate(pool, yield* Effect.scoped(ResourcePool.get(pool)))
        const { item, release } = yield* lease(pool)
        assert.strictEqual(item, 2)
        const waiter = yield* forkWaiting(lease(pool))
        yield* TestClock.adjust("1 hour")
        assert.isFalse(isDone(waiter))
        yield* release
        assert.strictEqual((yield* Fiber.join(waiter)).item, 2)
        assert.strictEqual(all.started, 2)
      })
    )

    it.effect("gets a place back from a finaliser with a defect, and logs it", () =>
      Effect.gen(function* () {
        const logged: Array<string> = []
        const all = items(undefined, (n) => (n === 1 ? Effect.die("a defect") : Effect.void))
        const pool = yield* Effect.provide(
          makePool(all, { max: 1 }),
          logger(({ cause, message }) => logged.push(`${message}: ${cause}`))
        )
        yield* ResourcePool.invalidate(pool, yield* Effect.scoped(ResourcePool.get(pool)))
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), 2)
        assert.strictEqual(logged.length, 1)
        assert.include(logged[0]!, "a defect")
      })
    )
  })

  describe("concurrency", () => {
    it.effect("fills the fullest item first", () =>
      Effect.gen(function* () {
        const pool = yield* makePool(items(), { min: 3, max: 3, concurrency: 3 })
        const leases: Array<Lease<number>> = []
        for (let i = 0; i < 8; i++) leases.push(yield* lease(pool))
        assert.deepStrictEqual(
          leases.map(({ item }) => item),
          [1, 1, 1, 2, 2, 2, 3, 3]
        )
        // Now 1 has one lease, 2 has two, and 3 has none.
        for (const i of [0, 1, 3, 6, 7]) yield* leases[i]!.release
        const more = yield* Effect.replicateEffect(lease(pool), 4)
        assert.deepStrictEqual(
          more.map(({ item }) => item),
          [2, 1, 1, 3]
        )
        for (const { release } of [...leases, ...more]) yield* release
      })
    )

    it.effect("starts one creation for as many waiters as an item can serve", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("1 second"))
        const pool = yield* makePool(all, { max: 10, concurrency: 3 })
        const waiters = yield* Effect.replicateEffect(Effect.forkChild(Effect.scoped(ResourcePool.get(pool))), 7)
        yield* settle
        assert.strictEqual(all.started, 3)
        yield* TestClock.adjust("1 second")
        assert.isTrue(waiters.every(isDone))
      })
    )

    // Only the end of an item's last lease served those who waited.
    it.effect("serves a waiter as soon as one of an item's leases ends", () =>
      Effect.gen(function* () {
        const pool = yield* makePool(items(), { max: 1, concurrency: 2 })
        const [first, second] = [yield* lease(pool), yield* lease(pool)]
        const waiter = yield* forkWaiting(lease(pool))
        assert.isFalse(isDone(waiter))
        yield* first.release
        yield* settle
        assert.isTrue(isDone(waiter))
        yield* second.release
        yield* (yield* Fiber.join(waiter)).release
      })
    )

    it.effect("may be infinite", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 5, concurrency: Number.POSITIVE_INFINITY })
        yield* Effect.replicateEffect(ResourcePool.get(pool), 1_000)
        assert.strictEqual(all.started, 1)
      })
    )

    it.effect("is rounded down, to one at the least", () =>
      Effect.gen(function* () {
        for (const [concurrency, leases] of [
          [2.9, 2],
          [0, 1],
          [-1, 1]
        ] as const) {
          const all = items()
          const pool = yield* makePool(all, { max: 5, concurrency })
          yield* Effect.replicateEffect(ResourcePool.get(pool), leases)
          assert.strictEqual(all.started, 1, `concurrency: ${concurrency}`)
          yield* ResourcePool.get(pool)
          assert.strictEqual(all.started, 2, `concurrency: ${concurrency}`)
        }
      })
    )
  })

  describe("targetUtilization", () => {
    for (const [targetUtilization, leases, expected] of [
      [1, 2, 2],
      [0.5, 1, 2],
      [0.5, 3, 6],
      [0.75, 3, 4],
      [0.01, 1, 10],
      [7, 2, 2]
    ] as const) {
      it.effect(`has ${expected} items made for ${leases} leases when it is ${targetUtilization}`, () =>
        Effect.gen(function* () {
          const all = items()
          const pool = yield* makePool(all, { max: 20, targetUtilization })
          yield* Effect.replicateEffect(ResourcePool.get(pool), leases)
          assert.strictEqual(all.started, expected)
        })
      )
    }

    // It filled one item to the last place and left the others idle.
    it.effect("fills items to it one after the other, and beyond it level", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 2, concurrency: 4, targetUtilization: 0.5 })
        const leases = yield* Effect.replicateEffect(lease(pool), 8)
        // Beyond the target a second one is made, which fills to it before both fill level.
        assert.deepStrictEqual(
          leases.map(({ item }) => item),
          [1, 1, 1, 2, 2, 2, 1, 2]
        )
        // Below it the fullest comes first: the other one becomes idle.
        for (const nth of [0, 1, 2, 3, 4, 5, 7]) yield* leases[nth]!.release
        const last = [yield* lease(pool), yield* lease(pool)]
        assert.deepStrictEqual(
          last.map(({ item }) => item),
          [1, 2]
        )
        for (const { release } of [leases[6]!, ...last]) yield* release
      })
    )

    // 21 / 0.7 / 10 is a little more than 3.
    it.effect("makes no item for what is only the noise of a fraction", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 20, concurrency: 10, targetUtilization: 0.7 })
        yield* Effect.replicateEffect(ResourcePool.get(pool), 21)
        assert.strictEqual(all.started, 3)
      })
    )

    it.effect("never makes more than max", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 3, targetUtilization: 0.5 })
        yield* Effect.replicateEffect(ResourcePool.get(pool), 2)
        assert.strictEqual(all.started, 3)
      })
    )

    // The spare item was closed every timeToLive, and made again at once.
    it.effect("keeps its spare items while the leases last, and lets them go afterwards", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 5, targetUtilization: 0.5, timeToLive: "1 second" })
        const { release } = yield* lease(pool)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(all.started, 2)
        assert.deepStrictEqual(all.existing, [1, 2])
        yield* release
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(all.existing, [])
      })
    )
  })
})
