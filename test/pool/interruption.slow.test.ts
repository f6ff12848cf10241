import type { PoolError, WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Random from "#effect/Random"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { poll, seeded } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { closes, isRunning, lease, makeServer, type Server, scenario, settle, yields } from "../support/wire.js"

type Pool = WebSocketPool.WebSocketPool
type Options = Partial<WebSocketPool.Options>

/** Asserts that an interruption takes effect at once. */
const interrupted = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* settle
    assert.isTrue(isRunning(fiber), "it waits")
    yield* Effect.forkDetach(Fiber.interrupt(fiber))
    yield* settle
    const exit = poll(fiber)
    assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit), "it was interrupted at once")
  })

const now = (pool: Pool) =>
  Effect.map(pool.stats, ({ busy, connecting, draining, idle, total, waiting }) => ({
    busy,
    connecting,
    draining,
    idle,
    total,
    waiting
  }))

const kinds = { interruptible: Effect.interruptible, uninterruptible: Effect.uninterruptible }

const none = { busy: 0, connecting: 0, draining: 0, idle: 0, total: 0, waiting: 0 }

const ways: ReadonlyArray<readonly [string, (pool: Pool) => Effect.Effect<unknown, PoolError.AcquireError>]> = [
  ["get", (pool) => Effect.scoped(pool.get)],
  ["getNew", (pool) => Effect.scoped(pool.getNew)],
  ["use", (pool) => pool.use(() => Effect.void)],
  ["useNew", (pool) => pool.useNew(() => Effect.void)]
]

