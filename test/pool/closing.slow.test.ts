import { PoolError, type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError } from "#support/configErrors"
import { tracking } from "#support/fibers"
import { logger } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { echo, isRunning, layerOf, lease, makeServer, quiet, type Server, scenario, settle } from "../support/wire.js"

type Pool = WebSocketPool.WebSocketPool
type Options = Partial<WebSocketPool.Options>

const closed = (error: PoolError.PoolError | undefined) => {
  assert.instanceOf(error, PoolError.ConnectionClosedError)
  return { code: error.code, initiator: error.initiator }
}

const byPool = { code: 1001, initiator: "Pool" } as const

/** Closes a pool and asserts that it takes exactly so long. */
const takes = (pool: Pool, millis: number) =>
  Effect.gen(function* () {
    const closing = yield* Effect.forkChild(pool.close)
    yield* settle
    if (millis > 0) {
      if (millis > 1) yield* TestClock.adjust(millis - 1)
      yield* settle
      assert.isTrue(isRunning(closing), `not yet after ${millis - 1} ms`)
      yield* TestClock.adjust(1)
      yield* settle
    }
    assert.isFalse(isRunning(closing), `over after ${millis} ms`)
    const { state, total } = yield* pool.stats
    assert.deepStrictEqual({ state, total }, { state: "closed", total: 0 })
  })

/** A pool whose fibers are tracked. */
const supervised = (server: Server, options: Options) =>
  Effect.gen(function* () {
    const { count, track } = yield* tracking
    const scope = yield* Scope.make()
    const pool = yield* WebSocketPool.make({ ...quiet, ...options }).pipe(
      Scope.provide(scope),
      track,
      Effect.provide(yield* Layer.build(server.layer))
    )
    return { pool, fibers: count, close: Scope.close(scope, Exit.void) }
  })

const warnings = () => {
  const messages: Array<string> = []
  return { messages, layer: logger(({ message }) => messages.push(message), "Warn") }
}

describe("closing the scope", () => {
  it.effect("ends at once when Effect.scoped is inside of Effect.provide", () => {
    const server = echo()
    const log = warnings()
    return Effect.gen(function* () {
      const answer = yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* connection.send("Hello, World!")
        return yield* connection.receive
      }).pipe(Effect.scoped, Effect.provide(layerOf(server)))
      assert.strictEqual(answer, "Hello, World!")
      assert.strictEqual(server.counts.sockets, 0)
      assert.deepStrictEqual(server.counts.closes, [1001])
      assert.deepStrictEqual(log.messages, [])
    }).pipe(Effect.provide(log.layer))
  })

  it.effect("takes the full shutdownTimeout, and warns, when Effect.scoped is outside", () => {
    const server = echo()
    const log = warnings()
    return Effect.gen(function* () {
      let handle: WebSocketConnection.WebSocketConnection | undefined
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Effect.provide(
              WebSocketPool.get,
              layerOf(server, { shutdownTimeout: "5 seconds" })
            )
            handle = connection
            const errors = [
              yield* Effect.flip(connection.receive),
              yield* Effect.flip(connection.send("x")),
              yield* Effect.flip(connection.ping)
            ]
            assert.deepStrictEqual(errors.map(closed), [byPool, byPool, byPool])
            return "done"
          })
        )
      )
      yield* settle
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isTrue(isRunning(fiber))
      assert.isUndefined(handle)
      assert.strictEqual(server.counts.sockets, 1)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      assert.strictEqual(server.counts.sockets, 0)
      assert.strictEqual(log.messages.length, 1)
      assert.strictEqual((yield* Effect.flip(handle!.receive))._tag, "ConnectionBusyError")
    }).pipe(Effect.provide(log.layer))
  })
})

