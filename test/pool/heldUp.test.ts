import { WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { repeated, withClock } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { type MovableClock, makeMovable } from "../support/clocks.js"
import { answerCloses, answerPings, type HandSocket, makeTransport } from "../support/handTransport.js"
import { notYet, now, settle, url } from "../support/memoryPool.js"

type Pool = WebSocketPool.WebSocketPool
type Transport = ReturnType<typeof makeTransport>

const never = Duration.infinity

const quiet = {
  url,
  pingInterval: never,
  idleTimeout: never,
  validateAfterIdle: never,
  retry: Schedule.recurs(0)
} as const

/** A program that can be held up: what is due meanwhile comes late, as on an event loop that was blocked. */
const program = <A>(
  options: Partial<WebSocketPool.Options>,
  transport: Transport,
  body: (pool: Pool, clock: MovableClock) => Effect.Effect<A, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const clock = yield* makeMovable
    const pool = yield* withClock(WebSocketPool.make({ ...quiet, shutdownTimeout: 0, ...options }), clock.clock)
    yield* Effect.scoped(body(pool, clock))
  }).pipe(Effect.scoped, Effect.provide(transport.layer))

const forkGet = (pool: Pool) => Effect.tap(Effect.forkScoped(pool.get), settle)

const failureOf = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.flip(now(fiber))

/** The server's answers, and when they come: nothing is answered while `isSilent`. */
const server = () => {
  const control = { isSilent: false }
  const transport = makeTransport({
    onPing: (socket) => {
      if (!control.isSilent) answerPings(socket)
    },
    onClose: answerCloses
  })
  return { control, transport }
}

