import { type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as TestClock from "#effect/testing/TestClock"
import { randomly } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { collect, greet, notYet, now, peers, poolWith, settle } from "../support/memoryPool.js"

/** Leases so many connections at once and gives them back. */
const warm = (connections: number) =>
  Effect.scoped(Effect.replicateEffect(WebSocketPool.get, connections, { discard: true }))

const ids = (connections: number) =>
  Effect.scoped(Effect.map(Effect.replicateEffect(WebSocketPool.get, connections), (all) => all.map(({ id }) => id)))

/** Why connections were closed, in order. */
const closings = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [[event.reason, event.code] as const] : []))

const never = Duration.infinity

/** Nothing pings, and nothing is closed for being idle. */
const quiet = { pingInterval: never, idleTimeout: never, validateAfterIdle: never }

const withJitter = (at: number) => randomly([at])

describe("idleTimeout", () => {
  it.effect("closes a connection that was idle for 60 seconds, and not before", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* TestClock.adjust("1 second")
      yield* warm(1)

      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)

      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
      assert.deepStrictEqual(closings(events), [["Idle", 1000]])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("counts from the end of the last lease", () =>
    Effect.gen(function* () {
      yield* warm(1)
      yield* TestClock.adjust("59 seconds")
      yield* warm(1)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("closes only what is beyond minConnections, the least recently used first", () =>
    Effect.gen(function* () {
      yield* settle
      yield* warm(3)
      yield* TestClock.adjust("10 seconds")
      const [recent] = yield* ids(1)
      yield* TestClock.adjust("49999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 3)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* ids(1), [recent])
      assert.strictEqual((yield* WebSocketPool.stats).opened, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1 })))
  )

  it.effect("is not put off by health checks, whatever they hear", () =>
    Effect.gen(function* () {
      yield* warm(1)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck: (connection) => connection.ping })))
  )

  it.effect("is kept by each connection while health checks change who was looked at last", () =>
    Effect.gen(function* () {
      yield* warm(1)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* WebSocketPool.get
          yield* TestClock.adjust("29 seconds")
          yield* WebSocketPool.get
        })
      )
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ healthCheck: () => Effect.void, pingInterval: "7 seconds", validateAfterIdle: never }))
    )
  )

  it.effect("of infinity keeps idle connections", () =>
    Effect.gen(function* () {
      yield* warm(2)
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ idleTimeout: never, pingInterval: never })))
  )
})

describe("connectionTTL", () => {
  for (const [jitter, age] of [
    [0, 100_000],
    [0.5, 95_000],
    [1, 90_000]
  ] as const) {
    it.effect(`closes an idle connection at an age 0 to 10 % below: ${age} ms of 100,000`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* WebSocketPool.WebSocketPool)
        yield* warm(1)
        yield* TestClock.adjust(age - 1)
        assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* WebSocketPool.stats).total, 0)
        assert.deepStrictEqual(closings(events), [["Expired", 1000]])
      }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, connectionTTL: "100 seconds" })), withJitter(jitter))
    )
  }

  it.effect("gives each connection its own", () =>
    Effect.gen(function* () {
      yield* warm(3)
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).total, 2)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).total, 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, connectionTTL: "100 seconds" })), randomly([0, 0.5, 1]))
  )

  it.effect("closes a leased connection at its release", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          yield* TestClock.adjust("200 seconds")
          yield* connection.send("still open")
          yield* settle
          assert.deepStrictEqual((yield* peers)[0]!.received, ["still open"])
          assert.strictEqual((yield* WebSocketPool.stats).busy, 1)
          assert.deepStrictEqual(closings(events), [])
        })
      )
      yield* settle
      assert.deepStrictEqual(closings(events), [["Expired", 1000]])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, connectionTTL: "100 seconds" })))
  )

  it.effect("reuses a connection given back just before", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.andThen(WebSocketPool.get, TestClock.adjust("99999 millis")))
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, connectionTTL: "100 seconds" })), withJitter(0))
  )

  it.effect("replaces what minConnections keeps", () =>
    Effect.gen(function* () {
      yield* settle
      yield* TestClock.adjust("101 seconds")
      const { closed, idle, opened } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ closed, idle, opened }, { closed: 1, idle: 1, opened: 2 })
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...quiet, minConnections: 1, connectionTTL: "100 seconds" })),
      withJitter(0)
    )
  )

  it.effect("is infinite unless it is given", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* TestClock.adjust("365 days")
      assert.deepStrictEqual(yield* ids(1), [id])
    }).pipe(Effect.scoped, Effect.provide(poolWith(quiet)))
  )
})

