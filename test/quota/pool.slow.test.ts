/** What a pool with a quota does: its side of each promise. */
import { ConnectionQuota, type PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { backstage } from "../../src/pool/service.js"
import {
  collect,
  expectTag,
  listen,
  notYet,
  now,
  peers,
  poolWith,
  Server,
  server,
  settle,
  url
} from "../support/memoryPool.js"
import { A, B, fleet, hold, pools, quota, quotaEvents } from "../support/quotaPools.js"

describe("promise 1: at most `connections` sockets", () => {
  it.effect("of all pools together, closing ones included", () =>
    Effect.gen(function* () {
      yield* hold(A.get)
      yield* hold(A.get)
      const { release } = yield* hold(B.get)
      const waiting = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("10 seconds")
      notYet(waiting)
      assert.lengthOf(yield* peers, 3)
      assert.deepInclude(yield* fleet, { limit: 3, used: 3, waiting: 1, workers: 2, state: "connected", held: 3 })
      assert.deepInclude(yield* B.stats, { connecting: 1, queued: 1, total: 2, busy: 1 })

      yield* release
      yield* now(waiting)
      assert.lengthOf(yield* peers, 3)
    }).pipe(Effect.provide(pools({ quota: { connections: 3 } })))
  )

  it.effect("a socket that is closing holds its permit until it is gone", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(Effect.tap(A.get, (connection) => connection.discard))
      const [peer] = yield* peers
      yield* peer!.silence
      yield* release
      const waiting = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("1999 millis")
      notYet(waiting)
      assert.strictEqual((yield* fleet).used, 1)
      yield* TestClock.adjust("1 millis")
      yield* now(waiting)
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )
})

describe("promise 5: a permit for each attempt", () => {
  it.effect("none is held between two attempts of a retry", () => {
    let attempts = 0
    return Effect.gen(function* () {
      const get = yield* Effect.forkChild(hold(A.get))
      yield* settle
      assert.strictEqual(attempts, 1)
      assert.deepInclude(yield* fleet, { used: 0, waiting: 0 })
      // The other pool takes it meanwhile: the next attempt waits in line.
      const { release } = yield* hold(B.get)
      yield* TestClock.adjust("20 seconds")
      notYet(get)
      assert.strictEqual(attempts, 2)
      assert.deepInclude(yield* A.stats, { queued: 1, connectFailures: 1 })
      yield* release
      yield* now(get)
      assert.strictEqual(attempts, 3)
    }).pipe(
      Effect.provide(
        pools({
          quota: { connections: 1, reclaim: "idle" },
          a: { retry: Schedule.spaced("1 second") },
          accept: () => Effect.suspend(() => (++attempts === 1 ? Effect.fail(503) : Effect.void))
        })
      )
    )
  })

  it.effect("one whose onConnect fails gives it back once its socket is gone", () => {
    let isBad = true
    return Effect.gen(function* () {
      const get = yield* Effect.forkChild(Effect.flip(Effect.scoped(A.get)))
      yield* settle
      const [peer] = yield* peers
      assert.isDefined(peer)
      yield* now(get)
      assert.strictEqual((yield* fleet).used, 0)
      isBad = false
      yield* hold(A.get)
    }).pipe(
      Effect.provide(
        pools({
          quota: { connections: 1 },
          a: {
            retry: Schedule.recurs(0),
            onConnect: () => Effect.suspend(() => (isBad ? Effect.fail("no") : Effect.void))
          }
        })
      )
    )
  })
})

describe("promise 6: waiting for a permit is no attempt", () => {
  it.effect("acquireTimeout alone bounds it, and it shows in nothing that is about attempts", () => {
    let urls = 0
    const options = {
      connectTimeout: "1 second",
      acquireTimeout: "5 seconds",
      url: Effect.sync(() => {
        urls += 1
        return "ws://server.test"
      })
    } as const
    return Effect.gen(function* () {
      yield* hold(A.get)
      const events = yield* collect(yield* B)
      const get = yield* Effect.forkChild(Effect.flip(Effect.scoped(B.get)))
      yield* TestClock.adjust("4999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      const error = yield* now(get)
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.reason, "Quota")
      assert.deepInclude(error.quota, { limit: 1, used: 1, waiting: 1 })
      assert.deepStrictEqual(Duration.toMillis(error.waited), 5000)
      assert.include(error.message, "1 of 1 permits")
      assert.strictEqual(urls, 0)
      assert.deepInclude(yield* B.stats, { connectFailures: 0, connecting: 0, queued: 0, exhausted: 1 })
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["Queued", "Exhausted"]
      )
      assert.deepInclude(yield* fleet, { used: 1, waiting: 0 })
    }).pipe(Effect.provide(pools({ quota: { connections: 1 }, b: options })))
  })

  it.effect("connectTimeout and what a connect is said to have taken begin with the grant", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(A.get)
      const events = yield* collect(yield* B)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Server).handshakes.length, 1)
      yield* Effect.forkChild(release)
      yield* TestClock.adjust("900 millis")
      yield* now(get)
      assert.deepStrictEqual(
        events
          .slice(0, 3)
          .map((event) =>
            event._tag === "Permitted"
              ? [event._tag, Duration.toMillis(event.waited)]
              : event._tag === "ConnectionOpened"
                ? [event._tag, Duration.toMillis(event.elapsed), event.attempts]
                : [event._tag]
          ),
        [["Queued"], ["Permitted", 20_000], ["ConnectionOpened", 900, 1]]
      )
    }).pipe(
      Effect.provide(
        pools({
          quota: { connections: 1 },
          b: { connectTimeout: "1 second", url: "ws://slow.test" },
          accept: (handshake) => (handshake.url.includes("slow") ? Effect.sleep("900 millis") : Effect.void)
        })
      )
    )
  )
})