describe("close", () => {
  it.effect("fails new and waiting gets at once", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        const waiters = yield* Effect.forEach(
          [Effect.scoped(pool.get), Effect.scoped(pool.getNew), pool.use(Effect.succeed), pool.useNew(Effect.succeed)],
          (get) => Effect.forkChild(Effect.flip(get))
        )
        yield* settle
        const closing = yield* Effect.forkChild(pool.close)
        yield* settle
        for (const waiter of waiters) {
          assert.isFalse(isRunning(waiter))
          assert.strictEqual((yield* Fiber.join(waiter))._tag, "PoolClosedError")
        }
        assert.strictEqual((yield* Effect.flip(Effect.scoped(pool.get)))._tag, "PoolClosedError")
        assert.strictEqual((yield* Effect.flip(pool.use(Effect.succeed)))._tag, "PoolClosedError")
        assert.strictEqual((yield* Effect.flip(pool.ready))._tag, "PoolClosedError")
        assert.strictEqual((yield* pool.stats).state, "closing")
        yield* release
        yield* settle
        assert.isFalse(isRunning(closing))
      })
    )
  })

  it.effect("lets leases work on, and ends when the last one is given back", () => {
    const server = echo()
    return scenario(server, { shutdownTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        const closing = yield* Effect.forkChild(pool.close)
        yield* TestClock.adjust("4 seconds")
        yield* connection.send("still")
        assert.strictEqual(yield* connection.receive, "still")
        yield* release
        yield* settle
        assert.isFalse(isRunning(closing))
        assert.deepStrictEqual(server.counts.closes, [1001])
      })
    )
  })

  it.effect("ends leases after shutdownTimeout with 1001 by the pool, after what had arrived", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const other = yield* pool.get
        const receiving = yield* Effect.forkChild(Effect.flip(other.receive))
        yield* (yield* server.peer(0)).send("arrived")
        yield* takes(pool, 5000)
        assert.deepStrictEqual(closed(yield* Fiber.join(receiving)), byPool)
        assert.strictEqual(yield* connection.receive, "arrived")
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), byPool)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.send("x"))), byPool)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.ping)), byPool)
        assert.strictEqual((yield* server.peer(0)).end()?.code, 1001)
        // It may well be closed and discarded still.
        yield* connection.close()
        yield* connection.discard
      })
    )
  })

  it.effect("ends leases with 1001 when no time is left for a closing handshake, too", () => {
    const server = makeServer()
    // Other timers stir the order of those that are due at once.
    const options = { shutdownTimeout: "5 seconds", closeTimeout: 0, idleTimeout: "1 second" } as const
    return scenario(server, options, (pool) =>
      Effect.gen(function* () {
        const connections = [yield* pool.get, yield* pool.get]
        yield* takes(pool, 5000)
        for (const connection of connections) {
          assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), byPool)
        }
      })
    )
  })

  it.effect("takes shutdownTimeout and closeTimeout when the server of a lease is silent", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "5 seconds", closeTimeout: "2 seconds" }, (pool) =>
      Effect.gen(function* () {
        yield* pool.get
        yield* (yield* server.peer(0)).silence
        yield* takes(pool, 7000)
        assert.strictEqual(server.counts.sockets, 0)
      })
    )
  })

  it.effect("takes closeTimeout when the server of an idle connection is silent", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "5 seconds", closeTimeout: "2 seconds" }, (pool) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        yield* (yield* server.peer(0)).silence
        yield* takes(pool, 2000)
      })
    )
  })

  it.effect("takes no time when shutdownTimeout is 0 and the server answers", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: 0 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const closing = yield* Effect.forkChild(pool.close)
        yield* TestClock.adjust(0)
        yield* settle
        assert.isFalse(isRunning(closing))
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), byPool)
      })
    )
  })

  it.effect("waits for leases as long as it takes when shutdownTimeout is infinite", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: Duration.infinity }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        const closing = yield* Effect.forkChild(pool.close)
        yield* TestClock.adjust("10 hours")
        yield* settle
        assert.isTrue(isRunning(closing))
        yield* release
        yield* settle
        assert.isFalse(isRunning(closing))
      })
    )
  })

  it.effect("can be called from everywhere, again and again, and inside of a lease", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const inside = yield* Effect.forkChild(pool.use(() => pool.close))
        yield* settle
        const outside = yield* Effect.forkChild(pool.close)
        yield* settle
        assert.isTrue(isRunning(inside))
        yield* TestClock.adjust("5 seconds")
        yield* settle
        assert.isFalse(isRunning(inside))
        assert.isFalse(isRunning(outside))
        yield* pool.close
        assert.strictEqual((yield* pool.stats).state, "closed")
      })
    )
  })

  it.effect("tells PoolClosing, the closed connections and PoolClosed, and ends the stream of events", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        const events = yield* Effect.forkChild(Stream.runCollect(pool.events))
        yield* settle
        yield* pool.close
        yield* settle
        const collected: ReadonlyArray<PoolEvent.PoolEvent> = Array.from(yield* Fiber.join(events))
        assert.deepStrictEqual(
          collected.map((event) => (event._tag === "ConnectionClosed" ? `${event.reason} ${event.code}` : event._tag)),
          ["PoolClosing", "Shutdown 1001", "PoolClosed"]
        )
        assert.strictEqual(Array.from(yield* Stream.runCollect(pool.events)).length, 0)
      })
    )
  })

  it.effect("answers everything afterwards", () => {
    const server = makeServer()
    return scenario(server, { minConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ready
        yield* pool.close
        assert.strictEqual((yield* Effect.flip(pool.use(Effect.succeed)))._tag, "PoolClosedError")
        assert.strictEqual((yield* Effect.flip(Effect.scoped(pool.getNew)))._tag, "PoolClosedError")
        assert.strictEqual((yield* Effect.flip(pool.ready))._tag, "PoolClosedError")
        yield* pool.refresh
        yield* pool.resize({ minConnections: 5 })
        yield* TestClock.adjust("1 minute")
        yield* settle
        const { closed, opened, total } = yield* pool.stats
        assert.deepStrictEqual({ closed, opened, total }, { closed: 1, opened: 1, total: 0 })
        assert.strictEqual(server.peers.length, 1)
      })
    )
  })

  const never = {
    interruptible: Effect.interruptible(Effect.never),
    uninterruptible: Effect.uninterruptible(Effect.never)
  }
  const attempt = (pool: Pool) => Effect.asVoid(Effect.forkScoped(Effect.ignore(Effect.scoped(pool.get))))
  const used = (pool: Pool) => Effect.ignore(pool.use(() => Effect.void))
  for (const kind of ["interruptible", "uninterruptible"] as const) {
    const hanging: ReadonlyArray<
      readonly [
        string,
        Options,
        (pool: Pool) => Effect.Effect<void, never, Scope.Scope>,
        (Effect.Effect<never> | undefined)?
      ]
    > = [
      ["a handshake", {}, attempt, never[kind]],
      ["url", { url: never[kind] }, attempt],
      ["headers", { headers: never[kind] }, attempt],
      ["onConnect", { onConnect: () => never[kind] }, attempt],
      ["onRelease", { onRelease: () => never[kind] }, used],
      [
        "a healthCheck before a lease",
        { healthCheck: () => never[kind], validateAfterIdle: "1 second" },
        (pool) => Effect.andThen(Effect.andThen(used(pool), TestClock.adjust("2 seconds")), attempt(pool))
      ],
      [
        "a healthCheck while idle",
        { healthCheck: () => never[kind], pingInterval: "1 second" },
        (pool) => Effect.andThen(used(pool), TestClock.adjust("1500 millis"))
      ]
    ]
    for (const [name, options, begin, accept] of hanging) {
      // A fiber that cannot be interrupted is waited for, as long as closing may take.
      const isWaitedFor = kind === "uninterruptible" && accept === undefined
      it.effect(`waits ${isWaitedFor ? "no longer than it may" : "not"} for ${name} that hangs, ${kind}`, () => {
        const server = makeServer(accept === undefined ? {} : { accept: () => accept })
        return scenario(server, { connectTimeout: Duration.infinity, ...options }, (pool) =>
          Effect.gen(function* () {
            yield* begin(pool)
            yield* settle
            assert.strictEqual((yield* pool.stats).total, 1)
            yield* takes(pool, isWaitedFor ? 7000 : 0)
            assert.strictEqual(server.counts.sockets, 0)
            assert.strictEqual(server.counts.live, 0)
          })
        )
      })
    }
  }

  it.effect("gives up while retrying", () => {
    const server = makeServer({ accept: () => Effect.fail(503) })
    return scenario(server, { minConnections: 2, retry: Schedule.spaced("1 hour") }, (pool) =>
      Effect.gen(function* () {
        const get = yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get)))
        yield* settle
        yield* takes(pool, 0)
        assert.strictEqual((yield* Fiber.join(get))._tag, "PoolClosedError")
      })
    )
  })

  it.effect("gives up while it pauses between two rounds of retries", () => {
    const server = makeServer({ accept: () => Effect.fail(503) })
    return scenario(server, { minConnections: 2, retry: Schedule.recurs(0) }, (pool) =>
      Effect.gen(function* () {
        yield* settle
        assert.strictEqual((yield* pool.stats).total, 0)
        yield* takes(pool, 0)
        const { connectFailures } = yield* pool.stats
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.strictEqual((yield* pool.stats).connectFailures, connectFailures)
      })
    )
  })

  it.effect("closes draining connections at once with 1001", () => {
    const server = makeServer()
    return scenario(server, { drain: { quietPeriod: "1 minute" } }, (pool) =>
      Effect.gen(function* () {
        yield* used(pool)
        assert.strictEqual((yield* pool.stats).draining, 1)
        yield* takes(pool, 0)
        assert.deepStrictEqual(server.counts.closes, [1001])
      })
    )
  })

  it.effect("waits for what onConnect's scope has to release", () => {
    const log: Array<string> = []
    const server = makeServer()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({
        ...quiet,
        onConnect: () =>
          Effect.addFinalizer(() =>
            Effect.andThen(
              Effect.sleep("1 second"),
              Effect.sync(() => log.push("released"))
            )
          )
      })
      yield* used(pool)
      yield* takes(pool, 1000)
      assert.deepStrictEqual(log, ["released"])
    }).pipe(Effect.scoped, Effect.provide(server.layer))
  })

  it.effect("is bounded by shutdownTimeout and closeTimeout when a finaliser hangs", () => {
    const server = makeServer()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({
        ...quiet,
        shutdownTimeout: "5 seconds",
        closeTimeout: "2 seconds",
        onConnect: () => Effect.addFinalizer(() => Effect.never)
      })
      yield* used(pool)
      yield* takes(pool, 7000)
    }).pipe(Effect.scoped, Effect.provide(server.layer))
  })

  it.effect("leaves no fiber, whatever was under way", () => {
    const server = makeServer()
    return Effect.gen(function* () {
      const { close, fibers, pool } = yield* supervised(server, {
        minConnections: 2,
        pingInterval: "10 seconds",
        idleTimeout: "1 minute",
        validateAfterIdle: "5 seconds",
        connectionTTL: "1 hour",
        drain: { quietPeriod: "1 second" },
        onConnect: () => Effect.yieldNow,
        onRelease: () => Effect.yieldNow,
        healthCheck: (connection) => connection.ping
      })
      yield* pool.ready
      yield* pool.use(() => Effect.void)
      yield* pool.useNew(() => Effect.void)
      yield* TestClock.adjust("30 seconds")
      yield* used(pool)
      const { connection } = yield* lease(pool)
      const waiting = yield* Effect.forkChild(Effect.exit(connection.receive))
      yield* settle
      assert.isAbove(yield* fibers, 0)
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(yield* fibers, 0)
      yield* Fiber.join(waiting)
      assert.strictEqual(server.counts.sockets, 0)
      // Nor does anything happen afterwards.
      const { stats } = pool
      const before = yield* stats
      yield* TestClock.adjust("2 hours")
      yield* settle
      assert.deepStrictEqual(yield* stats, before)
      assert.strictEqual(yield* fibers, 0)
    }).pipe(Effect.scoped)
  })

  for (const [name, options] of [
    ["connecting", { onConnect: () => Effect.never }],
    ["in onRelease", { onRelease: () => Effect.never }],
    ["idle", {}]
  ] as const) {
    it.effect(`leaves no fiber when it is closed while ${name}`, () => {
      const server = makeServer()
      return Effect.gen(function* () {
        const { close, fibers, pool } = yield* supervised(server, options)
        yield* Effect.forkScoped(Effect.ignore(used(pool)))
        yield* settle
        yield* close
        // What was interrupted has a turn to end.
        yield* settle
        assert.strictEqual(yield* fibers, 0)
      }).pipe(Effect.scoped)
    })
  }

  it.effect("has no more fibers the more connections are idle", () => {
    const server = makeServer()
    return Effect.gen(function* () {
      const { close, fibers, pool } = yield* supervised(server, { pingInterval: "10 seconds", maxConnections: 20 })
      yield* Effect.forEach(Array.from({ length: 20 }), () => pool.use(() => Effect.yieldNow), { concurrency: 20 })
      yield* settle
      assert.isAtMost(yield* fibers, 3)
      yield* close
    }).pipe(Effect.scoped)
  })

  it.effect("is no business of a lease that is released later", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "1 second" }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        yield* takes(pool, 1000)
        const before = yield* pool.stats
        yield* release
        const after = yield* pool.stats
        assert.deepStrictEqual(after, { ...before, released: 1 })
      })
    )
  })

  it.effect("counts its messages as dropped when such a lease leaves them unread", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "1 second" }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        yield* (yield* server.peer(0)).send("unread")
        yield* takes(pool, 1000)
        yield* release
        assert.strictEqual((yield* pool.stats).messagesDropped, 1)
      })
    )
  })
})

