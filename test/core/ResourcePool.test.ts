import type { PoolClosedError } from "effect-websocket-pool/PoolError"
import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as fc from "fast-check"
import * as Cause from "#effect/Cause"
import * as Clock from "#effect/Clock"
import * as Context from "#effect/Context"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import { pipe } from "#effect/Function"
import * as Pool from "#effect/Pool"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { effectsPool } from "#support/effectsPool"
import type { Steps } from "#support/fibers"
import {
  failuresOf,
  forkStepwise,
  interruptNow,
  isInterruptibleHere,
  makeInherited,
  poll,
  randomly,
  seeded,
  withClock,
  withoutMicrotasks
} from "#support/fibers"
import { logger } from "#support/telemetry"
import { assert, describe, expectTypeOf, it } from "#support/vitest"

// Fixtures

/** Items 1, 2, 3, … and what became of them. */
class Items<E = never> {
  started = 0
  readonly made: Array<number> = []
  readonly closed: Array<number> = []
  /** How many existed at most, those included that were still being finalised. */
  most = 0
  /** Items whose finaliser has been started. */
  readonly closing: Array<number> = []

  constructor(
    private readonly making: (n: number) => Effect.Effect<unknown, E> = () => Effect.void,
    private readonly finalising: (n: number) => Effect.Effect<unknown> = () => Effect.void
  ) {}

  get existing(): Array<number> {
    return this.made.filter((n) => !this.closed.includes(n))
  }

  readonly acquire: Effect.Effect<number, E, Scope.Scope> = Effect.suspend(() => {
    const n = ++this.started
    return Effect.andThen(
      this.making(n),
      Effect.andThen(
        Effect.addFinalizer(() => this.finalise(n)),
        Effect.sync(() => {
          this.made.push(n)
          this.most = Math.max(this.most, this.existing.length)
          return n
        })
      )
    )
  })

  private finalise(n: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closing.push(n)
      return this.finalising(n)
    }).pipe(Effect.ensuring(Effect.sync(() => this.closed.push(n))), Effect.asVoid)
  }
}

const items = <E = never>(
  making?: (n: number) => Effect.Effect<unknown, E>,
  finalising?: (n: number) => Effect.Effect<unknown>
): Items<E> => new Items(making, finalising)

const slow = (n: number, duration: Duration.Input) => (i: number) => (i === n ? Effect.sleep(duration) : Effect.void)

/** A lease that ends when the test says so. */
interface Lease<A> {
  readonly item: A
  readonly release: Effect.Effect<void>
}

const leaseOf = <A, E>(get: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<Lease<A>, E> =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.map(Scope.provide(get, scope), (item) => ({ item, release: Scope.close(scope, Exit.void) }))
  )

const lease = <A, E>(pool: ResourcePool.ResourcePool<A, E>) => leaseOf(ResourcePool.get(pool))

/** Lets everything happen that does not need time. */
const settle = TestClock.adjust(0)

/** Starts something that will have to wait. */
const forkWaiting = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(Effect.forkChild(effect), () => settle)

const isDone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => poll(fiber) !== undefined

/** A pool that is closed within a test. */
const closeable = <A, E, R>(make: Effect.Effect<A, E, R | Scope.Scope>) =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.map(Scope.provide(make, scope), (pool) => ({ pool, close: Scope.close(scope, Exit.void) }))
  )

const makePool = <E>(
  from: { readonly acquire: Effect.Effect<number, E, Scope.Scope> },
  options: {
    readonly min?: number
    readonly max: number
    readonly concurrency?: number
    readonly targetUtilization?: number
    readonly timeToLive?: Duration.Input
    readonly timeToLiveStrategy?: "creation" | "usage"
  }
) => ResourcePool.makeWithTTL({ min: 0, timeToLive: Duration.infinity, ...options, acquire: from.acquire })

