import { PoolEvent, type PoolStats, WebSocketPool } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Random from "#effect/Random"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow, randomly, repeated, seeded } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import {
  collect,
  expectTag,
  type Handler,
  listen,
  notYet,
  now,
  type Options,
  peers,
  poolWith,
  type Server,
  settle
} from "../support/memoryPool.js"

type Event = PoolEvent.PoolEvent

const Pool = WebSocketPool.WebSocketPool

const once = { retry: Schedule.recurs(0) }

/** A lease that is over at once. */
const touch = WebSocketPool.use(() => Effect.void)

const firstPeer = Effect.map(peers, (all) => all[0]!)

/** The gauges; every reading checks that they add up. */
const gauges = Effect.map(WebSocketPool.stats, (stats) => {
  const { busy, closing, connecting, draining, idle, maxConnections, total, waiting } = stats
  assert.strictEqual(total, idle + busy + draining + connecting + closing)
  assert.isAtMost(total, maxConnections)
  return { idle, busy, draining, connecting, closing, waiting }
})

const zero = { idle: 0, busy: 0, draining: 0, connecting: 0, closing: 0, waiting: 0 }

const ofTag = <const Tag extends Event["_tag"]>(events: ReadonlyArray<Event>, tag: Tag) =>
  events.filter((event): event is Extract<Event, { readonly _tag: Tag }> => event._tag === tag)

const tags = (events: ReadonlyArray<Event>) => events.map((event) => event._tag)

const noneClosed: PoolStats.PoolStats["closedBy"] = {
  Idle: 0,
  Expired: 0,
  Unhealthy: 0,
  Dirty: 0,
  DrainTimeout: 0,
  Discarded: 0,
  Remote: 0,
  Refreshed: 0,
  Evicted: 0,
  Reclaimed: 0,
  Shutdown: 0,
  Protocol: 0,
  Closed: 0
}

describe("stats", () => {
  it.effect("of a new pool are all zero but its limits", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* WebSocketPool.stats, {
        state: "open",
        minConnections: 0,
        maxConnections: 7,
        total: 0,
        idle: 0,
        busy: 0,
        draining: 0,
        connecting: 0,
        queued: 0,
        closing: 0,
        waiting: 0,
        opened: 0,
        closed: 0,
        closedBy: noneClosed,
        connectFailures: 0,
        acquired: 0,
        released: 0,
        exhausted: 0,
        discarded: 0,
        messagesDropped: 0,
        drainTimeouts: 0,
        healthCheckFailures: 0
      })
    }).pipe(Effect.provide(poolWith({ maxConnections: 7 })))
  )

  it.effect("follow a connection from connecting over busy, draining, idle and closing to its end", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(WebSocketPool.use(() => Deferred.await(release)))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(yield* gauges, { ...zero, connecting: 1, waiting: 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* gauges, { ...zero, busy: 1 })
      yield* Deferred.succeed(release, undefined)
      yield* settle
      yield* now(holder)
      assert.deepStrictEqual(yield* gauges, { ...zero, draining: 1 })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* gauges, { ...zero, idle: 1 })
      yield* (yield* firstPeer).silence
      yield* (yield* Pool).refresh
      assert.deepStrictEqual(yield* gauges, { ...zero, closing: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* gauges, zero)
    }).pipe(Effect.provide(poolWith({ drain: { quietPeriod: "100 millis" } }, listen, () => Effect.sleep("1 second"))))
  )

  it.effect("count onConnect as connecting, a retry's pause, too, and the check before a lease as busy", () =>
    Effect.gen(function* () {
      yield* settle
      assert.deepStrictEqual(yield* gauges, { ...zero, connecting: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* gauges, { ...zero, connecting: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* gauges, { ...zero, idle: 1 })
      yield* (yield* peers)[1]!.silence
      yield* TestClock.adjust("6 seconds")
      yield* Effect.forkChild(touch)
      yield* settle
      assert.deepStrictEqual(yield* gauges, { ...zero, busy: 1, waiting: 1 })
    }).pipe(
      Effect.provide(
        poolWith({
          minConnections: 1,
          retry: Schedule.spaced("1 second"),
          onConnect: (() => {
            let attempts = 0
            return () => (++attempts === 1 ? Effect.fail("no") : Effect.sleep("1 second"))
          })()
        })
      )
    )
  )

  it.effect("count who waits, until served, failed or interrupted", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      yield* Effect.forkChild(WebSocketPool.use(() => Deferred.await(release)))
      yield* settle
      const waiters = yield* Effect.replicateEffect(Effect.forkChild(Effect.scoped(WebSocketPool.get)), 3)
      yield* settle
      assert.deepStrictEqual(yield* gauges, { ...zero, busy: 1, waiting: 3 })
      interruptNow(waiters[0]!)
      yield* settle
      assert.deepStrictEqual(yield* gauges, { ...zero, busy: 1, waiting: 2 })
      yield* Deferred.succeed(release, undefined)
      yield* settle
      assert.deepStrictEqual(yield* gauges, { ...zero, idle: 1 })
      const { acquired, released } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ acquired, released }, { acquired: 3, released: 3 })
    }).pipe(Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("tell the pool's own state, to the end", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const state = Effect.map(pool.stats, ({ state }) => state)
      yield* Effect.forkChild(pool.use(() => Effect.never))
      yield* settle
      assert.strictEqual(yield* state, "open")
      yield* Effect.forkChild(pool.close)
      yield* settle
      assert.strictEqual(yield* state, "closing")
      assert.deepStrictEqual(yield* gauges, { ...zero, busy: 1 })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* state, "closed")
      assert.deepStrictEqual(yield* gauges, zero)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("count attempts as connectFailures, not rounds", () =>
    Effect.gen(function* () {
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("10 seconds")
      const { connectFailures, opened } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ connectFailures, opened }, { connectFailures: 4, opened: 0 })
    }).pipe(Effect.provide(poolWith({}, listen, () => Effect.fail(503))))
  )
})