describe("a layer", () => {
  it.effect("is built once where it is memoised, anew where it is not", () => {
    const server = makeServer()
    const layer = WebSocketPool.layer({ ...quiet, minConnections: 1 })
    class A extends WebSocketPool.Tag("A")<A>() {}
    return Effect.gen(function* () {
      const shared = Layer.merge(
        Layer.effect(
          A,
          Effect.map(WebSocketPool.WebSocketPool, (pool) => pool)
        ).pipe(Layer.provide(layer)),
        layer
      )
      yield* Effect.gen(function* () {
        assert.strictEqual<unknown>(yield* A, yield* WebSocketPool.WebSocketPool)
        yield* (yield* WebSocketPool.WebSocketPool).ready
        assert.strictEqual(server.peers.length, 1)
      }).pipe(Effect.provide(shared))
      const again = Layer.merge(
        Layer.effect(
          A,
          Effect.map(WebSocketPool.WebSocketPool, (pool) => pool)
        ).pipe(Layer.provide(Layer.fresh(layer))),
        layer
      )
      yield* Effect.gen(function* () {
        const [a, b] = [yield* A, yield* WebSocketPool.WebSocketPool]
        assert.notStrictEqual<unknown>(a, b)
        yield* a.ready
        yield* b.ready
        assert.strictEqual(server.peers.length, 3)
        yield* a.close
        yield* b.use(() => Effect.void)
      }).pipe(Effect.provide(again))
      yield* settle
      assert.strictEqual(server.counts.sockets, 0)
    }).pipe(Effect.provide(server.layer))
  })

  it.effect("keeps pools with tags of their own apart", () => {
    const [serverA, serverB] = [echo(), echo()]
    class A extends WebSocketPool.Tag("A")<A>() {}
    class B extends WebSocketPool.Tag("B")<B>() {}
    return Effect.gen(function* () {
      const a = yield* A.use(({ id }) => Effect.succeed(id))
      const b = yield* Effect.scoped(Effect.map(B.get, ({ id }) => id))
      assert.deepStrictEqual([a, b], ["a-1", "b-1"])
      yield* A.useNew(() => Effect.void)
      yield* Effect.scoped(A.getNew)
      assert.strictEqual((yield* A.stats).opened, 3)
      assert.strictEqual((yield* B.stats).opened, 1)
      const events = yield* Effect.forkChild(Stream.runHead(B.events))
      yield* settle
      yield* B.use(() => Effect.void)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(events)))
    }).pipe(
      Effect.provide(
        Layer.merge(
          Layer.provide(A.layer({ ...quiet, name: "a" }), serverA.layer),
          Layer.provide(B.layer({ ...quiet, name: "b" }), serverB.layer)
        )
      )
    )
  })
})

