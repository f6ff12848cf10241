import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow, poll, repeated } from "#support/fibers"
import { type Line, recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { listen, poolWith, type Server, settle } from "../support/memoryPool.js"

const levels = (lines: ReadonlyArray<Line>) => lines.map(({ level }) => level)

const get = Effect.exit(Effect.scoped(WebSocketPool.get))

describe("an outage", () => {
  /** A pool whose server can be switched off; each attempt is one `get`. */
  const outage = (
    scene: (server: { isAway: boolean }, lines: ReadonlyArray<Line>) => Effect.Effect<void, unknown, Env>,
    options: Parameters<typeof poolWith>[0] = {}
  ) =>
    Effect.suspend(() => {
      const { layer, lines } = recordLines()
      const server = { isAway: true }
      return Effect.provide(
        scene(server, lines),
        poolWith({ retry: Schedule.recurs(0), ...options }, listen, () =>
          Effect.suspend(() => (server.isAway ? Effect.fail(503) : Effect.void))
        )
      ).pipe(Effect.provide(layer))
    })
  type Env = WebSocketPool.WebSocketPool | Server

  /** Without an idle connection, so that the next `get` has to connect. */
  const reconnect = Effect.gen(function* () {
    const pool = yield* WebSocketPool.WebSocketPool
    yield* pool.refresh
    yield* settle
    yield* get
    yield* settle
  })

  it.effect("is told when it begins and when it is over, with how long and how many attempts", () =>
    outage((server, lines) =>
      Effect.gen(function* () {
        yield* repeated(get, 2)
        yield* TestClock.adjust("42 seconds")
        assert.deepStrictEqual(levels(lines), ["WARN"])
        assert.include(lines[0]?.message, 'Pool "server.test" could not connect to ws://server.test/path')
        assert.deepStrictEqual(lines[0]?.annotations, { pool: "server.test", reason: "Handshake" })
        server.isAway = false
        yield* reconnect
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        assert.strictEqual(lines[1]?.message, "Connected again after 42s (3 failed attempts)")
        yield* reconnect
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(lines, 2)
      })
    )
  )

  it.effect("is told again every five minutes while attempts fail", () =>
    outage((_, lines) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(Effect.repeat(get, Schedule.spaced("5 seconds")))
        yield* TestClock.adjust("299999 millis")
        assert.lengthOf(lines, 1)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN", "WARN"])
        assert.match(lines[1]?.message ?? "", /^Connecting has failed for 5m \(6\d attempts\)\. The latest: Pool /)
        assert.deepStrictEqual(lines[1]?.annotations, { pool: "server.test", reason: "Handshake" })
        yield* TestClock.adjust("299999 millis")
        assert.lengthOf(lines, 2)
        yield* TestClock.adjust("1 millis")
        assert.match(lines[2]?.message ?? "", /^Connecting has failed for 10m \(12\d attempts\)/)
      })
    )
  )

  it.effect("is told again by the pool's own attempts", () =>
    outage(
      (server, lines) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("299999 millis")
          assert.lengthOf(lines, 1)
          yield* TestClock.adjust("1 millis")
          assert.lengthOf(lines, 2)
          server.isAway = false
          yield* TestClock.adjust("20 seconds")
          assert.match(lines[2]?.message ?? "", /^Connected again after 5m .*failed attempts\)$/)
        }),
      { minConnections: 1 }
    )
  )

  it.effect("in which nobody tries any more is not told again before somebody does", () =>
    outage((_, lines) =>
      Effect.gen(function* () {
        yield* get
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(lines, 1)
        yield* get
        yield* settle
        assert.deepStrictEqual(levels(lines), ["WARN", "WARN"])
        assert.include(lines[1]?.message, "Connecting has failed for 1h (2 attempts)")
      })
    )
  )

  it.effect("that begins within 10 seconds of the last one's end is the same", () =>
    outage((server, lines) =>
      Effect.gen(function* () {
        const fails = Effect.gen(function* () {
          server.isAway = true
          yield* reconnect
          server.isAway = false
        })
        yield* fails
        yield* reconnect
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        yield* TestClock.adjust("9999 millis")
        yield* fails
        yield* reconnect
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        yield* TestClock.adjust("10 seconds")
        yield* fails
        yield* reconnect
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO", "WARN", "INFO"])
        assert.include(lines[3]?.message, "(1 failed attempt)")
      })
    )
  )

  it.effect("that goes on after an end that was told too early is told again soon", () =>
    outage((server, lines) =>
      Effect.gen(function* () {
        yield* get
        server.isAway = false
        yield* get
        server.isAway = true
        yield* reconnect
        yield* TestClock.adjust("9999 millis")
        yield* get
        assert.lengthOf(lines, 2)
        yield* TestClock.adjust("1 millis")
        yield* get
        yield* settle
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO", "WARN"])
        assert.include(lines[2]?.message, "Connecting has failed for 10s (4 attempts)")
        server.isAway = false
        yield* get
        yield* settle
        assert.strictEqual(lines[3]?.message, "Connected again after 10s (4 failed attempts)")
      })
    )
  )

  it.effect("of a server that comes and goes is told every five minutes", () =>
    outage((server, lines) =>
      Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const flap = Effect.suspend(() => {
          server.isAway = !server.isAway
          return Effect.andThen(pool.refresh, get)
        })
        yield* Effect.forkChild(Effect.repeat(flap, Schedule.spaced("5 seconds")))
        yield* TestClock.adjust("299 seconds")
        assert.lengthOf(lines, 2)
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO", "WARN", "INFO"])
      })
    )
  )
})