// The same for this pool and for Effect's

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

  describe("timeToLive by usage", () => {
    it.effect("is the default, and closes an item after that long without use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 2, timeToLive: "1 second" })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("999 millis")
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("closes an item that was never used", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("1 second"))
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 second", timeToLiveStrategy: "usage" })
        yield* Fiber.interrupt(yield* forkWaiting(lease(pool)))
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(all.existing, [1])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.existing, [])
      })
    )

    it.effect("may be zero: an item is lent once", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: 0 })
        for (const expected of [1, 2, 3]) {
          assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), expected)
          yield* settle
          assert.deepStrictEqual(all.existing, [])
        }
      })
    )

    it.effect("never closes an item in use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 2, timeToLive: "1 second" })
        const { release } = yield* lease(pool)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(all.closed, [])
        yield* release
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("never goes below min, and keeps what was used last", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 1, max: 3, timeToLive: "1 second" })
        const [a, b, c] = [yield* lease(pool), yield* lease(pool), yield* lease(pool)]
        yield* b.release
        yield* c.release
        yield* TestClock.adjust("1 millis")
        yield* a.release
        yield* TestClock.adjust("998 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.sameMembers(all.closed, [b.item, c.item])
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(all.existing, [a.item])
        assert.strictEqual(all.started, 3)
      })
    )

    it.effect("closes the surplus of a pool whose other items are in steady use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 5, timeToLive: "1 second" })
        for (const { release } of yield* Effect.replicateEffect(lease(pool), 5)) yield* release
        yield* ResourcePool.use(pool, () => Effect.sleep("150 millis")).pipe(Effect.forever, Effect.forkScoped)
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(all.closed.length, 0)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.existing, [5])
      })
    )
  })

  describe("timeToLive by creation", () => {
    it.effect("closes an idle item that long after it was made, whatever its use", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.sleep("500 millis"))
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 second", timeToLiveStrategy: "creation" })
        const waiter = yield* forkWaiting(lease(pool))
        yield* TestClock.adjust("500 millis")
        yield* (yield* Fiber.join(waiter)).release
        for (let i = 0; i < 9; i++) {
          yield* TestClock.adjust("100 millis")
          yield* Effect.scoped(ResourcePool.get(pool))
        }
        yield* TestClock.adjust("99 millis")
        assert.deepStrictEqual(all.closed, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(all.closed, [1])
      })
    )

    it.effect("lends an item no more when it has come to its end, and closes it when its last lease ends", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, {
          max: 2,
          concurrency: 2,
          timeToLive: "1 second",
          timeToLiveStrategy: "creation"
        })
        const { item, release } = yield* lease(pool)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(all.closed, [])
        const next = yield* lease(pool)
        assert.notStrictEqual(next.item, item)
        yield* release
        assert.deepStrictEqual(all.closed, [item])
        yield* next.release
      })
    )

    it.effect("replaces items up to min at once", () =>
      Effect.gen(function* () {
        const all = items()
        yield* makePool(all, { min: 2, max: 2, timeToLive: "1 second", timeToLiveStrategy: "creation" })
        yield* TestClock.adjust("1 second")
        assert.sameMembers(all.closed, [1, 2])
        assert.deepStrictEqual(all.existing, [3, 4])
      })
    )

    it.effect("may be zero: an item is lent once", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: 0, timeToLiveStrategy: "creation" })
        for (const expected of [1, 2, 3]) {
          assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), expected)
          yield* settle
          assert.deepStrictEqual(all.existing, [])
        }
      })
    )

    it.effect("closes nothing for want of use", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { max: 1, timeToLive: "1 hour", timeToLiveStrategy: "creation" })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("59 minutes")
        assert.deepStrictEqual(all.closed, [])
      })
    )
  })

  describe("min", () => {
    const failing = () => {
      const all = items(() => (isUp ? Effect.void : Effect.fail("failure")))
      let isUp = false
      return { all, repair: () => (isUp = true) }
    }

    it.effect("is tried again after 100 ms, doubled each time up to 10 s, for ever", () =>
      Effect.gen(function* () {
        const { all } = failing()
        yield* makePool(all, { min: 1, max: 1 })
        let started = 1
        assert.strictEqual(all.started, started)
        for (const pause of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]) {
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(all.started, started)
          yield* TestClock.adjust(1)
          assert.strictEqual(all.started, ++started)
        }
      }).pipe(randomly([0.5]))
    )

    for (const [random, pause] of [
      [0, 80],
      [1, 120]
    ] as const) {
      it.effect(`is tried again ${pause} ms after the first failure when random says ${random}`, () =>
        Effect.gen(function* () {
          const { all } = failing()
          yield* makePool(all, { min: 1, max: 1 })
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(all.started, 1)
          yield* TestClock.adjust(1)
          assert.strictEqual(all.started, 2)
        }).pipe(randomly([random]))
      )
    }

    // A pause with a fraction of a nanosecond ended in endless sleeps of no length.
    it.effect("is tried again between 20 % earlier and later, differently each time", () =>
      Effect.gen(function* () {
        const starts: Array<number> = []
        yield* makePool(
          items(() =>
            Effect.andThen(
              Effect.map(Clock.currentTimeMillis, (now) => starts.push(now)),
              Effect.fail("failure")
            )
          ),
          { min: 1, max: 1 }
        )
        yield* TestClock.adjust("10 minutes")
        assert.isAtLeast(starts.length, 50)
        const pauses = starts.slice(1).map((start, i) => start - starts[i]!)
        for (const [i, pause] of pauses.entries()) {
          const middle = Math.min(100 * 2 ** i, 10_000)
          assert.isAtLeast(pause, 0.8 * middle)
          assert.isAtMost(pause, Math.min(1.2 * middle + 1, 10_000))
        }
        assert.isAbove(new Set(pauses).size, pauses.length / 3)
      }).pipe(seeded("jitter"))
    )

    // Each of them doubled the pause.
    it.effect("is tried again after 100 ms however many items failed at once", () =>
      Effect.gen(function* () {
        const all = items(() => Effect.andThen(Effect.sleep("1 second"), Effect.fail("failure")))
        yield* makePool(all, { min: 10, max: 10 })
        assert.strictEqual(all.started, 10)
        yield* TestClock.adjust("1099 millis")
        assert.strictEqual(all.started, 10)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(all.started, 20)
      }).pipe(randomly([0.5]))
    )

    it.effect("is made up for when the trouble is over", () =>
      Effect.gen(function* () {
        const { all, repair } = failing()
        yield* makePool(all, { min: 3, max: 3 })
        yield* TestClock.adjust("1 hour")
        repair()
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual(all.existing.length, 3)
      })
    )

    it.effect("does not make a get wait for its pause, nor fail with its failure", () =>
      Effect.gen(function* () {
        const { all, repair } = failing()
        const pool = yield* makePool(all, { min: 1, max: 2 })
        yield* TestClock.adjust("1 hour")
        repair()
        const before = all.started
        assert.strictEqual(yield* Effect.scoped(ResourcePool.get(pool)), before + 1)
      })
    )

    it.effect("is not made up for while all items are made", () =>
      Effect.gen(function* () {
        const all = items()
        const pool = yield* makePool(all, { min: 2, max: 3 })
        yield* Effect.scoped(ResourcePool.get(pool))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(all.started, 2)
      })
    )
  })

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
class Operations {
  private readonly tasks: Array<() => void> = []
  private count = 0
  private action: (() => void) | undefined