describe("ready", () => {
  it.effect("is there at once when nothing has to be", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) => pool.ready)
  })

  it.effect("waits until minConnections are open, and for the next round after one that failed", () => {
    let fails = true
    const server = makeServer({ accept: () => Effect.suspend(() => (fails ? Effect.fail(503) : Effect.void)) })
    return scenario(server, { minConnections: 2 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(Effect.flip(pool.ready))
        yield* settle
        assert.isTrue(isRunning(first))
        yield* TestClock.adjust("2 seconds")
        yield* settle
        const error = yield* Fiber.join(first)
        assert.instanceOf(error, PoolError.ConnectionUnavailableError)
        assert.deepStrictEqual([error.reason, error.status, error.attempts], ["Handshake", 503, 4])
        fails = false
        const second = yield* Effect.forkChild(pool.ready)
        yield* TestClock.adjust("20 seconds")
        yield* settle
        yield* Fiber.join(second)
        assert.strictEqual((yield* pool.stats).idle, 2)
      })
    )
  })

  it.effect("fails when the pool is closed meanwhile", () => {
    const server = makeServer({ accept: () => Effect.never })
    return scenario(server, { minConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const ready = yield* Effect.forkChild(Effect.flip(pool.ready))
        yield* settle
        yield* pool.close
        assert.strictEqual((yield* Fiber.join(ready))._tag, "PoolClosedError")
      })
    )
  })

  it.effect("counts connections that are leased", () => {
    const server = makeServer()
    return scenario(server, { minConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.get
        yield* pool.ready
      })
    )
  })
})