describe("promise 7: it can be interrupted at any moment", () => {
  it.effect("a creation that nobody needs any more leaves the line at once", () =>
    Effect.gen(function* () {
      yield* hold(A.get)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      assert.strictEqual((yield* fleet).waiting, 1)
      yield* Fiber.interrupt(get)
      assert.deepInclude(yield* fleet, { used: 1, waiting: 0 })
      assert.deepInclude(yield* B.stats, { total: 0, connecting: 0, queued: 0, waiting: 0 })
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("what is granted while its get goes away serves the next, or idles", () =>
    Effect.gen(function* () {
      const first = yield* hold(A.get)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      yield* Effect.all([Fiber.interrupt(get), first.release], { concurrency: 2 })
      yield* settle
      const { held, used, waiting } = yield* fleet
      const a = yield* A.stats
      const b = yield* B.stats
      assert.strictEqual(waiting, 0)
      assert.strictEqual(used, held)
      assert.strictEqual(a.total + b.total, held)
      yield* hold(B.get)
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("no permit is lost, whenever many are interrupted", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 15; round++) {
        const busy = () => Effect.sleep(`${round % 7} millis`)
        const uses: ReadonlyArray<Effect.Effect<void, PoolError.AcquireError, A | B>> = [
          ...[A.use(busy), A.useNew(busy), A.use(busy)],
          ...[B.use(busy), B.useNew(busy), B.use(busy)]
        ]
        const fibers = yield* Effect.forEach(uses, (use) => Effect.forkChild(use))
        yield* TestClock.adjust(`${round % 5} millis`)
        for (const fiber of fibers.slice(round % 3)) yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* TestClock.adjust("10 millis")
      }
      yield* TestClock.adjust("5 seconds")
      const { held, used, waiting } = yield* fleet
      assert.strictEqual(waiting, 0)
      assert.strictEqual(used, (yield* A.stats).total + (yield* B.stats).total)
      assert.isAtMost(held, 2)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* fleet).used, 0)
    }).pipe(Effect.provide(pools({ quota: { connections: 2 } })))
  )
})

describe("promise 8: a get takes whichever comes first", () => {
  it.effect("a connection given back here, and then its creation leaves the line", () =>
    Effect.gen(function* () {
      yield* hold(A.get)
      const own = yield* hold(B.get)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      assert.strictEqual((yield* fleet).waiting, 1)
      yield* own.release
      yield* now(get)
      assert.deepInclude(yield* fleet, { used: 2, waiting: 0 })
    }).pipe(Effect.provide(pools({ quota: { connections: 2 } })))
  )

  it.effect("or a permit", () =>
    Effect.gen(function* () {
      const other = yield* hold(A.get)
      yield* hold(B.get)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      yield* other.release
      yield* now(get)
      assert.deepInclude(yield* fleet, { used: 2, waiting: 0 })
      assert.strictEqual((yield* A.stats).total, 0)
    }).pipe(Effect.provide(pools({ quota: { connections: 2 } })))
  )
})

describe("promise 9: who holds least comes first", () => {
  it.effect("with fair, a worker that has two more gives one up at its next release, though its own wait", () =>
    Effect.gen(function* () {
      const rich = yield* Effect.forEach([1, 2, 3], () => hold(A.get))
      const own = yield* Effect.forkChild(hold(A.get))
      yield* settle
      const events = yield* collect(yield* A)
      const poor = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("1 second")
      notYet(poor)
      yield* rich[0]!.release
      yield* now(poor)
      notYet(own)
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason, event.code] : [])),
        ["Reclaimed", 1000]
      )
      // Two and one: the next release serves whoever waits here.
      yield* rich[1]!.release
      yield* now(own)
      assert.deepInclude(yield* fleet, { used: 3, waiting: 0 })
    }).pipe(Effect.provide(pools({ quota: { connections: 3 } })))
  )

  it.effect("a release that was promised is paid by whatever comes free first", () =>
    Effect.gen(function* () {
      const rich = yield* Effect.forEach([1, 2, 3], () => hold(A.get))
      const poor = yield* Effect.forkChild(hold(B.get))
      yield* settle
      // The server ends one: that is what B gets, and the leases of A go on being reused.
      const [peer] = yield* peers
      yield* peer!.destroy
      yield* settle
      yield* now(poor)
      yield* rich[1]!.release
      assert.deepInclude(yield* A.stats, { idle: 1, busy: 1 })
    }).pipe(Effect.provide(pools({ quota: { connections: 3 } })))
  )
})

