import type { PoolClosedError } from "effect-websocket-pool/PoolError"
import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Cause from "#effect/Cause"
import * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Pool from "#effect/Pool"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { effectsPool } from "#support/effectsPool"
import { failuresOf, poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { closeable, forkWaiting, isDone, items, leaseOf, settle, slow } from "./support/resourcePool.js"

interface AnyPool<A, E> {
  readonly get: Effect.Effect<A, E | PoolClosedError, Scope.Scope>
  readonly invalidate: (item: A) => Effect.Effect<void, never, Scope.Scope>
}

interface Implementation {
  readonly make: <A, E>(options: {
    readonly acquire: Effect.Effect<A, E, Scope.Scope>
    readonly min: number
    readonly max: number
    readonly concurrency?: number
    readonly timeToLive?: Duration.Input
  }) => Effect.Effect<AnyPool<A, E>, never, Scope.Scope>
}

const ours: Implementation = {
  make: (options) =>
    Effect.map(ResourcePool.makeWithTTL({ timeToLive: Duration.infinity, ...options }), (pool) => ({
      get: ResourcePool.get(pool),
      invalidate: (item) => ResourcePool.invalidate(pool, item)
    }))
}

const effects: Implementation = {
  make: (options) =>
    Effect.map(Pool.makeWithTTL({ timeToLive: Duration.infinity, ...options }), (pool) => ({
      get: Pool.get(pool),
      invalidate: (item) => Pool.invalidate(pool, item)
    }))
}

describe.each([
  ["ResourcePool", ours],
  ["Effect's Pool", effects]
] as const)("kept from Pool: %s", (_, implementation) => {
  it.effect("makes min items ahead", () =>
    Effect.gen(function* () {
      const all = items()
      yield* implementation.make({ acquire: all.acquire, min: 3, max: 5 })
      yield* settle
      assert.deepStrictEqual(all.made, [1, 2, 3])
    })
  )

  it.effect("grows to max on demand, and no further", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* implementation.make({ acquire: all.acquire, min: 1, max: 3 })
      const leases = yield* Effect.replicateEffect(leaseOf(pool.get), 3)
      assert.sameMembers(
        leases.map(({ item }) => item),
        [1, 2, 3]
      )
      const waiter = yield* forkWaiting(leaseOf(pool.get))
      assert.isFalse(isDone(waiter))
      assert.strictEqual(all.started, 3)

      yield* leases[1]!.release
      assert.strictEqual((yield* Fiber.join(waiter)).item, leases[1]!.item)
      for (const { release } of leases) yield* release
      yield* (yield* Fiber.join(waiter)).release
    })
  )

  it.effect("creates again when it is tried again after a failed creation", () =>
    Effect.gen(function* () {
      const all = items((n) => (n < 3 ? Effect.fail(`failure ${n}`) : Effect.void))
      const pool = yield* implementation.make({ acquire: all.acquire, min: 0, max: 1 })
      const get = Effect.scoped(pool.get)
      assert.strictEqual(yield* Effect.flip(get), "failure 1")
      assert.strictEqual(yield* Effect.flip(get), "failure 2")
      assert.strictEqual(yield* get, 3)
    })
  )

  it.effect("takes an item back when its scope closes", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* implementation.make({ acquire: all.acquire, min: 0, max: 1 })
      assert.strictEqual(yield* Effect.scoped(pool.get), 1)
      assert.strictEqual(yield* Effect.scoped(pool.get), 1)
      assert.deepStrictEqual(all.closed, [])
    })
  )

  it.effect("finalises an invalidated item when its last holder lets go, and replaces it up to min", () =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* implementation.make({ acquire: all.acquire, min: 1, max: 1, concurrency: 2 })
      yield* settle
      const [first, second] = [yield* leaseOf(pool.get), yield* leaseOf(pool.get)]
      assert.deepStrictEqual([first.item, second.item], [1, 1])
      yield* pool.invalidate(1)
      yield* first.release
      yield* settle
      assert.deepStrictEqual(all.closed, [])
      yield* second.release
      yield* settle
      assert.deepStrictEqual(all.closed, [1])
      assert.deepStrictEqual(all.existing, [2])
    })
  )

  it.effect("runs all finalisers though one of them has a defect", () =>
    Effect.gen(function* () {
      const all = items(undefined, (n) => (n === 2 ? Effect.die("defect") : Effect.void))
      const { close } = yield* closeable(implementation.make({ acquire: all.acquire, min: 3, max: 3 }))
      yield* settle
      yield* close
      assert.sameMembers(all.closed, [1, 2, 3])
    })
  )

  it.effect("finalises every item when its scope closes, and waits for those on loan", () =>
    Effect.gen(function* () {
      const all = items()
      const { pool, close } = yield* closeable(implementation.make({ acquire: all.acquire, min: 2, max: 2 }))
      yield* settle
      const { item, release } = yield* leaseOf(pool.get)
      const closing = yield* forkWaiting(close)
      assert.notInclude(all.closed, item)
      assert.strictEqual(all.closed.length, 1)
      yield* TestClock.adjust("1 hour")
      assert.isFalse(isDone(closing))
      yield* release
      yield* Fiber.join(closing)
      assert.sameMembers(all.closed, [1, 2])
    })
  )
})