describe("resize", () => {
  it.effect("opens what a larger minimum calls for, and lets more waiters in at a larger maximum", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.get
        const waiter = yield* Effect.forkChild(pool.use(Effect.succeed))
        yield* settle
        assert.isTrue(isRunning(waiter))
        yield* pool.resize({ maxConnections: 2 })
        yield* settle
        assert.isFalse(isRunning(waiter))
        yield* pool.resize({ minConnections: 4, maxConnections: 5 })
        yield* pool.ready
        const { maxConnections, minConnections, total } = yield* pool.stats
        assert.deepStrictEqual(
          { maxConnections, minConnections, total },
          { maxConnections: 5, minConnections: 4, total: 4 }
        )
      })
    )
  })

  it.effect("closes draining ones, then the least recently used idle ones, then leased ones when given back", () => {
    const server = makeServer()
    return scenario(
      server,
      { drain: { quietPeriod: "1 minute", timeout: Duration.infinity }, maxConnections: 5 },
      (pool) =>
        Effect.gen(function* () {
          const states = () =>
            Effect.map(
              Effect.forEach(leases, ({ connection }) => connection.info),
              (infos) => infos.map(({ state }) => state)
            )
          const leases = [
            yield* lease(pool),
            yield* lease(pool),
            yield* lease(pool),
            yield* lease(pool),
            yield* lease(pool)
          ]
          yield* leases[1]!.release
          yield* TestClock.adjust("1 second")
          yield* leases[0]!.release
          yield* TestClock.adjust("1 minute")
          yield* leases[2]!.release
          assert.deepStrictEqual(yield* states(), ["idle", "idle", "draining", "busy", "busy"])
          yield* pool.resize({ maxConnections: 4 })
          yield* settle
          assert.deepStrictEqual(yield* states(), ["idle", "idle", "closed", "busy", "busy"])
          yield* pool.resize({ maxConnections: 3 })
          yield* settle
          assert.deepStrictEqual(yield* states(), ["idle", "closed", "closed", "busy", "busy"])
          yield* pool.resize({ maxConnections: 1 })
          yield* settle
          assert.deepStrictEqual(yield* states(), ["closed", "closed", "closed", "busy", "busy"])
          yield* leases[4]!.release
          yield* settle
          assert.deepStrictEqual(yield* states(), ["closed", "closed", "closed", "busy", "closed"])
          yield* leases[3]!.release
          yield* settle
          assert.deepStrictEqual((yield* states())[3], "draining")
          assert.strictEqual((yield* pool.stats).total, 1)
        })
    )
  })

  it.effect("refuses bad limits with a ConfigError that names each, and changes nothing", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 5 }, (pool) =>
      Effect.gen(function* () {
        for (const limits of [
          { maxConnections: 0 },
          { maxConnections: 1.5 },
          { maxConnections: -1 },
          { maxConnections: Number.NaN },
          { minConnections: -1 },
          { minConnections: 6 },
          { minConnections: 3, maxConnections: 2 }
        ]) {
          const error = yield* Effect.flip(pool.resize(limits))
          assert.isTrue(isConfigError(error))
          const message = String(error)
          assert.isTrue(
            Object.keys(limits).some((key) => message.includes(key)),
            message
          )
        }
        const both = String(yield* Effect.flip(pool.resize({ minConnections: -1, maxConnections: 0 })))
        assert.include(both, "minConnections")
        assert.include(both, "maxConnections")
        const { maxConnections, minConnections } = yield* pool.stats
        assert.deepStrictEqual({ maxConnections, minConnections }, { maxConnections: 5, minConnections: 0 })
        yield* pool.resize({})
        yield* pool.resize({ minConnections: undefined })
      })
    )
  })

  it.effect("tells PoolResized", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const event = yield* Effect.forkChild(Stream.runHead(pool.events))
        yield* settle
        yield* pool.resize({ maxConnections: 7 })
        const head = yield* Fiber.join(event)
        assert.isTrue(head._tag === "Some" && head.value._tag === "PoolResized" && head.value.maxConnections === 7)
      })
    )
  })
})