describe("promise 10: an idle connection anywhere serves a get elsewhere", () => {
  it.effect("at once, and no more are given up than are short", () =>
    Effect.gen(function* () {
      const leases = yield* Effect.forEach([1, 2, 3], () => hold(A.get))
      for (const { release } of leases) yield* release
      const told = yield* quotaEvents
      const events = yield* collect(yield* A)
      yield* hold(B.get)
      assert.deepInclude(yield* A.stats, { idle: 2, total: 2 })
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : [])),
        ["Reclaimed"]
      )
      yield* settle
      assert.deepStrictEqual(
        told.filter(({ _tag }) => _tag === "Reclaimed"),
        [{ _tag: "Reclaimed", quota: "account", count: 1, from: "idle" }]
      )
      assert.deepInclude(yield* Effect.flatMap(quota, ({ local }) => local), { reclaimed: 1, held: 3 })
    }).pipe(Effect.provide(pools({ quota: { connections: 3 } })))
  )

  it.effect("one that falls idle later, too; and one that is kept for minConnections", () =>
    Effect.gen(function* () {
      yield* A.ready
      const lease = yield* hold(A.get)
      const poor = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("1 second")
      notYet(poor)
      yield* lease.release
      yield* now(poor)
      // It is to be replaced, in the background.
      assert.deepInclude(yield* A.stats, { total: 1, queued: 1 })
    }).pipe(Effect.provide(pools({ quota: { connections: 1 }, a: { minConnections: 1 } })))
  )

  it.effect(
    "between two leases of a fiber it is not idle: while anybody waited elsewhere each lease opened a connection",
    () =>
      Effect.gen(function* () {
        // In one step, and with a turn for others in between.
        const lease = Effect.scoped(A.get)
        const leases = Effect.andThen(lease, Effect.andThen(lease, Effect.yieldNow))
        const begun = yield* hold(A.get)
        const poor = yield* Effect.forkChild(hold(B.get))
        yield* settle
        const busy = yield* Effect.forkChild(Effect.andThen(begun.end, Effect.andThen(leases, leases)))
        yield* settle
        // One of A, for all of its leases, and then one of B.
        yield* now(busy)
        yield* now(poor)
        assert.lengthOf((yield* Server).handshakes, 2)
      }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("background opening reclaims nothing elsewhere", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(A.get)
      yield* release
      yield* B.resize({ minConnections: 1 })
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* A.stats, { idle: 1 })
      assert.deepInclude(yield* B.stats, { queued: 1 })
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("with none, nothing is given up", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(A.get)
      yield* release
      const get = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("29 seconds")
      notYet(get)
      yield* Fiber.interrupt(get)
    }).pipe(Effect.provide(pools({ quota: { connections: 1, reclaim: "none" } })))
  )
})

