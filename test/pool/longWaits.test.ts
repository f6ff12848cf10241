/** What the log says of `get`s that wait behind a lease on which nothing comes, before any of them has failed. */
import { WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { type Line, recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { listen, type Options, peers, poolWith, type Server, settle } from "../support/memoryPool.js"

type Env = Scope.Scope | Server | WebSocketPool.WebSocketPool

const scene = (
  play: (lines: ReadonlyArray<Line>) => Effect.Effect<void, unknown, Env>,
  options: Partial<Options> = {}
) =>
  Effect.suspend(() => {
    const { layer, lines } = recordLines()
    return Effect.scoped(play(lines)).pipe(
      Effect.provide(poolWith({ name: "mine", maxConnections: 1, ...options }, listen)),
      Effect.provide(layer)
    )
  })

const touch = Effect.exit(WebSocketPool.use(() => Effect.void))

const ask = Effect.withSpan(
  WebSocketPool.use((connection) => Effect.andThen(connection.send("?"), connection.receive)),
  "ask"
)

const levels = (lines: ReadonlyArray<Line>) => lines.map(({ level }) => level)

describe("a get that waits behind a lease on which nothing comes", () => {
  it.effect("is reported after 5 seconds, with who holds the connection, and not again when it fails", () =>
    scene((lines) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(ask)
        yield* TestClock.adjust("1 second")
        yield* Effect.forkChild(touch)
        yield* Effect.forkChild(touch)
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN"])
        assert.strictEqual(
          lines[0]?.message,
          'Pool "mine" is exhausted (1 of 1 leased, 0 draining, 1 other waiting): a get has waited for 5s so far ' +
            '(acquireTimeout is 30s). The oldest lease, of mine-1 in span "ask", has been held for 6s, the last 6s without a ' +
            "message. Look at what its holder waits for (another lease of this pool?), and at the server; a timeout inside " +
            "of the lease gives the connection back"
        )
        assert.deepStrictEqual(lines[0]?.annotations, { pool: "mine", reason: "LongWait" })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* WebSocketPool.stats).exhausted, 2)
        assert.lengthOf(lines, 1)
      })
    )
  )

  it.effect("is over once a get has succeeded and 10 seconds have passed, as exhaustion is", () =>
    scene((lines) =>
      Effect.gen(function* () {
        const holder = yield* Effect.forkChild(ask)
        yield* settle
        yield* Effect.forkChild(touch)
        yield* TestClock.adjust("8 seconds")
        assert.lengthOf(lines, 1)
        yield* Fiber.interrupt(holder)
        yield* TestClock.adjust("6999 millis")
        assert.lengthOf(lines, 1)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN", "INFO"])
        assert.strictEqual(lines[1]?.message, "The pool is no longer exhausted, after 8s (0 failed gets)")
      })
    )
  )

  it.effect("is reported again while it lasts, ever more seldom, whatever acquireTimeout is", () =>
    scene(
      (lines) =>
        Effect.gen(function* () {
          yield* Effect.forkChild(ask)
          yield* settle
          yield* Effect.forkChild(touch)
          yield* TestClock.adjust("4 minutes")
          assert.lengthOf(lines, 1)
          yield* TestClock.adjust("2 minutes")
          assert.lengthOf(lines, 2)
          assert.match(
            lines[1]?.message ?? "",
            /^The pool has been exhausted for 5m 15s \(0 failed gets\)\. The latest: .*waited for 5m 15s so far/
          )
          yield* TestClock.adjust("365 days")
          assert.isBelow(lines.length, 30)
        }),
      { acquireTimeout: Duration.infinity, pingInterval: Duration.infinity }
    )
  )
})

describe("a get that waits is not reported", () => {
  it.effect("while messages come on the leases, but 5 seconds after the last one", () =>
    scene((lines) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
        yield* settle
        yield* Effect.forkChild(touch)
        const [peer] = yield* peers
        for (let second = 0; second < 12; second += 3) {
          yield* TestClock.adjust("3 seconds")
          yield* peer!.send("still here")
        }
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN"])
      })
    )
  )

  it.effect("while it waits for a connection to open", () =>
    scene(
      (lines) =>
        Effect.gen(function* () {
          yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
          yield* settle
          yield* Effect.forkChild(touch)
          yield* TestClock.adjust("9 seconds")
          assert.deepStrictEqual(lines, [])
        }),
      { maxConnections: 2, onConnect: () => Effect.sleep("9 seconds") }
    )
  )

  it.effect("if it is served in time, nor is the next one too early", () =>
    scene((lines) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(ask)
        yield* settle
        yield* Effect.forkChild(touch)
        yield* TestClock.adjust("4 seconds")
        yield* Fiber.interrupt(first)
        yield* Effect.forkChild(ask)
        yield* settle
        yield* Effect.forkChild(touch)
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(levels(lines), ["WARN"])
      })
    )
  )
})
