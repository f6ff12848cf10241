import { type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { collect, echo, expectTag, notYet, now, peers, poolWith, settle } from "../support/memoryPool.js"
import { lease } from "../support/wire.js"

const pool = WebSocketPool.WebSocketPool

/** Waits for it in a fiber of its own. */
const watch = (connection: WebSocketConnection.WebSocketConnection) =>
  Effect.tap(Effect.forkScoped(connection.retiring), settle)

const isRetiring = (connection: WebSocketConnection.WebSocketConnection) =>
  Effect.map(connection.info, (info) => info.isRetiring)

const retirements = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) =>
    event._tag === "ConnectionRetiring" ? [`${event.pool} ${event.connectionId} ${event.reason}`] : []
  )

/** Leases one after the other, a second apart. */
const leases = (count: number) =>
  Effect.flatMap(pool, (pool) =>
    Effect.forEach(Array.from({ length: count }), () => Effect.tap(lease(pool), TestClock.adjust("1 second")))
  )

describe("retiring", () => {
  it.effect("0.1 refresh makes a leased connection retire: it is closed when it is given back, and told once", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      const { connection, release } = yield* lease(yield* pool)
      const watcher = yield* watch(connection)
      notYet(watcher)
      assert.isFalse(yield* isRetiring(connection))

      yield* WebSocketPool.refresh
      yield* settle
      assert.strictEqual(yield* now(watcher), "Refreshed")
      assert.isTrue(yield* isRetiring(connection))
      assert.strictEqual((yield* connection.info).state, "busy")
      assert.strictEqual(yield* connection.retiring, "Refreshed")
      yield* WebSocketPool.refresh
      yield* connection.send("still here")
      assert.strictEqual(yield* connection.receive, "still here")

      yield* release
      yield* settle
      const next = yield* WebSocketPool.get
      assert.notStrictEqual(next.id, connection.id)
      assert.isFalse(yield* isRetiring(next))
      assert.deepStrictEqual(retirements(events), [`main ${connection.id} Refreshed`])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "main" }, echo)))
  )

  it.effect("0.1 a connection retires at the moment at which it is as old as its connectionTTL", () =>
    Effect.gen(function* () {
      const { connection } = yield* lease(yield* pool)
      const watcher = yield* watch(connection)
      // Its own age limit lies up to 10 % below.
      yield* TestClock.adjust("8999 millis")
      notYet(watcher)
      yield* TestClock.adjust("1001 millis")
      assert.strictEqual(yield* now(watcher), "Expired")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ connectionTTL: "10 seconds" })))
  )

  it.effect("0.1 one that resize asked back stays if there is room for it again", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      const [first, second] = yield* leases(2)
      yield* WebSocketPool.resize({ maxConnections: 1 })
      assert.strictEqual(yield* first!.connection.retiring, "Evicted")
      yield* WebSocketPool.resize({ maxConnections: 2 })
      assert.isFalse(yield* isRetiring(first!.connection))
      yield* first!.release
      const again = yield* lease(yield* pool)
      assert.strictEqual(again.connection.id, first!.connection.id)
      assert.isFalse(yield* isRetiring(again.connection))

      // The event comes once for each connection, whatever it retires for later.
      yield* WebSocketPool.refresh
      yield* settle
      assert.deepStrictEqual(retirements(events), [
        `main ${first!.connection.id} Evicted`,
        `main ${second!.connection.id} Refreshed`
      ])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "main", maxConnections: 2 })))
  )

  it.effect("0.1 one that resize asked back stays if another was given back first, which is closed in its place", () =>
    Effect.gen(function* () {
      const [first, second] = yield* leases(2)
      yield* WebSocketPool.resize({ maxConnections: 1 })
      assert.isTrue(yield* isRetiring(first!.connection))
      assert.isFalse(yield* isRetiring(second!.connection))
      yield* second!.release
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* second!.connection.info).state, "closed")
      assert.isFalse(yield* isRetiring(first!.connection))
      yield* first!.release
      const again = yield* WebSocketPool.get
      assert.strictEqual(again.id, first!.connection.id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 2 })))
  )

  it.effect("0.2 being lost is no retiring", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      const { connection, release } = yield* lease(yield* pool)
      const watcher = yield* watch(connection)
      yield* (yield* peers)[0]!.destroy
      yield* settle
      notYet(watcher)
      assert.isFalse(yield* isRetiring(connection))
      yield* WebSocketPool.refresh
      yield* WebSocketPool.resize({ maxConnections: 1 })
      yield* settle
      notYet(watcher)
      yield* release
      yield* settle
      notYet(watcher)
      assert.deepStrictEqual(retirements(events), [])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("0.2 it never completes once the lease is over, and the next holder starts anew", () =>
    Effect.gen(function* () {
      const { connection, release } = yield* lease(yield* pool)
      const early = yield* watch(connection)
      yield* release
      const late = yield* watch(connection)
      const next = yield* lease(yield* pool)
      assert.strictEqual(next.connection.id, connection.id)
      const watcher = yield* watch(next.connection)
      yield* WebSocketPool.refresh
      yield* settle
      assert.strictEqual(yield* now(watcher), "Refreshed")
      notYet(early)
      notYet(late)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("0.2 completes in the turn of its reason, and who was interrupted is forgotten", () =>
    Effect.gen(function* () {
      const { connection } = yield* lease(yield* pool)
      const watchers = yield* Effect.forEach([1, 2, 3], () => watch(connection))
      yield* Fiber.interrupt(watchers[1]!)
      yield* WebSocketPool.refresh
      yield* settle
      assert.deepStrictEqual([yield* now(watchers[0]!), yield* now(watchers[2]!)], ["Refreshed", "Refreshed"])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("0.3 shrinking by n makes the n leased for longest retire, after idle ones", () =>
    Effect.gen(function* () {
      const all = yield* leases(5)
      yield* all[0]!.release
      const watchers = yield* Effect.forEach(all, ({ connection }) => watch(connection))
      yield* WebSocketPool.resize({ maxConnections: 2 })
      yield* settle
      // The first was idle and is closed; the second and third have been leased for longest.
      assert.deepStrictEqual(yield* Effect.forEach(all, ({ connection }) => isRetiring(connection)), [
        false,
        true,
        true,
        false,
        false
      ])
      assert.strictEqual(yield* now(watchers[1]!), "Evicted")
      assert.strictEqual(yield* now(watchers[2]!), "Evicted")
      notYet(watchers[3]!)
      notYet(watchers[4]!)

      // What retires already is one of those that are too many.
      yield* WebSocketPool.resize({ maxConnections: 1 })
      yield* settle
      assert.strictEqual(yield* now(watchers[3]!), "Evicted")
      notYet(watchers[4]!)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 5 })))
  )

  it.effect("0.4 close takes as long as the last holder that heeds it", () =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(
        WebSocketPool.use((connection) => Effect.andThen(connection.retiring, Effect.sleep("1 second")))
      )
      yield* settle
      const closing = yield* Effect.forkScoped(WebSocketPool.close)
      yield* TestClock.adjust("999 millis")
      notYet(closing)
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ shutdownTimeout: "5 seconds" })))
  )

  it.effect("0.4 close takes shutdownTimeout where a holder does not heed it", () =>
    Effect.gen(function* () {
      const { connection } = yield* lease(yield* pool)
      const closing = yield* Effect.forkScoped(WebSocketPool.close)
      yield* settle
      assert.strictEqual(yield* connection.retiring, "Shutdown")
      yield* TestClock.adjust("4999 millis")
      notYet(closing)
      assert.strictEqual((yield* connection.info).state, "busy")
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
      const error = yield* Effect.flip(connection.receive)
      expectTag(error, "ConnectionClosedError")
      assert.strictEqual(error.initiator, "Pool")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ shutdownTimeout: "5 seconds" })))
  )

  it.effect("0.5 hooks between two leases are told nothing, and idle connections do not retire", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      const { connection, release } = yield* lease(yield* pool)
      yield* release
      assert.isFalse(yield* isRetiring(connection))
      yield* WebSocketPool.refresh
      yield* settle
      assert.deepStrictEqual(retirements(events), [])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ onRelease: (connection) => Effect.raceFirst(connection.retiring, Effect.void) }, echo))
    )
  )
})