describe("a program that was held up allows for it once", () => {
  // Half a second after connectTimeout, when it had just got round to it, a good connect was given up.
  for (const [what, options] of [
    ["a handshake", {}],
    ["url", { url: Effect.as(Effect.sleep("9 seconds"), url) }],
    ["headers", { headers: Effect.as(Effect.sleep("9 seconds"), {}) }],
    ["onConnect", { onConnect: () => Effect.sleep("9 seconds") }]
  ] as const) {
    it.effect(`in connectTimeout, during ${what}`, () => {
      const transport = makeTransport({
        connect: () => (what === "a handshake" ? Effect.sleep("9 seconds") : Effect.void),
        onClose: answerCloses
      })
      return program({ ...options, connectTimeout: "8 seconds" }, transport, (pool, clock) =>
        Effect.gen(function* () {
          const get = yield* forkGet(pool)
          yield* TestClock.adjust("7 seconds")
          clock.holdUp("2 seconds")
          // Due, two seconds late: the server has its time until now, and as much again.
          yield* TestClock.adjust("1 second")
          notYet(get)
          yield* TestClock.adjust("1 second")
          yield* now(get)
          assert.strictEqual((yield* pool.stats).connectFailures, 0)
        })
      )
    })
  }

  it.effect("in connectTimeout: a server that is dead is found at the second deadline", () => {
    const transport = makeTransport({ connect: () => Effect.never })
    return program({ connectTimeout: "8 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("7 seconds")
        clock.holdUp("2 seconds")
        yield* TestClock.adjust("1 second")
        notYet(get)
        // Twice what was lost; held up again it gets nothing more.
        yield* TestClock.adjust("3999 millis")
        notYet(get)
        clock.holdUp("2 seconds")
        yield* TestClock.adjust("1 millis")
        const error = yield* failureOf(get)
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Timeout", attempts: 1 })
      })
    )
  })

  it.effect("in connectTimeout: being held up for hours gives no more than connectTimeout again", () => {
    const transport = makeTransport({ connect: () => Effect.never })
    return program({ connectTimeout: "8 seconds", acquireTimeout: never }, transport, (pool, clock) =>
      Effect.gen(function* () {
        const get = yield* forkGet(pool)
        clock.holdUp("5 hours")
        yield* TestClock.adjust("8 seconds")
        notYet(get)
        yield* TestClock.adjust("7999 millis")
        notYet(get)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* failureOf(get))._tag, "ConnectionUnavailableError")
      })
    )
  })

  it.effect("in validation", () => {
    const { control, transport } = server()
    return program({ validateAfterIdle: "5 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        const { id } = yield* pool.use((connection) => Effect.succeed({ id: connection.id }))
        yield* TestClock.adjust("6 seconds")
        control.isSilent = true
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("500 millis")
        clock.holdUp("700 millis")
        yield* TestClock.adjust("500 millis")
        notYet(get)
        transport.sockets[0]!.pong()
        yield* settle
        assert.strictEqual((yield* now(get)).id, id)
        assert.strictEqual((yield* pool.stats).healthCheckFailures, 0)
      })
    )
  })

  it.effect("in validation: a line that is dead is found at the second deadline", () => {
    const { control, transport } = server()
    return program({ validateAfterIdle: "5 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        const { id } = yield* pool.use((connection) => Effect.succeed({ id: connection.id }))
        yield* TestClock.adjust("6 seconds")
        control.isSilent = true
        const get = yield* forkGet(pool)
        clock.holdUp("300 millis")
        yield* TestClock.adjust("1 second")
        notYet(get)
        yield* TestClock.adjust("599 millis")
        notYet(get)
        yield* TestClock.adjust("1 millis")
        assert.notStrictEqual((yield* now(get)).id, id)
        assert.strictEqual((yield* pool.stats).healthCheckFailures, 1)
      })
    )
  })

  for (const [when, options, wait] of [
    ["before a lease", { validateAfterIdle: "5 seconds" }, "6 seconds"],
    ["of an idle connection", { pingInterval: "6 seconds", pingTimeout: "1 second" }, "6 seconds"]
  ] as const) {
    it.effect(`in a healthCheck ${when}`, () => {
      const { transport } = server()
      const healthCheck = () => Effect.sleep("1200 millis")
      return program({ ...options, healthCheck, maxConnections: 1 }, transport, (pool, clock) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* TestClock.adjust(wait)
          const get = yield* forkGet(pool)
          clock.holdUp("300 millis")
          yield* TestClock.adjust("1 second")
          notYet(get)
          yield* TestClock.adjust("200 millis")
          yield* now(get)
          const { closed, healthCheckFailures } = yield* pool.stats
          assert.deepStrictEqual({ closed, healthCheckFailures }, { closed: 0, healthCheckFailures: 0 })
        })
      )
    })
  }

  /** How late the look is at which pingTimeout has passed. */
  for (const late of ["30 millis", "1 second", "4 seconds"] as const) {
    const ping = (
      body: (pool: Pool, socket: HandSocket, ping: Fiber.Fiber<unknown, unknown>) => Effect.Effect<void, unknown>
    ) => {
      const { control, transport } = server()
      return program({ pingTimeout: "10 seconds" }, transport, (pool, clock) =>
        Effect.gen(function* () {
          const connection = yield* pool.get
          control.isSilent = true
          const ping = yield* Effect.forkScoped(Effect.exit(connection.ping))
          yield* TestClock.adjust("9 seconds")
          clock.holdUp(late)
          yield* TestClock.adjust("1 second")
          notYet(ping)
          yield* body(pool, transport.sockets[0]!, ping)
        })
      )
    }

    it.effect(`in ping, ${late} late`, () =>
      ping((pool, socket, ping) =>
        Effect.gen(function* () {
          socket.pong()
          yield* settle
          const exit = yield* now(ping as Fiber.Fiber<{ readonly _tag: string }>)
          assert.strictEqual(exit._tag, "Success")
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* pool.stats).healthCheckFailures, 0)
        })
      )
    )

    it.effect(
      `in ping, ${late} late: a line that is dead is found at the second deadline, at most pingTimeout later`,
      () =>
        ping((pool, socket, ping) =>
          Effect.gen(function* () {
            yield* TestClock.adjust("10 seconds")
            yield* now(ping)
            assert.isTrue(socket.isDestroyed)
            assert.strictEqual((yield* pool.stats).healthCheckFailures, 1)
          })
        )
    )
  }

  it.effect("in drain.timeout", () => {
    const { transport } = server()
    return program({ drain: { quietPeriod: "4 seconds", timeout: "10 seconds" } }, transport, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        yield* TestClock.adjust("7 seconds")
        const { idle } = yield* pool.stats
        assert.strictEqual(idle, 1)
        yield* pool.use(() => Effect.void)
        for (let n = 0; n < 7; n++) {
          transport.sockets[0]!.message("late")
          yield* TestClock.adjust("1 second")
        }
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("3 seconds")
        const during = yield* pool.stats
        assert.deepStrictEqual(
          { draining: during.draining, drainTimeouts: during.drainTimeouts },
          { draining: 1, drainTimeouts: 0 }
        )
        yield* TestClock.adjust("6 seconds")
        const after = yield* pool.stats
        assert.deepStrictEqual({ idle: after.idle, drainTimeouts: after.drainTimeouts }, { idle: 1, drainTimeouts: 0 })
      })
    )
  })

  it.effect("in drain.timeout: a server that never falls quiet is found at the second deadline", () => {
    const { transport } = server()
    return program({ drain: { quietPeriod: "4 seconds", timeout: "10 seconds" } }, transport, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        const talk = Effect.andThen(
          Effect.sync(() => transport.sockets[0]!.message("late")),
          TestClock.adjust("1 second")
        )
        yield* repeated(talk, 6)
        clock.holdUp("3 seconds")
        yield* repeated(talk, 2)
        assert.strictEqual((yield* pool.stats).drainTimeouts, 0)
        yield* repeated(talk, 4)
        assert.strictEqual((yield* pool.stats).drainTimeouts, 0)
        yield* talk
        assert.strictEqual((yield* pool.stats).drainTimeouts, 1)
      })
    )
  })
})