for (const [name, acquire] of ways) {
  describe(`${name} can be interrupted`, () => {
    it.effect("in line", () => {
      const server = makeServer()
      return scenario(server, { maxConnections: 1 }, (pool) =>
        Effect.gen(function* () {
          const first = yield* lease(pool)
          const waiter = yield* Effect.forkChild(acquire(pool))
          const other = yield* Effect.forkChild(pool.use(() => Effect.succeed("other")))
          yield* interrupted(waiter)
          assert.deepStrictEqual(yield* now(pool), { ...none, busy: 1, total: 1, waiting: 1 })
          yield* first.release
          yield* settle
          assert.strictEqual(yield* Fiber.join(other), "other")
          assert.deepStrictEqual(yield* now(pool), { ...none, idle: 1, total: 1 })
        })
      )
    })

    for (const kind of ["interruptible", "uninterruptible"] as const) {
      it.effect(`while connecting, in an ${kind} handshake, which then serves the next`, () => {
        const gate = Deferred.makeUnsafe<void>()
        const server = makeServer({ accept: () => kinds[kind](Deferred.await(gate)) })
        return scenario(server, {}, (pool) =>
          Effect.gen(function* () {
            const waiter = yield* Effect.forkChild(acquire(pool))
            yield* interrupted(waiter)
            assert.deepStrictEqual(yield* now(pool), { ...none, connecting: 1, total: 1 })
            yield* Deferred.succeed(gate, void 0)
            yield* settle
            assert.deepStrictEqual(yield* now(pool), { ...none, idle: 1, total: 1 })
            yield* pool.use(() => Effect.void)
            assert.strictEqual(server.peers.length, 1)
          })
        )
      })

      it.effect(`while connecting, in an ${kind} handshake that never ends`, () => {
        const server = makeServer({ accept: () => kinds[kind](Effect.never) })
        return scenario(server, { connectTimeout: "10 seconds", maxConnections: 1 }, (pool) =>
          Effect.gen(function* () {
            const waiter = yield* Effect.forkChild(acquire(pool))
            yield* interrupted(waiter)
            yield* TestClock.adjust("9999 millis")
            assert.deepStrictEqual(yield* now(pool), { ...none, connecting: 1, total: 1 })
            yield* TestClock.adjust("1 millis")
            yield* settle
            assert.deepStrictEqual(yield* now(pool), none)
            assert.strictEqual((yield* pool.stats).connectFailures, 1)
          })
        )
      })

      const hooks: ReadonlyArray<readonly [string, Options]> = [
        ["url", { url: kinds[kind](Effect.never) }],
        ["headers", { headers: kinds[kind](Effect.never) }],
        ["onConnect", { onConnect: () => kinds[kind](Effect.never) }]
      ]
      for (const [hook, options] of hooks) {
        it.effect(`in an ${kind} ${hook} that never ends, and connectTimeout ends that`, () => {
          const server = makeServer()
          return scenario(server, { ...options, connectTimeout: "10 seconds" }, (pool) =>
            Effect.gen(function* () {
              const waiter = yield* Effect.forkChild(acquire(pool))
              yield* interrupted(waiter)
              assert.deepStrictEqual(yield* now(pool), { ...none, connecting: 1, total: 1 })
              yield* TestClock.adjust("10 seconds")
              yield* settle
              assert.deepStrictEqual(yield* now(pool), none)
              assert.strictEqual(server.counts.sockets, 0)
              assert.strictEqual(server.counts.live, 0)
            })
          )
        })
      }
    }

    it.effect("while retrying; what it started is not repeated for nobody", () => {
      let attempts = 0
      const server = makeServer({
        accept: () =>
          Effect.suspend(() => {
            attempts += 1
            return Effect.fail(503)
          })
      })
      return scenario(server, { retry: Schedule.spaced("1 second") }, (pool) =>
        Effect.gen(function* () {
          const waiter = yield* Effect.forkChild(acquire(pool))
          yield* settle
          yield* TestClock.adjust("2500 millis")
          assert.strictEqual(attempts, 3)
          yield* interrupted(waiter)
          yield* TestClock.adjust("1 minute")
          yield* settle
          assert.isAtMost(attempts, 4)
          assert.deepStrictEqual(yield* now(pool), none)
        })
      )
    })

    it.effect("while a connection drains", () => {
      const server = makeServer()
      return scenario(server, { maxConnections: 1, drain: { quietPeriod: "5 seconds" } }, (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          assert.deepStrictEqual(yield* now(pool), { ...none, draining: 1, total: 1 })
          if (name === "get" || name === "use") {
            const waiter = yield* Effect.forkChild(acquire(pool))
            yield* interrupted(waiter)
            yield* TestClock.adjust("5 seconds")
            yield* settle
            assert.deepStrictEqual(yield* now(pool), { ...none, idle: 1, total: 1 })
          } else {
            // It does not wait for the draining one, but for its socket to be gone.
            yield* (yield* server.peer(0)).silence
            const waiter = yield* Effect.forkChild(acquire(pool))
            yield* interrupted(waiter)
            yield* TestClock.adjust("2 seconds")
            yield* settle
            assert.deepStrictEqual(yield* now(pool), none)
          }
        })
      )
    })

    for (let lag = 0; lag < 8; lag++) {
      it.effect(`${lag} instants after a hand-off`, () => {
        const server = makeServer()
        return scenario(server, { maxConnections: 1 }, (pool) =>
          Effect.gen(function* () {
            const first = yield* lease(pool)
            const waiter = yield* Effect.forkChild(acquire(pool))
            const last = yield* Effect.forkChild(pool.use(() => Effect.succeed("last")))
            yield* settle
            yield* first.release
            yield* yields(lag)
            yield* Fiber.interrupt(waiter)
            yield* settle
            assert.strictEqual(yield* Fiber.join(last), "last")
            const { busy, connecting, total, waiting } = yield* now(pool)
            assert.deepStrictEqual({ busy, connecting, waiting }, { busy: 0, connecting: 0, waiting: 0 })
            assert.strictEqual(total, server.counts.sockets)
            const { acquired, released } = yield* pool.stats
            assert.strictEqual(acquired, released)
            assert.isAtMost(server.counts.mostSockets, 1)
          })
        )
      })

      it.effect(`${lag} instants after it began to connect`, () => {
        const server = makeServer({ onPeer: (peer) => peer.send("hello") })
        return scenario(server, { maxConnections: 1, onConnect: () => Effect.yieldNow }, (pool) =>
          Effect.gen(function* () {
            const waiter = yield* Effect.forkChild(acquire(pool))
            yield* yields(lag)
            yield* Fiber.interrupt(waiter)
            yield* settle
            const { busy, connecting, total, waiting } = yield* now(pool)
            assert.deepStrictEqual({ busy, connecting, waiting }, { busy: 0, connecting: 0, waiting: 0 })
            assert.strictEqual(total, server.counts.sockets)
            yield* pool.use(() => Effect.void)
          })
        )
      })
    }
  })
}