describe("refresh", () => {
  it.effect("replaces idle and draining ones now, leased ones when given back, connecting ones when ready", () => {
    let gate: Deferred.Deferred<void> | undefined
    const server = makeServer({
      accept: () => Effect.suspend(() => (gate === undefined ? Effect.void : Deferred.await(gate)))
    })
    return scenario(
      server,
      { drain: { quietPeriod: "1 minute", timeout: Duration.infinity }, maxConnections: 5 },
      (pool) =>
        Effect.gen(function* () {
          const idle = yield* lease(pool)
          const draining = yield* lease(pool)
          const leased = yield* lease(pool)
          yield* idle.release
          yield* TestClock.adjust("1 minute")
          yield* draining.release
          gate = Deferred.makeUnsafe()
          const connecting = yield* Effect.forkChild(lease(pool, "getNew"))
          yield* settle
          const before = (yield* pool.stats).opened
          yield* pool.refresh
          yield* settle
          const state = (one: typeof idle) => Effect.map(one.connection.info, (info) => info.state)
          assert.deepStrictEqual(
            [yield* state(idle), yield* state(draining), yield* state(leased)],
            ["closed", "closed", "busy"]
          )
          yield* Deferred.succeed(gate, void 0)
          yield* settle
          const fresh = yield* Fiber.join(connecting)
          assert.strictEqual(
            (yield* pool.stats).opened,
            before + 2,
            "the one that was connecting was closed when ready"
          )
          yield* leased.release
          yield* settle
          assert.strictEqual(yield* state(leased), "closed")
          assert.strictEqual(yield* state(fresh), "busy")
          assert.isTrue(server.counts.closes.every((code) => code === 1000))
        })
    )
  })

  it.effect("keeps minConnections", () => {
    const server = makeServer()
    return scenario(server, { minConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ready
        yield* pool.refresh
        yield* TestClock.adjust("1 second")
        yield* settle
        const { closed, idle, opened } = yield* pool.stats
        assert.deepStrictEqual({ closed, idle, opened }, { closed: 3, idle: 3, opened: 6 })
      })
    )
  })
})