describe("getNew", () => {
  it.effect("without a permit it is served as at the limit: the pool's own idle ones go first", () =>
    Effect.gen(function* () {
      const lease = yield* hold(A.get)
      yield* lease.release
      const other = yield* hold(B.get)
      yield* other.release
      yield* hold(B.getNew)
      assert.deepInclude(yield* A.stats, { idle: 1 })
      assert.deepInclude(yield* B.stats, { busy: 1, total: 1, opened: 2 })
    }).pipe(Effect.provide(pools({ quota: { connections: 2 } })))
  )

  it.effect("pools whose getNews wait for each other's idle connections do not wait for ever", () =>
    Effect.gen(function* () {
      yield* (yield* hold(A.get)).release
      yield* (yield* hold(B.get)).release
      yield* Effect.all([hold(A.getNew), hold(B.getNew)], { concurrency: 2 })
      assert.deepInclude(yield* fleet, { used: 2, waiting: 0 })
    }).pipe(Effect.provide(pools({ quota: { connections: 2 } })))
  )

  it.effect("takes over a creation in the background that has not begun", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(A.get)
      yield* B.resize({ minConnections: 2, maxConnections: 2 })
      yield* settle
      assert.deepInclude(yield* B.stats, { queued: 2 })
      const get = yield* Effect.forkChild(hold(B.getNew))
      yield* settle
      yield* release
      yield* now(get)
      assert.deepInclude(yield* B.stats, { opened: 1, queued: 1 })
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )
})

describe("a get that relies on an opening in the background", () => {
  it.effect("comes before the background of others", () =>
    Effect.gen(function* () {
      const { release } = yield* hold(A.get)
      yield* A.resize({ minConnections: 3 })
      yield* B.resize({ minConnections: 1, maxConnections: 1 })
      yield* settle
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      yield* release
      yield* now(get)
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )
})

describe("promise 15: what ends", () => {
  it.effect("after a pool's close it holds nothing and waits for nothing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide((yield* A).get, scope)
      const get = yield* Effect.forkChild(Effect.flip(Effect.scoped(B.get)))
      yield* settle
      assert.deepInclude(yield* fleet, { used: 1, waiting: 1 })
      yield* B.close
      expectTag(yield* now(get), "PoolClosedError")
      assert.deepInclude(yield* fleet, { used: 1, waiting: 0 })
      const close = yield* Effect.forkChild(A.close)
      yield* TestClock.adjust("7 seconds")
      yield* now(close)
      assert.deepInclude(yield* fleet, { used: 0, waiting: 0, workers: 2 })
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("after a pool's scope it is no worker", () =>
    Effect.gen(function* () {
      const { stats } = yield* quota
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* WebSocketPool.make({ url, quota: yield* quota })
          yield* Effect.scoped(pool.get)
          assert.deepInclude(yield* stats, { workers: 1, used: 1 })
        })
      )
      assert.deepInclude(yield* stats, { workers: 0, used: 0 })
    }).pipe(
      Effect.provide(Layer.merge(server(listen), ConnectionQuota.layerMemory({ name: "account", connections: 1 })))
    )
  )
})

describe("promise 18: a pool without a quota", () => {
  it.effect("queues nothing, and says so", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url })
      const events = yield* collect(pool)
      yield* Effect.scoped(pool.get)
      assert.strictEqual((yield* pool.stats).queued, 0)
      assert.isFalse(events.some(({ _tag }) => _tag === "Queued" || _tag === "Permitted"))
    }).pipe(Effect.provide(server(listen)))
  )
})

describe("promise 18: a pool without a quota", () => {
  it.effect("has nothing of it: its driver is asked for no demand, and no connection waits for a permit", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const events = yield* collect(pool)
      yield* pool.use(() => Effect.void)
      yield* settle
      const driver: unknown = Reflect.get(backstage(pool)!.core, "driver")
      assert.deepInclude(driver, { permits: undefined, quota: undefined, demand: undefined, unbegun: undefined })
      assert.strictEqual((yield* pool.stats).queued, 0)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["ConnectionOpened", "Acquired", "Released"]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})