describe("validation can be interrupted", () => {
  const healthChecks: ReadonlyArray<readonly [string, Options]> = [
    ["by ping", {}],
    ["by a healthCheck", { healthCheck: () => Effect.never }],
    ["by an uninterruptible healthCheck", { healthCheck: () => Effect.uninterruptible(Effect.never) }]
  ]
  for (const [name, options] of healthChecks) {
    it.effect(`${name}; it goes on, bounded, for nobody`, () => {
      const server = makeServer()
      return scenario(server, { ...options, maxConnections: 1, validateAfterIdle: "5 seconds" }, (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* (yield* server.peer(0)).silence
          yield* TestClock.adjust("6 seconds")
          const waiter = yield* Effect.forkChild(Effect.scoped(pool.get))
          yield* interrupted(waiter)
          assert.deepStrictEqual(yield* now(pool), { ...none, busy: 1, total: 1 })
          yield* TestClock.adjust("999 millis")
          yield* settle
          assert.strictEqual((yield* now(pool)).total, 1)
          // One second for the check, two for the closing handshake of one that is only unfit.
          yield* TestClock.adjust("2001 millis")
          yield* settle
          assert.deepStrictEqual(yield* now(pool), none)
          assert.strictEqual((yield* pool.stats).healthCheckFailures, 1)
          assert.strictEqual(server.counts.sockets, 0)
        })
      )
    })
  }

  it.effect("and one that succeeds afterwards leaves the connection idle", () => {
    const gate = Deferred.makeUnsafe<void>()
    const server = makeServer()
    return scenario(
      server,
      { maxConnections: 1, validateAfterIdle: "5 seconds", healthCheck: () => Deferred.await(gate) },
      (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* TestClock.adjust("6 seconds")
          const waiter = yield* Effect.forkChild(Effect.scoped(pool.get))
          yield* interrupted(waiter)
          yield* Deferred.succeed(gate, void 0)
          yield* settle
          assert.deepStrictEqual(yield* now(pool), { ...none, idle: 1, total: 1 })
        })
    )
  })
})

describe("releasing", () => {
  for (const kind of ["interruptible", "uninterruptible"] as const) {
    it.effect(`does not wait for an ${kind} onRelease that never ends, which closeTimeout ends`, () => {
      const server = makeServer()
      return scenario(
        server,
        { maxConnections: 1, closeTimeout: "2 seconds", onRelease: () => kinds[kind](Effect.never) },
        (pool) =>
          Effect.gen(function* () {
            yield* pool.use(() => Effect.void)
            assert.deepStrictEqual(yield* now(pool), { ...none, draining: 1, total: 1 })
            const waiter = yield* Effect.forkChild(Effect.scoped(pool.get))
            yield* interrupted(waiter)
            yield* TestClock.adjust("1999 millis")
            assert.strictEqual((yield* now(pool)).draining, 1)
            yield* TestClock.adjust("1 millis")
            yield* settle
            assert.deepStrictEqual(yield* now(pool), none)
          })
      )
    })
  }

  it.effect("happens when the holder is interrupted, in use and in a scope", () => {
    const server = makeServer()
    return scenario(server, { discardOn: () => false, maxConnections: 2 }, (pool) =>
      Effect.gen(function* () {
        const holders = [
          yield* Effect.forkChild(pool.use(() => Effect.never)),
          yield* Effect.forkChild(Effect.scoped(Effect.andThen(pool.get, Effect.never)))
        ]
        yield* settle
        assert.strictEqual((yield* now(pool)).busy, 2)
        yield* Fiber.interruptAll(holders)
        assert.deepStrictEqual(yield* now(pool), { ...none, idle: 2, total: 2 })
      })
    )
  })
})

