import { type PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { withClock } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { type MovableClock, makeMovable } from "../support/clocks.js"
import { echo, isRunning, lease, quiet, type Server, settle } from "../support/wire.js"

type Pool = WebSocketPool.WebSocketPool

/** A pool whose wall clock the test can set. */
const withWall = <A>(
  server: Server,
  options: Partial<WebSocketPool.Options>,
  body: (pool: Pool, clock: MovableClock) => Effect.Effect<A, PoolError.PoolError, Scope.Scope>
) =>
  Effect.gen(function* () {
    const clock = yield* makeMovable
    const pool = yield* withClock(WebSocketPool.make({ ...quiet, ...options }), clock.clock)
    yield* body(pool, clock)
    // What a test leaves open is no matter of this file.
    const closing = yield* Effect.forkChild(pool.close)
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(closing)
  }).pipe(Effect.scoped, Effect.provide(server.layer))

/** Something that takes an exact time, from when it is begun until `isOver`. */
interface Timed {
  readonly name: string
  readonly options: Partial<WebSocketPool.Options>
  readonly millis: number
  readonly begin: (
    pool: Pool,
    server: Server
  ) => Effect.Effect<Effect.Effect<boolean>, PoolError.PoolError, Scope.Scope>
}

const hasEnded = (fiber: Fiber.Fiber<unknown, unknown>) => Effect.sync(() => !isRunning(fiber))

const timed: ReadonlyArray<Timed> = [
  {
    name: "acquireTimeout",
    options: { maxConnections: 1, acquireTimeout: "30 seconds" },
    millis: 30_000,
    begin: (pool) =>
      Effect.gen(function* () {
        yield* lease(pool)
        return hasEnded(yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get))))
      })
  },
  {
    name: "ping on a silent line",
    options: { pingTimeout: "2 seconds" },
    millis: 2000,
    begin: (pool, server) =>
      Effect.gen(function* () {
        const { connection } = yield* lease(pool)
        yield* (yield* server.peer(0)).silence
        return hasEnded(yield* Effect.forkChild(Effect.flip(connection.ping)))
      })
  },
  {
    name: "close, with a lease and a silent server,",
    options: { shutdownTimeout: "5 seconds", closeTimeout: "2 seconds" },
    millis: 7000,
    begin: (pool, server) =>
      Effect.gen(function* () {
        yield* lease(pool)
        yield* (yield* server.peer(0)).silence
        return hasEnded(yield* Effect.forkChild(pool.close))
      })
  },
  {
    name: "idleTimeout",
    options: { idleTimeout: "60 seconds" },
    millis: 60_000,
    begin: (pool) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        return Effect.map(pool.stats, ({ total }) => total === 0)
      })
  },
  {
    name: "pingInterval",
    options: { pingInterval: "30 seconds" },
    millis: 30_000,
    begin: (pool, server) =>
      Effect.gen(function* () {
        yield* lease(pool)
        return Effect.sync(() => server.counts.pings === 1)
      })
  },
  {
    name: "connectionTTL",
    // Each connection's own is up to a tenth shorter: what lasts 100 seconds is over within these.
    options: { connectionTTL: "100 seconds" },
    millis: 100_000,
    begin: (pool) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        return Effect.map(pool.stats, ({ total }) => total === 0)
      })
  },
  {
    name: "connectTimeout",
    options: { connectTimeout: "10 seconds", url: Effect.never },
    millis: 10_000,
    begin: (pool) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(Effect.ignore(Effect.scoped(pool.get)))
        return Effect.map(pool.stats, ({ connectFailures }) => connectFailures === 1)
      })
  },
  {
    name: "drain.quietPeriod",
    options: { drain: { quietPeriod: "3 seconds" } },
    millis: 3000,
    begin: (pool) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        return Effect.map(pool.stats, ({ idle }) => idle === 1)
      })
  }
]

