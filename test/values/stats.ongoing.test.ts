/** What statistics tell of what is not over yet. */
import { PoolError, type PoolStats, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { echo, listen, peers, poolWith, settle } from "../support/memoryPool.js"

const Pool = WebSocketPool.WebSocketPool

const once = { retry: Schedule.recurs(0) }

const hold = WebSocketPool.use(() => Effect.never)

const closedBy = (stats: PoolStats.PoolStats) =>
  Object.fromEntries(Object.entries(stats.closedBy).filter(([, count]) => count > 0))

describe("oldestLease", () => {
  it.effect("is the lease that is out for longest, with how long nothing came on it, and its span", () =>
    Effect.gen(function* () {
      assert.notProperty(yield* WebSocketPool.stats, "oldestLease")
      const asking = WebSocketPool.use((connection) =>
        Effect.andThen(connection.send("?"), Effect.andThen(connection.receive, Effect.never))
      )
      const first = yield* Effect.forkChild(Effect.withSpan(asking, "first"))
      yield* TestClock.adjust("2 seconds")
      yield* Effect.forkChild(hold)
      yield* TestClock.adjust("1 second")
      yield* (yield* peers)[0]!.send("!")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual((yield* WebSocketPool.stats).oldestLease, {
        connectionId: "mine-1",
        held: Duration.seconds(7),
        quietFor: Duration.seconds(4),
        span: "first"
      })
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual((yield* WebSocketPool.stats).oldestLease, {
        connectionId: "mine-2",
        held: Duration.seconds(5),
        quietFor: Duration.seconds(5)
      })
    }).pipe(Effect.provide(poolWith({ name: "mine" }, listen)))
  )

  it.effect("is no lease whose socket is gone, as busy counts none", () =>
    Effect.gen(function* () {
      yield* Effect.forkChild(hold)
      yield* settle
      assert.property(yield* WebSocketPool.stats, "oldestLease")
      yield* (yield* peers)[0]!.destroy
      yield* settle
      const stats = yield* WebSocketPool.stats
      assert.strictEqual(stats.busy, 0)
      assert.notProperty(stats, "oldestLease")
    }).pipe(Effect.provide(poolWith()))
  )
})

describe("longestWait", () => {
  it.effect("is the wait of whoever is first in line, and over with the last wait", () =>
    Effect.gen(function* () {
      const wait = Effect.map(WebSocketPool.stats, ({ longestWait, waiting }) => {
        assert.strictEqual(longestWait !== undefined, waiting > 0)
        return longestWait && Duration.toMillis(longestWait)
      })
      assert.isUndefined(yield* wait)
      const holder = yield* Effect.forkChild(hold)
      yield* settle
      const first = yield* Effect.forkChild(hold)
      yield* TestClock.adjust("3 seconds")
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.void))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* wait, 4000)
      yield* Fiber.interrupt(holder)
      yield* settle
      assert.strictEqual(yield* wait, 1000)
      yield* Fiber.interrupt(first)
      yield* settle
      assert.isUndefined(yield* wait)
    }).pipe(Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: "1 hour", discardOn: () => false })))
  )

  it.effect("counts connecting, and who waits for a connection of its own", () =>
    Effect.gen(function* () {
      yield* Effect.forkChild(Effect.scoped(WebSocketPool.getNew))
      yield* TestClock.adjust("2 seconds")
      yield* Effect.forkChild(hold)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* WebSocketPool.stats).longestWait, Duration.seconds(3))
    }).pipe(Effect.provide(poolWith({}, listen, () => Effect.sleep("5 seconds"))))
  )

  it.effect("is told without a limit of the wait, too", () =>
    Effect.gen(function* () {
      yield* Effect.forkChild(hold)
      yield* settle
      yield* Effect.forkChild(hold)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual((yield* WebSocketPool.stats).longestWait, Duration.minutes(10))
    }).pipe(Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: Duration.infinity })))
  )
})

describe("closedBy", () => {
  it.effect("counts each reason, adds up to closed, and is a snapshot", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.use((connection) => connection.discard)
      yield* settle
      const before = yield* WebSocketPool.stats
      assert.deepStrictEqual(closedBy(before), { Discarded: 1 })
      yield* WebSocketPool.use((connection) => connection.close())
      yield* WebSocketPool.use(() => Effect.void)
      yield* (yield* peers)[2]!.destroy
      yield* WebSocketPool.use(() => Effect.void)
      yield* TestClock.adjust("61 seconds")
      const after = yield* WebSocketPool.stats
      assert.deepStrictEqual(closedBy(after), { Idle: 1, Discarded: 1, Remote: 1, Closed: 1 })
      assert.strictEqual(after.closed, 4)
      assert.deepStrictEqual(closedBy(before), { Discarded: 1 })
    }).pipe(Effect.provide(poolWith({}, echo)))
  )

  it.effect("tells of the shutdown", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      yield* pool.use(() => Effect.void)
      yield* pool.close
      assert.deepStrictEqual(closedBy(yield* pool.stats), { Shutdown: 1 })
    }).pipe(Effect.provide(poolWith()))
  )
})

describe("outage", () => {
  it.effect("begins with the first failed attempt, and ends with the next connection", () => {
    const server = { isAway: true }
    return Effect.gen(function* () {
      yield* TestClock.adjust("100 seconds")
      const begin = yield* TestClock.currentTimeMillis
      assert.notProperty(yield* WebSocketPool.stats, "outage")
      const first = yield* Effect.exit(hold)
      yield* TestClock.adjust("7 seconds")
      yield* Effect.exit(hold)
      const { outage } = yield* WebSocketPool.stats
      assert.strictEqual(outage?.since, begin)
      assert.strictEqual(outage?.attempts, 2)
      assert.instanceOf(outage?.lastFailure, PoolError.ConnectionUnavailableError)
      assert.include(outage?.lastFailure.message, "status 503")
      assert.isTrue(Exit.isFailure(first))

      server.isAway = false
      yield* WebSocketPool.use((connection) => connection.discard)
      assert.notProperty(yield* WebSocketPool.stats, "outage")

      // As in the log: so soon it is the same one.
      yield* TestClock.adjust("9999 millis")
      server.isAway = true
      yield* Effect.exit(hold)
      assert.deepInclude((yield* WebSocketPool.stats).outage, { since: begin, attempts: 3 })
      server.isAway = false
      yield* WebSocketPool.use((connection) => connection.discard)
      yield* TestClock.adjust("10 seconds")
      server.isAway = true
      yield* Effect.exit(hold)
      assert.deepInclude((yield* WebSocketPool.stats).outage, { since: begin + 7000 + 9999 + 10_000, attempts: 1 })
    }).pipe(
      Effect.provide(
        poolWith(once, listen, () => Effect.suspend(() => (server.isAway ? Effect.fail(503) : Effect.void)))
      )
    )
  })

  it.effect("is over with the pool", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      yield* Effect.exit(hold)
      assert.property(yield* pool.stats, "outage")
      yield* pool.close
      assert.notProperty(yield* pool.stats, "outage")
    }).pipe(Effect.provide(poolWith(once, listen, () => Effect.fail(503))))
  )
})