describe("operations can be interrupted", () => {
  const operations: ReadonlyArray<
    readonly [string, (connection: WebSocketConnection.WebSocketConnection) => Effect.Effect<unknown, unknown>]
  > = [
    ["receive", (connection) => connection.receive],
    ["receiveChunk", (connection) => connection.receiveChunk],
    ["a blocked send", (connection) => Effect.andThen(connection.send("first"), connection.send("second"))],
    ["ping", (connection) => connection.ping]
  ]
  for (const [name, operation] of operations) {
    it.effect(name, () => {
      const server = makeServer({ reads: false })
      return scenario(server, { sendBuffer: 0, pingTimeout: Duration.infinity }, (pool) =>
        Effect.gen(function* () {
          const { connection, release } = yield* lease(pool)
          const peer = yield* server.peer(0)
          yield* peer.silence
          const fiber = yield* Effect.forkChild(operation(connection))
          yield* interrupted(fiber)
          assert.strictEqual((yield* connection.info).state, "busy")
          assert.isAtMost((yield* connection.info).messagesSent, 1)
          yield* release
          assert.deepStrictEqual(yield* now(pool), { ...none, idle: 1, total: 1 })
        })
      )
    })
  }
})

describe("ready and close can be interrupted", () => {
  it.effect("ready, while the pool goes on", () => {
    const gate = Deferred.makeUnsafe<void>()
    const server = makeServer({ accept: () => Deferred.await(gate) })
    return scenario(server, { minConnections: 2 }, (pool) =>
      Effect.gen(function* () {
        const ready = yield* Effect.forkChild(pool.ready)
        yield* interrupted(ready)
        yield* Deferred.succeed(gate, void 0)
        yield* settle
        yield* pool.ready
        assert.deepStrictEqual(yield* now(pool), { ...none, idle: 2, total: 2 })
      })
    )
  })

  it.effect("close, which goes on", () => {
    const server = makeServer()
    return scenario(server, { shutdownTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        const closing = yield* Effect.forkChild(pool.close)
        yield* interrupted(closing)
        assert.strictEqual((yield* pool.stats).state, "closing")
        yield* release
        yield* settle
        assert.strictEqual((yield* pool.stats).state, "closed")
        assert.strictEqual(server.counts.sockets, 0)
      })
    )
  })
})