describe("events", () => {
  const pool = "server.test"

  it.effect("tell of an opened connection, its lease and its release, with all their fields", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      const holder = yield* Effect.forkChild(
        WebSocketPool.use(({ id }) => Effect.delay(Effect.succeed(id), "7 seconds"))
      )
      yield* TestClock.adjust("10 seconds")
      const connectionId = yield* now(holder)
      const [failed, ...rest] = events
      assert.strictEqual(failed?._tag, "ConnectFailed")
      assert.deepStrictEqual(rest, [
        { _tag: "ConnectionOpened", pool, connectionId, elapsed: Duration.seconds(3), attempts: 2 },
        { _tag: "Acquired", pool, connectionId, waited: Duration.seconds(3) },
        { _tag: "Released", pool, connectionId, held: Duration.seconds(7) }
      ])
      assert.isTrue(Object.values(rest[0]!).some(Duration.isDuration))
    }).pipe(
      Effect.provide(
        poolWith(
          { retry: Schedule.spaced("1 second") },
          listen,
          (() => {
            let attempts = 0
            return () => Effect.delay(++attempts === 1 ? Effect.fail(503) : Effect.void, "1 second")
          })()
        )
      )
    )
  )

  it.effect("tell of each failed attempt with its error", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(tags(events), ["ConnectFailed", "ConnectFailed"])
      assert.deepStrictEqual(
        ofTag(events, "ConnectFailed").map(({ error, pool }) => [pool, error._tag, error.status, error.attempts]),
        [
          [pool, "ConnectionUnavailableError", 503, 1],
          [pool, "ConnectionUnavailableError", 503, 2]
        ]
      )
    }).pipe(Effect.provide(poolWith({ retry: Schedule.recurs(1) }, listen, () => Effect.fail(503))))
  )

  it.effect("tell of each exhausted get with the very error", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* WebSocketPool.get
      const error = yield* Effect.flip(touch)
      expectTag(error, "PoolExhaustedError")
      yield* settle
      const [exhausted] = ofTag(events, "Exhausted")
      assert.strictEqual(exhausted?.pool, pool)
      assert.strictEqual(exhausted?.error, error)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0 })))
  )

  it.effect("tell of draining, what was dropped meanwhile, and how long it took", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      const connectionId = yield* WebSocketPool.use(({ id }) =>
        Effect.as(
          Effect.flatMap(firstPeer, (peer) => peer.send("grüße")),
          id
        )
      )
      yield* TestClock.adjust("60 millis")
      yield* (yield* firstPeer).send(new Uint8Array(3))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(events.slice(3), [
        { _tag: "DrainStarted", pool, connectionId },
        { _tag: "MessageDropped", pool, connectionId, bytes: 7 },
        { _tag: "MessageDropped", pool, connectionId, bytes: 3 },
        { _tag: "DrainCompleted", pool, connectionId, elapsed: Duration.millis(160), dropped: 2 }
      ])
      yield* (yield* firstPeer).send("while idle")
      yield* settle
      assert.deepStrictEqual(events.slice(7), [{ _tag: "MessageDropped", pool, connectionId, bytes: 10 }])
    }).pipe(Effect.provide(poolWith({ drain: { quietPeriod: "100 millis" } })))
  )

  it.effect("tell of a resize, and of the pool's end, which ends them", () =>
    Effect.gen(function* () {
      const service = yield* Pool
      const all = yield* Effect.forkChild(Stream.runCollect(service.events))
      yield* settle
      yield* service.resize({ minConnections: 1, maxConnections: 9 })
      yield* settle
      yield* service.resize({ maxConnections: 8 })
      yield* settle
      yield* Effect.forkChild(service.close)
      yield* settle
      const events = Array.from(yield* now(all))
      assert.deepStrictEqual(tags(events), [
        "PoolResized",
        "ConnectionOpened",
        "PoolResized",
        "PoolClosing",
        "ConnectionClosed",
        "PoolClosed"
      ])
      assert.deepStrictEqual(ofTag(events, "PoolResized"), [
        { _tag: "PoolResized", pool, minConnections: 1, maxConnections: 9 },
        { _tag: "PoolResized", pool, minConnections: 1, maxConnections: 8 }
      ])
      assert.deepStrictEqual(events.at(-1), { _tag: "PoolClosed", pool })
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("end at once for who subscribes to a closed pool", () =>
    Effect.gen(function* () {
      const service = yield* Pool
      yield* service.close
      const late = yield* Effect.forkChild(Stream.runCollect(service.events))
      yield* settle
      assert.isTrue(Array.from(yield* now(late)).length === 0)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("begin with the subscription, whose time each subscriber chooses", () =>
    Effect.gen(function* () {
      const service = yield* Pool
      yield* touch
      const first = yield* collect(service)
      yield* touch
      const second = yield* collect(service)
      yield* touch
      yield* settle
      assert.deepStrictEqual(tags(first), ["Acquired", "Released", "Acquired", "Released"])
      assert.deepStrictEqual(second, first.slice(2))
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("go on for one subscriber when another one leaves", () =>
    Effect.gen(function* () {
      const service = yield* Pool
      const two = yield* Effect.forkChild(Stream.runCollect(Stream.take(service.events, 2)))
      const all = yield* collect(service)
      yield* touch
      yield* touch
      yield* settle
      assert.strictEqual(Array.from(yield* now(two)).length, 2)
      assert.lengthOf(all, 5)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("are kept up to the latest 1,024 for a subscriber who lags behind, and hold nobody up", () =>
    Effect.gen(function* () {
      const service = yield* Pool
      yield* touch
      const proceed = yield* Deferred.make<void>()
      const seen: Array<Event> = []
      yield* Effect.forkScoped(
        Stream.runForEach(service.events, (event) =>
          Effect.andThen(
            Effect.sync(() => seen.push(event)),
            Deferred.await(proceed)
          )
        )
      )
      yield* settle
      const prompt = yield* collect(service)
      yield* touch
      yield* settle
      const before = prompt.length
      yield* Effect.repeat(touch, { times: 1_999 })
      yield* settle
      assert.lengthOf(seen, 1)
      yield* Deferred.succeed(proceed, undefined)
      yield* settle
      // It may have taken out what there was when it began to lag.
      assert.isAtMost(seen.length, 1_024 + before)
      assert.deepStrictEqual(seen.slice(-1_024), prompt.slice(-1_024))
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("end for a subscriber who lags behind, too", () =>
    // A full queue dropped the latest events, PoolClosed among them, so that the stream never ended.
    Effect.gen(function* () {
      const service = yield* Pool
      const proceed = yield* Deferred.make<void>()
      const lagging = yield* Effect.forkChild(Stream.runForEach(service.events, () => Deferred.await(proceed)))
      yield* settle
      yield* Effect.repeat(touch, { times: 1_000 })
      yield* service.close
      yield* settle
      notYet(lagging)
      yield* Deferred.succeed(proceed, undefined)
      yield* settle
      yield* now(lagging)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("have the type guards and the match of a tagged union", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* touch
      yield* settle
      assert.lengthOf(events.filter(PoolEvent.is("Acquired")), 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("come from the accessor of the context, too", () =>
    Effect.gen(function* () {
      const two = yield* Effect.forkChild(Stream.runCollect(Stream.take(WebSocketPool.events, 3)))
      yield* settle
      yield* touch
      yield* settle
      assert.deepStrictEqual(tags(Array.from(yield* now(two))), ["ConnectionOpened", "Acquired", "Released"])
    }).pipe(Effect.provide(poolWith()))
  )
})

describe("ConnectionClosed", () => {
  type Ending = Effect.Effect<unknown, unknown, WebSocketPool.WebSocketPool | Server | Scope.Scope>

  const stray = Effect.andThen(
    touch,
    Effect.flatMap(firstPeer, (peer) => peer.send("stray"))
  )

  const endings: ReadonlyArray<
    readonly [
      what: string,
      reason: PoolEvent.CloseReason,
      code: number,
      ending: Ending,
      options?: Partial<Options>,
      handler?: Handler
    ]
  > = [
    ["idle for too long", "Idle", 1000, Effect.andThen(touch, TestClock.adjust("60 seconds"))],
    [
      "too old",
      "Expired",
      1000,
      Effect.andThen(touch, TestClock.adjust("50 seconds")),
      { connectionTTL: "50 seconds" }
    ],
    [
      "found dead by ping",
      "Unhealthy",
      1006,
      Effect.all([touch, Effect.flatMap(firstPeer, (peer) => peer.silence), TestClock.adjust("40 seconds")])
    ],
    [
      "given back with an unread message",
      "Dirty",
      1000,
      WebSocketPool.use(() => Effect.flatMap(firstPeer, (peer) => peer.send("unread")))
    ],
    ["sent a message while idle", "Dirty", 1000, stray],
    [
      "not quiet in time",
      "DrainTimeout",
      1000,
      Effect.andThen(touch, TestClock.adjust("1 second")),
      { drain: { quietPeriod: "1 minute", timeout: "1 second" } }
    ],
    ["discarded by its holder", "Discarded", 1000, WebSocketPool.use((connection) => connection.discard)],
    ["discarded by discardOn", "Discarded", 1000, Effect.exit(WebSocketPool.use(() => Effect.fail("no")))],
    [
      "closed by the server",
      "Remote",
      4000,
      Effect.andThen(
        touch,
        Effect.flatMap(firstPeer, (peer) => peer.close(4000))
      )
    ],
    [
      "lost",
      "Remote",
      1006,
      Effect.andThen(
        touch,
        Effect.flatMap(firstPeer, (peer) => peer.destroy)
      )
    ],
    [
      "lost under a lease that fails of it",
      "Remote",
      1006,
      Effect.exit(
        WebSocketPool.use((connection) =>
          Effect.andThen(
            Effect.flatMap(firstPeer, (peer) => peer.destroy),
            connection.receive
          )
        )
      )
    ],
    [
      "refreshed",
      "Refreshed",
      1000,
      Effect.andThen(
        touch,
        Effect.flatMap(Pool, (pool) => pool.refresh)
      )
    ],
    [
      "refreshed under a lease",
      "Refreshed",
      1000,
      WebSocketPool.use(() => Effect.flatMap(Pool, (pool) => pool.refresh))
    ],
    [
      "evicted for getNew",
      "Evicted",
      1000,
      Effect.andThen(
        touch,
        WebSocketPool.useNew(() => settle)
      ),
      { maxConnections: 1 }
    ],
    [
      "evicted by shrinking",
      "Evicted",
      1000,
      Effect.andThen(
        Effect.scoped(Effect.andThen(WebSocketPool.get, WebSocketPool.get)),
        Effect.flatMap(Pool, (pool) => pool.resize({ maxConnections: 1 }))
      )
    ],
    [
      "closed with the pool",
      "Shutdown",
      1001,
      Effect.andThen(
        touch,
        Effect.flatMap(Pool, (pool) => pool.close)
      )
    ],
    [
      "sent a message that is too large",
      "Protocol",
      1009,
      WebSocketPool.use(() => Effect.flatMap(firstPeer, (peer) => peer.send("x".repeat(101)))),
      { maxPayload: 100 }
    ],
    ["closed by its holder", "Closed", 1000, WebSocketPool.use((connection) => connection.close())],
    ["closed by its holder with a code", "Closed", 4000, WebSocketPool.use((connection) => connection.close(4000))],
    [
      "closed by its holder, which nobody answers",
      "Closed",
      1006,
      Effect.andThen(
        WebSocketPool.use((connection) =>
          Effect.andThen(
            Effect.flatMap(firstPeer, (peer) => peer.silence),
            connection.close(4000)
          )
        ),
        TestClock.adjust("2 seconds")
      )
    ]
  ]

  for (const [what, reason, code, ending, options, handler] of endings) {
    it.effect(`says "${reason}" and ${code} of a connection ${what}, and the statistics agree`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* Pool)
        yield* ending
        yield* settle
        const [closed, ...others] = ofTag(events, "ConnectionClosed")
        assert.lengthOf(others, 0)
        assert.deepInclude(closed, { pool: "server.test", reason, code })
        assert.isTrue(Duration.isDuration(closed?.age))
        const { discarded, drainTimeouts, ...totals } = yield* WebSocketPool.stats
        assert.strictEqual(totals.closed, 1)
        assert.strictEqual(discarded, reason === "Discarded" ? 1 : 0)
        assert.strictEqual(drainTimeouts, reason === "DrainTimeout" ? 1 : 0)
        assert.strictEqual(totals.healthCheckFailures, reason === "Unhealthy" ? 1 : 0)
        assert.strictEqual(totals.messagesDropped, ofTag(events, "MessageDropped").length)
      }).pipe(Effect.scoped, Effect.provide(poolWith(options, handler)), randomly([0]))
    )
  }

  it.effect("tells the age", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* TestClock.adjust("5 seconds")
      yield* touch
      yield* TestClock.adjust("42 seconds")
      yield* (yield* firstPeer).close()
      yield* settle
      const [closed] = ofTag(events, "ConnectionClosed")
      assert.strictEqual(Duration.toMillis(closed!.age), 42_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("comes when the socket is gone, not when it begins to close", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* touch
      yield* (yield* firstPeer).silence
      yield* (yield* Pool).refresh
      yield* TestClock.adjust("1999 millis")
      assert.lengthOf(ofTag(events, "ConnectionClosed"), 0)
      assert.strictEqual((yield* WebSocketPool.stats).closed, 0)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(ofTag(events, "ConnectionClosed"), 1)
      assert.strictEqual((yield* WebSocketPool.stats).closed, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})

describe("statistics and events", () => {
  it.effect(
    "agree after a random life with an unreliable server, and every snapshot adds up",
    () =>
      Effect.gen(function* () {
        const service = yield* Pool
        // What has failed before anybody could listen.
        const unheard = (yield* service.stats).connectFailures
        const events = yield* collect(service)
        const check = Effect.tap(
          service.stats,
          ({ busy, closing, connecting, draining, idle, maxConnections, total }) =>
            Effect.sync(() => {
              assert.strictEqual(total, idle + busy + draining + connecting + closing)
              assert.isAtMost(total, maxConnections)
            })
        )
        const user = Effect.gen(function* () {
          const hold = yield* Random.nextIntBetween(0, 3_000)
          const kind = yield* Random.nextIntBetween(0, 6)
          const get = (yield* Random.nextIntBetween(0, 10)) === 0 ? service.useNew : service.use
          yield* Effect.exit(
            get((connection) =>
              Effect.gen(function* () {
                yield* check
                yield* connection.send("hello")
                yield* Effect.sleep(hold)
                if (kind === 0) yield* connection.discard
                if (kind === 1) yield* connection.close()
                if (kind === 2) yield* Effect.fail("no")
                if (kind === 3) yield* Effect.timeout(connection.receive, "1 second")
              })
            )
          )
          yield* check
          yield* Effect.sleep(yield* Random.nextIntBetween(0, 2_000))
        })
        const users = yield* Effect.replicateEffect(Effect.forkChild(repeated(user, 5)), 12)
        yield* TestClock.adjust("90 seconds")
        yield* Effect.forEach(users, now)
        const closing = yield* Effect.forkChild(service.close)
        yield* TestClock.adjust("10 seconds")
        yield* now(closing)

        const stats = yield* service.stats
        const count = (tag: Event["_tag"]) => ofTag(events, tag).length
        const closedFor = (reason: PoolEvent.CloseReason) =>
          ofTag(events, "ConnectionClosed").filter((event) => event.reason === reason).length
        assert.strictEqual(count("PoolClosed"), 1)
        assert.deepInclude(stats, {
          state: "closed",
          total: 0,
          waiting: 0,
          opened: count("ConnectionOpened"),
          closed: count("ConnectionClosed"),
          connectFailures: unheard + count("ConnectFailed"),
          acquired: count("Acquired"),
          released: count("Released"),
          exhausted: count("Exhausted"),
          discarded: closedFor("Discarded"),
          drainTimeouts: closedFor("DrainTimeout"),
          messagesDropped: count("MessageDropped")
        })
        assert.strictEqual(stats.opened, stats.closed)
        assert.strictEqual(stats.acquired, stats.released)
        for (const counter of ["opened", "connectFailures", "acquired", "exhausted", "discarded"] as const) {
          assert.isAbove(stats[counter], 0, counter)
        }
      }).pipe(
        Effect.scoped,
        Effect.provide(
          poolWith(
            {
              minConnections: 1,
              maxConnections: 4,
              maxWaiters: 6,
              idleTimeout: "3 seconds",
              connectionTTL: "10 seconds",
              ...once,
              drain: { quietPeriod: "50 millis", timeout: "500 millis" }
            },
            (peer) =>
              Effect.gen(function* () {
                for (;;) {
                  yield* peer.receive
                  const mood = yield* Random.nextIntBetween(0, 8)
                  if (mood < 4) yield* peer.send("answer")
                  if (mood === 4) yield* peer.close()
                  if (mood === 5) yield* peer.destroy
                  if (mood === 6) yield* Effect.forkChild(Effect.repeat(peer.send("and"), Schedule.spaced("40 millis")))
                }
              }),
            () =>
              Effect.flatMap(Random.nextIntBetween(0, 5), (dice) =>
                dice === 0 ? Effect.fail(503) : Effect.sleep(dice)
              )
          )
        ),
        seeded("stats and events")
      ),
    // `TestClock` waits for real timers at each of its many steps.
    60_000
  )

  it.effect("are there without anybody who listens", () =>
    Effect.gen(function* () {
      yield* touch
      const waiter = yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* settle
      notYet(waiter)
      const { acquired, opened, released } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ acquired, opened, released }, { acquired: 2, opened: 1, released: 1 })
    }).pipe(Effect.provide(poolWith()))
  )
})