  private readonly steps: Steps = {
    // It is asked at every operation.
    mayYield: () => {
      if (this.action !== undefined && this.count++ === this.at) {
        this.action()
        this.action = undefined
      }
      return false
    },
    schedule: (task) => {
      this.tasks.push(task)
    }
  }

  constructor(private readonly at: number) {}

  /** Counts from here on. */
  arm(action: () => void): void {
    this.action = action
  }

  /** Whether there were not as many operations. */
  disarm(): boolean {
    const isArmed = this.action !== undefined
    this.action = undefined
    return isArmed
  }

  /** Calls a function in which everything happens synchronously. */
  during<A>(f: () => A): A {
    return withoutMicrotasks(this.steps.schedule, f)
  }

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return forkStepwise(effect, this.steps, { immediate: false })
  }

  run<A, E>(effect: Effect.Effect<A, E>): A {
    const fiber = this.fork(effect)
    this.settle()
    const exit = poll(fiber)
    if (exit === undefined) throw new Error("it waits for something that never comes")
    return Effect.runSync(exit)
  }

  settle(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

describe("interruption, at any instant", () => {
  const ways = {
    use: (pool: ResourcePool.ResourcePool<number, string>) => ResourcePool.use(pool, () => Effect.yieldNow),
    get: (pool: ResourcePool.ResourcePool<number, string>) =>
      Effect.scoped(Effect.andThen(ResourcePool.get(pool), Effect.yieldNow))
  }

  interface Situation {
    readonly making?: (n: number) => Effect.Effect<unknown, string>
    readonly isWarm?: boolean
    readonly isHeld?: boolean
  }

  const situations: Record<string, Situation> = {
    "on an item that idles": { isWarm: true },
    "on a creation that is over at once": {},
    "on a creation that takes a while": { making: () => Effect.yieldNow },
    "on a creation that fails": { making: (n) => (n === 1 ? Effect.fail("failure") : Effect.void) },
    "on a creation that fails after a while": {
      making: (n) => Effect.andThen(Effect.yieldNow, n === 1 ? Effect.fail("failure") : Effect.void)
    },
    "on an item that is given back": { isHeld: true }
  }

  for (const [way, lend] of Object.entries(ways)) {
    for (const [situation, { isHeld = false, isWarm = false, making }] of Object.entries(situations)) {
      it(`of ${way}, ${situation}, loses nothing`, () => {
        const ends = new Set<string>()
        let instants = 0
        for (let isOver = false; !isOver; instants++) {
          const operations = new Operations(instants)
          operations.during(() => {
            const all = items(making)
            const { close, pool } = operations.run(closeable(makePool(all, { max: 1 })))
            if (isWarm) operations.run(lend(pool))
            const holder = isHeld ? operations.run(lease(pool)) : undefined

            const victim = operations.fork(lend(pool))
            const next = operations.fork(ResourcePool.use(pool, Effect.succeed))
            operations.arm(() => interruptNow(victim))
            operations.settle()
            if (holder !== undefined) operations.run(holder.release)
            isOver = operations.disarm()

            const message = `interrupted at operation ${instants}`
            const end = poll(victim)
            if (end === undefined) throw new Error(`never over when ${message}`)
            ends.add(Exit.hasInterrupts(end) ? "Interrupted" : end._tag)
            assert.isTrue(isDone(next), `the next in line is never served when ${message}`)
            operations.run(ResourcePool.use(pool, Effect.succeed))
            assert.isAtMost(all.most, 1, message)
            operations.run(close)
            assert.deepStrictEqual(all.existing, [], message)
          })
        }
        assert.isAbove(instants, 25)
        assert.isTrue(ends.has("Interrupted"))
        assert.isTrue(ends.size > 1)
      })
    }
  }
})