describe("exhaustion", () => {
  const exhaustion = (
    scene: (lines: ReadonlyArray<Line>, hold: Effect.Effect<Scope.Closeable>) => Effect.Effect<void, unknown, Env>
  ) =>
    Effect.suspend(() => {
      const { layer, lines } = recordLines()
      return Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const hold = Effect.tap(Scope.make(), (scope) => Effect.orDie(Scope.provide(pool.get, scope)))
        yield* scene(lines, hold)
      }).pipe(Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0 })), Effect.provide(layer))
    })
  type Env = WebSocketPool.WebSocketPool

  it.effect("is told once, with who waits, the limits and the oldest lease", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        yield* Effect.withSpan(hold, "transcribe")
        yield* TestClock.adjust("3 seconds")
        yield* repeated(get, 99)
        yield* settle
        assert.deepStrictEqual(levels(lines), ["WARN"])
        for (const part of ["1 of 1 leased", "0 others waiting", "maxWaiters is 0", '"transcribe"', "held for 3s"]) {
          assert.include(lines[0]?.message, part)
        }
        assert.deepStrictEqual(lines[0]?.annotations, { pool: "server.test", reason: "TooManyWaiters" })
      })
    )
  )

  it.effect("is told again every five minutes while gets fail, and else not", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        yield* hold
        const failing = yield* Effect.forkChild(Effect.repeat(get, Schedule.spaced("5 seconds")))
        yield* TestClock.adjust("299999 millis")
        assert.lengthOf(lines, 1)
        yield* TestClock.adjust("1 millis")
        assert.match(
          lines[1]?.message ?? "",
          /^The pool has been exhausted for 5m \(6\d failed gets\)\. The latest: Pool/
        )
        interruptNow(failing)
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(lines, 2)
      })
    )
  )

  it.effect("is over once a get has succeeded and none has failed for 10 seconds", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        const held = yield* hold
        yield* get
        yield* TestClock.adjust("1 second")
        yield* Scope.close(held, Exit.void)
        yield* get
        yield* TestClock.adjust("8 seconds")
        // One that fails meanwhile makes it go on.
        const again = yield* hold
        yield* get
        yield* Scope.close(again, Exit.void)
        yield* get
        yield* TestClock.adjust("9999 millis")
        assert.deepStrictEqual(levels(lines), ["WARN"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        assert.strictEqual(lines[1]?.message, "The pool is no longer exhausted, after 9s (2 failed gets)")
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(lines, 2)
      })
    )
  )

  it.effect("is not over while no get has succeeded, however long nobody fails", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        const held = yield* hold
        yield* get
        yield* TestClock.adjust("1 minute")
        yield* Scope.close(held, Exit.void)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(levels(lines), ["WARN"])
        yield* get
        yield* settle
        assert.strictEqual(lines[1]?.message, "The pool is no longer exhausted, after 2m (1 failed get)")
      })
    )
  )

  it.effect("that comes after the end of another is one of its own", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        const held = yield* hold
        yield* get
        yield* TestClock.adjust("5 seconds")
        yield* Scope.close(held, Exit.void)
        yield* get
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        yield* hold
        yield* get
        yield* settle
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO", "WARN"])
        assert.include(lines[2]?.message, "is exhausted (1 of 1 leased")
      })
    )
  )

  it.effect("does not stand in the way of closing, and is told no more afterwards", () =>
    exhaustion((lines, hold) =>
      Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const held = yield* hold
        yield* get
        yield* Scope.close(held, Exit.void)
        yield* get
        const closing = yield* Effect.forkChild(pool.close)
        yield* settle
        assert.isDefined(poll(closing))
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(levels(lines), ["WARN"])
      })
    )
  )
})