/** How long something takes that starts now, if it ends within five seconds. */
const duration = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(Effect.andThen(Effect.exit(effect), Clock.currentTimeMillis))
    yield* TestClock.adjust("5 seconds")
    const end = poll(fiber)
    return end === undefined ? Number.POSITIVE_INFINITY : (yield* end) - start
  })

/** One measure for each of the seven points in which this pool wants to be better. */
const measures = {
  /** How long a `get` takes that is given up after 100 ms, on a creation of two seconds. */
  givingUp: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const pool = yield* make({ acquire: items(() => Effect.sleep("2 seconds")).acquire, min: 0, max: 1 })
      return yield* duration(Effect.timeout(Effect.scoped(pool.get), "100 millis"))
    }),

  /** How long a `get` takes whose creation is instant, next to one of two seconds. */
  nextToASlowCreation: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const pool = yield* make({ acquire: items(slow(1, "2 seconds")).acquire, min: 0, max: 2 })
      yield* forkWaiting(Effect.scoped(pool.get))
      return yield* duration(Effect.scoped(pool.get))
    }),

  /** How long a `get` takes that started a creation of two seconds, when an item is given back after 90 ms. */
  untilAnItemIsGivenBack: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const pool = yield* make({ acquire: items(slow(2, "2 seconds")).acquire, min: 0, max: 2 })
      const { release } = yield* leaseOf(pool.get)
      yield* Effect.forkChild(Effect.delay(release, "90 millis"))
      return yield* duration(Effect.scoped(pool.get))
    }),

  /** In which order one who waits and one who comes as an item is given back are served. */
  order: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const served: Array<string> = []
      const pool = yield* make({ acquire: items().acquire, min: 0, max: 1 })
      const getAs = (name: string) =>
        Effect.scoped(
          Effect.andThen(
            pool.get,
            Effect.sync(() => served.push(name))
          )
        )
      const { release } = yield* leaseOf(pool.get)
      const waiter = yield* forkWaiting(getAs("who waited"))
      yield* Effect.andThen(release, getAs("who came later"))
      yield* Fiber.join(waiter)
      return served
    }),

  /** What three `get`s say when making the first three items has failed, and making them would succeed by now. */
  afterFailures: ({ make }: Implementation) =>
    Effect.gen(function* () {
      let isUp = false
      const all = items(() => Effect.andThen(Effect.yieldNow, isUp ? Effect.void : Effect.fail("failure")))
      const pool = yield* make({ acquire: all.acquire, min: 3, max: 3 })
      yield* settle
      assert.strictEqual(all.started, 3)
      isUp = true
      return yield* Effect.replicateEffect(
        Effect.match(Effect.scoped(pool.get), { onFailure: String, onSuccess: () => "item" }),
        3
      )
    }),

  /** How many of three items to keep there are a minute after making them has failed, with nobody asking. */
  madeUpFor: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const all = items((n) => Effect.andThen(Effect.yieldNow, n > 3 ? Effect.void : Effect.fail("failure")))
      yield* make({ acquire: all.acquire, min: 3, max: 3 })
      yield* TestClock.adjust("1 minute")
      return all.existing.length
    }),

  /** How many items are made for one user who needs one every 70 ms, for 30 ms, with a time to live of 200 ms. */
  forOneInSteadyUse: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const all = items()
      const pool = yield* make({ acquire: all.acquire, min: 0, max: 5, timeToLive: "200 millis" })
      yield* Effect.scoped(Effect.andThen(pool.get, Effect.sleep("30 millis"))).pipe(
        Effect.andThen(Effect.sleep("40 millis")),
        Effect.forever,
        Effect.forkScoped
      )
      yield* TestClock.adjust("1500 millis")
      return all.started
    }),

  /** How many of three idle items are used by one user. */
  usedByOne: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const pool = yield* make({ acquire: items().acquire, min: 3, max: 3 })
      for (const { release } of yield* Effect.replicateEffect(leaseOf(pool.get), 3)) yield* release
      return new Set(yield* Effect.replicateEffect(Effect.scoped(pool.get), 6)).size
    }),

  /** How many items exist at most, at a limit of one, when finalising one takes two seconds. */
  most: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const all = items(undefined, () => Effect.sleep("2 seconds"))
      const pool = yield* make({ acquire: all.acquire, min: 0, max: 1 })
      const item = yield* Effect.scoped(pool.get)
      yield* Effect.forkChild(pool.invalidate(item))
      yield* forkWaiting(Effect.scoped(pool.get))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(all.made.length, 2)
      yield* Effect.addFinalizer(() => Effect.asVoid(Effect.forkChild(TestClock.adjust("2 seconds"))))
      return all.most
    }),

  /** What a `get` says that waits while the pool closes, and one that comes later. */
  closed: ({ make }: Implementation) =>
    Effect.gen(function* () {
      const { pool, close } = yield* closeable(make({ acquire: items().acquire, min: 1, max: 1 }))
      const { release } = yield* leaseOf(pool.get)
      const says = Effect.matchCause(Effect.scoped(pool.get), {
        onSuccess: () => "item",
        onFailure: (cause) =>
          failuresOf(cause)[0]?._tag ?? (Cause.hasInterrupts(cause) ? "interrupted" : "something else")
      })
      const waiter = yield* forkWaiting(says)
      const closing = yield* forkWaiting(close)
      yield* release
      yield* Fiber.join(closing)
      return [yield* Fiber.join(waiter), yield* says]
    })
}