describe("pingInterval", () => {
  it.effect("pings a leased connection that has heard nothing for 30 seconds, again and again", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      const lastActivityAt = Effect.map(connection.info, (info) => info.lastActivityAt)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* lastActivityAt, 0)
      for (const at of [30_000, 60_000, 90_000]) {
        yield* TestClock.setTime(at)
        assert.strictEqual(yield* lastActivityAt, at)
        yield* TestClock.setTime(at + 29_999)
        assert.strictEqual(yield* lastActivityAt, at)
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("counts from the last message", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      const lastActivityAt = Effect.map(connection.info, (info) => info.lastActivityAt)
      yield* TestClock.adjust("20 seconds")
      yield* (yield* peers)[0]!.send("here I am")
      yield* TestClock.setTime(49_999)
      assert.strictEqual(yield* lastActivityAt, 20_000)
      yield* TestClock.setTime(50_000)
      assert.strictEqual(yield* lastActivityAt, 50_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("is up to 1 % shorter for one that would follow the ping of another", () =>
    Effect.gen(function* () {
      const opened: Array<WebSocketConnection.WebSocketConnection> = []
      for (const millis of [0, 200, 100, 1]) {
        yield* TestClock.adjust(millis)
        opened.push(yield* WebSocketPool.get)
      }
      const heardAt = Effect.forEach(opened, ({ info }) => Effect.map(info, ({ lastActivityAt }) => lastActivityAt))
      assert.deepStrictEqual(yield* heardAt, [0, 200, 300, 301])
      yield* TestClock.setTime(29_999)
      assert.deepStrictEqual(yield* heardAt, [0, 200, 300, 301])
      yield* TestClock.setTime(30_000)
      assert.deepStrictEqual(yield* heardAt, [30_000, 30_000, 30_000, 301])
      // The last is alone. What it hears meanwhile counts as ever.
      yield* TestClock.setTime(30_050)
      yield* (yield* peers)[3]!.send("here I am")
      yield* TestClock.setTime(59_999)
      assert.deepStrictEqual(yield* heardAt, [30_000, 30_000, 30_000, 30_050])
      yield* TestClock.setTime(60_000)
      assert.deepStrictEqual(yield* heardAt, [60_000, 60_000, 60_000, 60_000])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("is exact when another one, of which something was heard meanwhile, is only looked at", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      yield* TestClock.adjust(200)
      const connection = yield* WebSocketPool.get
      yield* TestClock.setTime(20_200)
      yield* (yield* peers)[0]!.send("here I am")
      const heardAt = Effect.map(connection.info, ({ lastActivityAt }) => lastActivityAt)
      yield* TestClock.setTime(30_199)
      assert.strictEqual(yield* heardAt, 200)
      yield* TestClock.setTime(30_200)
      assert.strictEqual(yield* heardAt, 30_200)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("is exact beside whatever else is due", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(100)
      const connection = yield* WebSocketPool.get
      // Somebody gives up at 30 seconds.
      yield* Effect.forkChild(WebSocketPool.get)
      const heardAt = Effect.map(connection.info, ({ lastActivityAt }) => lastActivityAt)
      yield* TestClock.setTime(30_099)
      assert.strictEqual(yield* heardAt, 100)
      yield* TestClock.setTime(30_100)
      assert.strictEqual(yield* heardAt, 30_100)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: "29900 millis" })))
  )

  it.effect("does not count what is sent as heard", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* (yield* peers)[0]!.silence
      yield* TestClock.adjust("20 seconds")
      yield* connection.send("anybody there?")
      yield* TestClock.setTime(39_999)
      const reading = yield* Effect.forkChild(Effect.flip(connection.receive))
      yield* settle
      notYet(reading)
      yield* TestClock.setTime(40_000)
      assert.strictEqual((yield* now(reading))._tag, "ConnectionClosedError")
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("pings an idle connection: a silent one is found dead 10 seconds later", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* warm(1)
      yield* (yield* peers)[0]!.silence
      yield* TestClock.adjust("39999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      yield* TestClock.adjust("1 millis")
      const { healthCheckFailures, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ healthCheckFailures, total }, { healthCheckFailures: 1, total: 0 })
      assert.deepStrictEqual(closings(events), [["Unhealthy", 1006]])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("pings a connection that was never leased", () =>
    Effect.gen(function* () {
      yield* settle
      yield* (yield* peers)[0]!.silence
      yield* TestClock.adjust("39999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).closed, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).closed, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1 })))
  )

  for (const [pingInterval, pingTimeout] of [
    ["1 second", "60 seconds"],
    ["5 seconds", never]
  ] as const) {
    it.effect(
      `of ${pingInterval} holds with a pingTimeout of ${pingTimeout === never ? "infinity" : pingTimeout}`,
      () =>
        Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          const every = Duration.toMillis(pingInterval)
          for (const at of [every, 2 * every, 3 * every]) {
            yield* TestClock.setTime(at - 1)
            assert.strictEqual((yield* connection.info).lastActivityAt, at - every)
            yield* TestClock.setTime(at)
            assert.strictEqual((yield* connection.info).lastActivityAt, at)
          }
        }).pipe(Effect.scoped, Effect.provide(poolWith({ pingInterval, pingTimeout })))
    )
  }

  it.effect("of infinity never pings", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* warm(1)
      for (const peer of yield* peers) yield* peer.silence
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* connection.info).state, "busy")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ pingInterval: never, idleTimeout: never })))
  )
})