describe("a program that was held up allows for it not at all", () => {
  it.effect("in acquireTimeout at the limit", () => {
    const { transport } = server()
    return program({ maxConnections: 1, acquireTimeout: "5 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.get
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("4 seconds")
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("999 millis")
        notYet(get)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* failureOf(get))._tag, "PoolExhaustedError")
      })
    )
  })

  it.effect("in acquireTimeout while connecting", () => {
    const transport = makeTransport({ connect: () => Effect.never })
    return program({ acquireTimeout: "5 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("4 seconds")
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* failureOf(get))._tag, "ConnectionUnavailableError")
      })
    )
  })

  it.effect("in shutdownTimeout and closeTimeout", () => {
    // It answers no closing handshake.
    const transport = makeTransport()
    const options = { shutdownTimeout: "5 seconds", closeTimeout: "2 seconds" } as const
    return program(options, transport, (pool, clock) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const closing = yield* Effect.forkScoped(pool.close)
        yield* TestClock.adjust("4 seconds")
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Effect.flip(connection.receive))._tag, "ConnectionClosedError")
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("2 seconds")
        yield* now(closing)
      })
    )
  })

  it.effect("in the closeTimeout of one connection", () => {
    const transport = makeTransport()
    return program({ closeTimeout: "2 seconds" }, transport, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(({ discard }) => discard)
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("1999 millis")
        assert.isFalse(transport.sockets[0]!.isDestroyed)
        yield* TestClock.adjust("1 millis")
        assert.isTrue(transport.sockets[0]!.isDestroyed)
      })
    )
  })

  it.effect("in the bound of onRelease", () => {
    const { transport } = server()
    return program({ closeTimeout: "2 seconds", onRelease: () => Effect.never }, transport, (pool, clock) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        clock.holdUp("3 seconds")
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual((yield* pool.stats).draining, 1)
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.strictEqual((yield* pool.stats).closed, 1)
      })
    )
  })
})