describe("better than Effect's Pool", () => {
  it.effect("1. get is interrupted at once, a creation in flight included", () =>
    Effect.map(measures.givingUp(ours), (millis) => assert.strictEqual(millis, 100))
  )

  it.effect("2. one slow creation holds nobody else back", () =>
    Effect.map(measures.nextToASlowCreation(ours), (millis) => assert.strictEqual(millis, 0))
  )

  it.effect("3. a waiter takes whichever comes first, an item given back or one newly made", () =>
    Effect.map(measures.untilAnItemIsGivenBack(ours), (millis) => assert.strictEqual(millis, 90))
  )

  it.effect("3. nobody overtakes", () =>
    Effect.map(measures.order(ours), (served) => assert.deepStrictEqual(served, ["who waited", "who came later"]))
  )

  it.effect("4. failures are never kept", () =>
    Effect.map(measures.afterFailures(ours), (said) => assert.deepStrictEqual(said, ["item", "item", "item"]))
  )

  it.effect("4. making min is never given up", () =>
    Effect.map(measures.madeUpFor(ours), (count) => assert.strictEqual(count, 3))
  )

  it.effect("5. an item in steady use is not closed", () =>
    Effect.map(measures.forOneInSteadyUse(ours), (made) => assert.strictEqual(made, 1))
  )

  it.effect("5. the most recently used item comes first, so that the others go idle", () =>
    Effect.map(measures.usedByOne(ours), (count) => assert.strictEqual(count, 1))
  )

  it.effect("6. max bounds all items that exist, those included that are still being finalised", () =>
    Effect.map(measures.most(ours), (most) => assert.strictEqual(most, 1))
  )

  it.effect("7. a closed pool answers with PoolClosedError", () =>
    Effect.map(measures.closed(ours), (said) => assert.deepStrictEqual(said, ["PoolClosedError", "PoolClosedError"]))
  )
})

describe("Effect's Pool by the same measures", () => {
  it.effect(`1. get is interrupted after ${effectsPool.givingUp} ms`, () =>
    Effect.map(measures.givingUp(effects), (millis) => assert.strictEqual(millis, effectsPool.givingUp))
  )

  it.effect("2. a slow creation holds back who comes later", () =>
    Effect.map(measures.nextToASlowCreation(effects), (millis) =>
      assert.strictEqual(millis, effectsPool.nextToASlowCreation)
    )
  )

  it.effect(`3. an item given back is there after ${effectsPool.untilAnItemIsGivenBack} ms`, () =>
    Effect.map(measures.untilAnItemIsGivenBack(effects), (millis) =>
      assert.strictEqual(millis, effectsPool.untilAnItemIsGivenBack)
    )
  )

  it.effect(`3. the first to be served is ${effectsPool.order[0]}`, () =>
    Effect.map(measures.order(effects), (served) => assert.deepStrictEqual(served, effectsPool.order))
  )

  it.effect(`4. it says ${effectsPool.afterFailures[0]} after failures`, () =>
    Effect.map(measures.afterFailures(effects), (said) => assert.deepStrictEqual(said, effectsPool.afterFailures))
  )

  it.effect("4. making min is given up", () =>
    Effect.map(measures.madeUpFor(effects), (count) => assert.strictEqual(count, 0))
  )

  it.effect("5. items in steady use", () =>
    Effect.map(measures.forOneInSteadyUse(effects), (made) =>
      assert.strictEqual(made > 1, effectsPool.closesWhatIsUsed)
    )
  )

  it.effect(`5. one user uses ${effectsPool.usedByOne} of three items`, () =>
    Effect.map(measures.usedByOne(effects), (count) => assert.strictEqual(count, effectsPool.usedByOne))
  )

  it.effect("6. more than max items exist", () =>
    Effect.map(measures.most(effects), (most) => assert.strictEqual(most, 2))
  )

  it.effect("7. a closed pool interrupts", () =>
    Effect.map(measures.closed(effects), (said) => assert.deepStrictEqual(said, ["interrupted", "interrupted"]))
  )
})