describe("pingTimeout", () => {
  const dead = { _tag: "ConnectionClosedError", code: 1006, initiator: "Pool" } as const

  it.effect("ends a lease's receive on a silent line 10 seconds after the ping, and not before", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* (yield* peers)[0]!.silence
      const reading = yield* Effect.forkChild(Effect.flip(connection.receive))
      yield* TestClock.adjust("39999 millis")
      notYet(reading)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* now(reading), dead)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("bounds the lease's own ping", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* TestClock.adjust("3 seconds")
      yield* (yield* peers)[0]!.silence
      const ping = yield* Effect.forkChild(Effect.flip(connection.ping))
      yield* TestClock.adjust("9999 millis")
      notYet(ping)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* now(ping), dead)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("ends a blocked send, too", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* (yield* peers)[0]!.silence
      yield* connection.send("1")
      const send = yield* Effect.forkChild(Effect.flip(connection.send("2")))
      yield* TestClock.adjust("39999 millis")
      notYet(send)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* now(send), dead)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ sendBuffer: 0 })))
  )

  it.effect("does not end a send that only the server's slowness blocks", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* connection.send("1")
      const send = yield* Effect.forkChild(connection.send("2"))
      yield* TestClock.adjust("10 minutes")
      notYet(send)
      assert.strictEqual((yield* connection.info).state, "busy")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ sendBuffer: 0 }, () => Effect.never)))
  )

  it.effect("of infinity gives no line up", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* (yield* peers)[0]!.silence
      const ping = yield* Effect.forkChild(connection.ping)
      yield* TestClock.adjust("10 minutes")
      notYet(ping)
      assert.strictEqual((yield* connection.info).state, "busy")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ pingTimeout: never })))
  )
})

describe("validateAfterIdle", () => {
  const silence = Effect.flatMap(peers, (all) => Effect.forEach(all, (peer) => peer.silence))

  it.effect("hands a connection out unseen when it has heard nothing for 5 seconds, and no longer", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* silence
      yield* TestClock.adjust("5 seconds")
      const lease = yield* now(yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle))
      assert.strictEqual(lease.id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("pings one that was silent for longer; when no answer comes for 1 second, the get opens a new one", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      const [id] = yield* ids(1)
      yield* silence
      yield* TestClock.adjust("5001 millis")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("999 millis")
      notYet(get)
      assert.strictEqual((yield* peers).length, 1)
      yield* TestClock.adjust("1 millis")
      assert.notStrictEqual((yield* now(get)).id, id)
      assert.deepStrictEqual(closings(events), [["Unhealthy", 1006]])
      assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("hands out one that answers, at once", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* TestClock.adjust("5001 millis")
      const lease = yield* now(yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle))
      assert.strictEqual(lease.id, id)
      const { busy, opened, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ busy, opened, total }, { busy: 1, opened: 1, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("does so once per get, and has idle ones that were as silent checked", () =>
    Effect.gen(function* () {
      const before = yield* ids(3)
      yield* silence
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      assert.notInclude(before, (yield* now(get)).id)

      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).closed, 1)
      yield* TestClock.adjust("1 millis")
      const { closed, healthCheckFailures, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ closed, healthCheckFailures, total }, { closed: 3, healthCheckFailures: 3, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("opens a new one at the limit, too, once the dead one is gone", () =>
    Effect.gen(function* () {
      yield* warm(1)
      yield* silence
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("1 second")
      yield* now(get)
      assert.strictEqual((yield* peers).length, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("does not ping what is paused by a greeting past receiveBuffer", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const connection = yield* now(
        yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), () => TestClock.adjust("1 second"))
      )
      assert.strictEqual(yield* connection.receive, "welcome")
      assert.strictEqual(yield* connection.receive, "to all of you")
      assert.strictEqual((yield* WebSocketPool.stats).opened, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ minConnections: 1, receiveBuffer: 10 }, greet("welcome", "to all of you")))
    )
  )

  it.effect("of 0 checks whatever has been silent for a millisecond", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      assert.deepStrictEqual(yield* ids(1), [id])
      yield* silence
      yield* TestClock.adjust("1 millis")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("1 second")
      assert.notStrictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ validateAfterIdle: 0 })))
  )

  it.effect("of infinity validates nothing", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* silence
      yield* TestClock.adjust("29 seconds")
      const lease = yield* now(yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle))
      assert.strictEqual(lease.id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ validateAfterIdle: never })))
  )
})