// Timers that were armed before the wall clock was set stood still for as long as it had been set ahead.
describe("keeps its time when the wall clock is set", () => {
  for (const [how, direction] of [
    ["3 hours ahead", 1],
    ["3 hours back", -1]
  ] as const) {
    for (const when of ["before it begins", "while it runs"] as const) {
      for (const { begin, millis, name, options } of timed) {
        it.effect(`${how} ${when}: ${name}`, () => {
          const server = echo()
          return withWall(server, options, (pool, clock) =>
            Effect.gen(function* () {
              if (when === "before it begins") clock.setWall("3 hours", direction)
              const isOver = yield* begin(pool, server)
              yield* settle
              const first = Math.floor(millis / 3)
              yield* TestClock.adjust(first)
              if (when === "while it runs") clock.setWall("3 hours", direction)
              // A tenth of it is connectionTTL's jitter.
              const slack = name === "connectionTTL" ? millis / 10 : 0
              yield* TestClock.adjust(millis - first - 1 - slack)
              yield* settle
              assert.isFalse(yield* isOver, "not yet")
              yield* TestClock.adjust(1 + slack)
              yield* settle
              assert.isTrue(yield* isOver, "now")
            })
          )
        })
      }
    }
  }
})

describe("validateAfterIdle", () => {
  /** Leases and gives back, and says how many pings that took. */
  const pingsOfUse = (pool: Pool, server: Server) =>
    Effect.gen(function* () {
      const before = server.counts.pings
      const { id } = yield* pool.use((connection) => Effect.succeed({ id: connection.id }))
      yield* settle
      return { id, pings: server.counts.pings - before }
    })

  const options = { validateAfterIdle: "5 seconds" } as const

  it.effect(
    "has an idle connection pinged once after the wall clock has jumped further than it, and closes nothing",
    () => {
      const server = echo()
      return withWall(server, options, (pool, clock) =>
        Effect.gen(function* () {
          const first = yield* pingsOfUse(pool, server)
          assert.strictEqual(first.pings, 0)
          clock.setWall("5001 millis")
          assert.deepStrictEqual(yield* pingsOfUse(pool, server), { id: first.id, pings: 1 })
          assert.deepStrictEqual(yield* pingsOfUse(pool, server), { id: first.id, pings: 0 })
          clock.setWall("8 hours")
          assert.deepStrictEqual(yield* pingsOfUse(pool, server), { id: first.id, pings: 1 })
          assert.deepStrictEqual(yield* pingsOfUse(pool, server), { id: first.id, pings: 0 })
          const { closed, opened } = yield* pool.stats
          assert.deepStrictEqual({ closed, opened }, { closed: 0, opened: 1 })
        })
      )
    }
  )

  it.effect("adds a jump to the silence there was", () => {
    const server = echo()
    return withWall(server, options, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        yield* TestClock.adjust("3 seconds")
        clock.setWall("2 seconds")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 1)
      })
    )
  })

  it.effect("has nothing pinged after the wall clock was set back, however far", () => {
    const server = echo()
    return withWall(server, options, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        clock.setWall("8 hours", -1)
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 1)
      })
    )
  })

  // What had been set back before was taken off a later jump, so that nobody noticed that the machine had slept.
  it.effect("sees a jump ahead for what it is when the clock had been set back before", () => {
    const server = echo()
    return withWall(server, options, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        clock.setWall("8 hours", -1)
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
        clock.setWall("1 hour")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 1)
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
      })
    )
  })

  it.effect("says nothing of leased connections: a jump neither pings nor ends them", () => {
    const server = echo()
    return withWall(server, { ...options, pingInterval: "30 seconds" }, (pool, clock) =>
      Effect.gen(function* () {
        const { connection } = yield* lease(pool)
        clock.setWall("8 hours")
        yield* TestClock.adjust("29999 millis")
        assert.strictEqual(server.counts.pings, 0)
        assert.strictEqual((yield* connection.info).state, "busy")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(server.counts.pings, 1)
      })
    )
  })

  it.effect("of infinity looks at no clock", () => {
    const server = echo()
    return withWall(server, { validateAfterIdle: Duration.infinity }, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        clock.setWall("8 hours")
        assert.strictEqual((yield* pingsOfUse(pool, server)).pings, 0)
      })
    )
  })
})