describe("hooks that throw", () => {
  const boom = (): never => {
    throw new Error("boom")
  }
  it.effect("make nobody die", () => {
    const server = makeServer()
    const log = warnings()
    return Effect.gen(function* () {
      yield* scenario(server, { onRelease: boom }, (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* settle
          assert.strictEqual((yield* pool.stats).total, 0)
        })
      )
      yield* scenario(makeServer(), { onConnect: boom, retry: Schedule.recurs(0) }, (pool) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(pool.use(() => Effect.void))
          assert.instanceOf(error, PoolError.ConnectionUnavailableError)
          assert.strictEqual(error.reason, "Setup")
        })
      )
      yield* scenario(makeServer(), { url: Effect.sync(boom), retry: Schedule.recurs(0) }, (pool) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(pool.use(() => Effect.void))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause) && !Cause.hasDies(exit.cause))
        })
      )
      yield* scenario(makeServer(), { healthCheck: boom, pingInterval: "1 second" }, (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* TestClock.adjust("1 second")
          yield* settle
          const { healthCheckFailures, total } = yield* pool.stats
          assert.deepStrictEqual({ healthCheckFailures, total }, { healthCheckFailures: 1, total: 0 })
        })
      )
      assert.isAtLeast(log.messages.length, 2)
    }).pipe(Effect.provide(log.layer))
  })
})