describe("healthCheck", () => {
  /** One that counts how often it is run. */
  const counting = <A, E>(check: Effect.Effect<A, E>) => {
    const counter = { checks: 0 }
    const healthCheck = () =>
      Effect.suspend(() => {
        counter.checks += 1
        return check
      })
    return { counter, healthCheck }
  }

  it.effect("takes the place of the pings of an idle connection, once per pingInterval, whatever it hears", () => {
    const { counter, healthCheck } = counting(Effect.void)
    return Effect.gen(function* () {
      yield* warm(1)
      for (const checks of [1, 2, 3]) {
        yield* TestClock.adjust("29999 millis")
        assert.strictEqual(counter.checks, checks - 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(counter.checks, checks)
      }
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck, idleTimeout: never })))
  })

  it.effect("leaves leased connections to pings", () => {
    const { counter, healthCheck } = counting(Effect.void)
    return Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(counter.checks, 0)
      assert.strictEqual((yield* connection.info).lastActivityAt, 30_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck })))
  })

  it.effect("takes the place of validation, and is run for a connection that was silent for longer only", () => {
    const { counter, healthCheck } = counting(Effect.void)
    return Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* ids(1), [id])
      assert.strictEqual(counter.checks, 0)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* ids(1), [id])
      assert.strictEqual(counter.checks, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck })))
  })

  for (const [what, healthCheck] of [
    ["fails", () => Effect.fail("sick")],
    ["dies", () => Effect.die("sick")],
    [
      "throws",
      () => {
        throw "sick"
      }
    ]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<never, string>]>) {
    it.effect(`closes the connection as unhealthy when it ${what}; a get opens a new one`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* WebSocketPool.WebSocketPool)
        const [id] = yield* ids(1)
        yield* TestClock.adjust("6 seconds")
        assert.notDeepEqual(yield* ids(1), [id])
        assert.deepStrictEqual(
          closings(events).map(([reason]) => reason),
          ["Unhealthy"]
        )
        yield* TestClock.adjust("30 seconds")
        const { closed, healthCheckFailures, total } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, healthCheckFailures, total }, { closed: 2, healthCheckFailures: 2, total: 0 })
      }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck })))
    )
  }

  it.effect("of an idle connection is bounded by pingTimeout", () =>
    Effect.gen(function* () {
      yield* warm(1)
      yield* TestClock.adjust("39999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 0)
      yield* TestClock.adjust("1 millis")
      const { healthCheckFailures, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ healthCheckFailures, total }, { healthCheckFailures: 1, total: 0 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck: () => Effect.uninterruptible(Effect.never) })))
  )

  it.effect("before a lease is bounded by 1 second", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      assert.notStrictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck: () => Effect.never })))
  )

  it.effect("before a lease on a silent line is bounded by 1 second, the closing handshake aside", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* (yield* peers)[0]!.silence
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("1 second")
      assert.notStrictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck: (connection) => connection.ping })))
  )

  it.effect("may talk with the server through a handle of its own", () =>
    Effect.gen(function* () {
      const [id] = yield* ids(1)
      yield* TestClock.adjust("6 seconds")
      const connection = yield* WebSocketPool.get
      assert.strictEqual(connection.id, id)
      assert.strictEqual((yield* connection.info).leases, 2)
      assert.deepStrictEqual((yield* peers)[0]!.received, ["are you there?"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith(
          { healthCheck: (connection) => Effect.andThen(connection.send("are you there?"), connection.receive) },
          (peer) => Effect.forever(Effect.flatMap(peer.receive, () => peer.send("yes")))
        )
      )
    )
  )
})