describe("a long random run of interruptions", () => {
  const storm = (server: Server, options: Options) =>
    scenario(server, options, (pool) =>
      Effect.gen(function* () {
        const client = (n: number) =>
          Effect.gen(function* () {
            const [, acquire] = ways[n % ways.length]!
            const busy = yield* Random.nextIntBetween(0, 6)
            const fiber = yield* Effect.forkChild(
              n % 3 === 0 ? acquire(pool) : pool.use((c) => Effect.andThen(c.send("x"), yields(busy)))
            )
            yield* yields(yield* Random.nextIntBetween(0, 12))
            yield* Fiber.interrupt(fiber)
          })
        yield* Effect.forEach(Array.from({ length: 400 }), (_, n) => client(n), { concurrency: 12, discard: true })
        yield* TestClock.adjust("1 minute")
        yield* settle
        const { busy, connecting, draining, idle, total, waiting } = yield* now(pool)
        assert.deepStrictEqual(
          { busy, connecting, draining, waiting },
          { busy: 0, connecting: 0, draining: 0, waiting: 0 }
        )
        assert.strictEqual(total, idle)
        assert.strictEqual(server.counts.sockets, idle)
        assert.strictEqual(server.counts.live, idle)
        assert.isAtMost(server.counts.mostSockets, 4)
        const { acquired, closed, opened, released } = yield* pool.stats
        assert.strictEqual(acquired, released)
        assert.strictEqual(opened - closed, idle)
        // And it still works, even if the server goes on refusing now and then: that is tried again in its time.
        const use = yield* Effect.forkChild(pool.use((connection) => connection.send("y")))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(use)
      }).pipe(seeded("interruptions"))
    )

  it.effect("leaves nothing, without hooks", () => storm(makeServer(), { maxConnections: 4 }))

  it.effect("leaves nothing, with hooks, drain and handshakes that take their time", () =>
    storm(makeServer({ accept: () => yields(2) }), {
      maxConnections: 4,
      discardOn: () => false,
      onConnect: () => Effect.yieldNow,
      onRelease: () => Effect.yieldNow,
      drain: { quietPeriod: "1 millis" }
    })
  )

  it.effect("leaves nothing, with a server that greets, refuses and closes at random", () =>
    storm(
      makeServer({
        accept: () => Effect.flatMap(Random.nextIntBetween(0, 4), (n) => (n === 0 ? Effect.fail(503) : Effect.void)),
        onPeer: (peer) =>
          Effect.gen(function* () {
            yield* peer.send("hello")
            yield* yields(yield* Random.nextIntBetween(0, 20))
            if (yield* Random.nextBoolean) yield* peer.close()
          })
      }),
      { maxConnections: 4, discardOn: () => false, retry: Schedule.spaced("1 second") }
    )
  )
})

describe("a server that closes at once whatever is opened", () => {
  for (const lag of [0, 1, 2, 3, 5, 8]) {
    it.effect(`does not drive a get into a loop, ${lag} instants after the handshake`, () => {
      // A link that ended on its way out of the attempt was opened again and again, without a pause.
      let accepted = 0
      const server = makeServer({
        accept: () => Effect.suspend(() => (accepted++ > 50 ? Effect.never : Effect.void)),
        onPeer: (peer) => Effect.andThen(yields(lag), peer.close(4000))
      })
      return scenario(server, {}, (pool) =>
        Effect.gen(function* () {
          const get = yield* Effect.forkChild(Effect.result(Effect.scoped(pool.get)))
          yield* settle
          assert.isAtMost(server.peers.length, 3)
          yield* TestClock.adjust("20 seconds")
          yield* settle
          assert.isFalse(isRunning(get))
          assert.isAtMost(server.peers.length, 8)
          assert.strictEqual((yield* now(pool)).total, 0)
        })
      )
    })
  }

  it.effect("does not drive a get into a loop when it is onConnect that begins to close", () => {
    // A closing handshake under way was no reason not to offer the connection, and nobody could use it.
    let accepted = 0
    const server = makeServer({
      accept: () => Effect.suspend(() => (accepted++ > 50 ? Effect.never : Effect.void)),
      onPeer: (peer) => peer.silence
    })
    const onConnect = (connection: WebSocketConnection.WebSocketConnection) =>
      Effect.andThen(Effect.sleep("1 millis"), connection.close(4000))
    return scenario(server, { onConnect, retry: Schedule.recurs(1) }, (pool) =>
      Effect.gen(function* () {
        const get = yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get)))
        yield* settle
        yield* TestClock.adjust("10 seconds")
        yield* settle
        assert.strictEqual(server.peers.length, 2)
        assert.strictEqual((yield* Fiber.join(get))._tag, "ConnectionUnavailableError")
        assert.strictEqual((yield* now(pool)).total, 0)
      })
    )
  })

  it.effect("does not drive minConnections into a loop", () => {
    let accepted = 0
    const server = makeServer({
      accept: () => Effect.suspend(() => (accepted++ > 500 ? Effect.never : Effect.void)),
      onPeer: (peer) => peer.close(4000)
    })
    return scenario(server, { minConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        yield* settle
        assert.isAtMost(server.peers.length, 3)
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.isAtMost(server.peers.length, 120)
        assert.isAtLeast(server.peers.length, 10)
        yield* closes(pool, server)
      })
    )
  })
})