describe("connections that do not last", () => {
  /** A pool that keeps one connection to a server which ends each as soon as it is told to. */
  const transience = (
    scene: (
      server: { lasts: number },
      lines: ReadonlyArray<Line>
    ) => Effect.Effect<void, unknown, WebSocketPool.WebSocketPool>
  ) =>
    Effect.suspend(() => {
      const { layer, lines } = recordLines()
      const server = { lasts: 20 }
      return Effect.provide(
        scene(server, lines),
        poolWith({ minConnections: 1 }, (peer) =>
          Effect.flatMap(
            Effect.suspend(() => Effect.sleep(server.lasts)),
            () => peer.close(1011)
          )
        )
      ).pipe(Effect.provide(layer))
    })

  // A server that ended whatever was opened was in no log: connecting succeeded each time.
  it.effect("are told after five in a row, again every five minutes, and when they last", () =>
    transience((server, lines) =>
      Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        while ((yield* pool.stats).closed < 4) yield* TestClock.adjust("10 millis")
        assert.lengthOf(lines, 0)
        while ((yield* pool.stats).closed < 5) yield* TestClock.adjust("10 millis")
        yield* settle
        assert.deepStrictEqual(
          lines.map(({ annotations, level, message }) => ({ annotations, level, message })),
          [
            {
              annotations: { pool: "server.test", reason: "Remote" },
              level: "WARN",
              message:
                "The server has ended 5 connections in a row within 10s of their opening, the latest after 20ms with code 1011"
            }
          ]
        )
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(levels(lines), ["WARN", "WARN"])
        assert.match(
          lines[1]?.message ?? "",
          /^The server has ended connections soon after they were opened for 5m.* \(\d+ connections\)\. The latest: The server /
        )
        server.lasts = 60 * 60_000
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(levels(lines), ["WARN", "WARN", "INFO"])
        assert.match(lines[2]?.message ?? "", /^Connections last again, after [56]m.* \(\d+ connections ended early\)$/)

        // One more may be bad luck, as the first one was.
        server.lasts = 20
        const { closed } = yield* pool.stats
        yield* pool.resize({ minConnections: 2 })
        while ((yield* pool.stats).closed < closed + 4) yield* TestClock.adjust("10 millis")
        yield* settle
        assert.lengthOf(lines, 3)
        while ((yield* pool.stats).closed < closed + 5) yield* TestClock.adjust("10 millis")
        yield* settle
        assert.match(lines[3]?.message ?? "", /^The server has ended 5 connections in a row /)
      })
    )
  )

  it.effect("are no story while some of them last", () =>
    transience((server, lines) =>
      Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        for (let round = 0; round < 5; round++) {
          server.lasts = 20
          const { closed } = yield* pool.stats
          while ((yield* pool.stats).closed < closed + 4) yield* TestClock.adjust("50 millis")
          server.lasts = 10_000
          while ((yield* pool.stats).closed < closed + 6) yield* TestClock.adjust("5 seconds")
        }
        assert.lengthOf(lines, 0)
      })
    )
  )
})
