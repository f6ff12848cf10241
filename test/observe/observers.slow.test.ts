import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { logger, places, throwingTracer } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"

// A tracer that threw in the middle of a change of state left leases, slots, or the closing of the pool hanging for ever.

/** Uses a pool in each of the ways that are observed, twice, and closes it. */
const works = Effect.gen(function* () {
  let sockets = 0
  const server = WebSocketTransport.layerMemory((peer) => {
    sockets += 1
    return Effect.ensuring(
      Effect.ignore(Effect.forever(Effect.flatMap(peer.receive, peer.send))),
      Effect.sync(() => {
        sockets -= 1
      })
    )
  })
  const scope = yield* Scope.make()
  const pool = yield* WebSocketPool.make({
    url: "ws://server",
    maxConnections: 1,
    acquireTimeout: "1 second",
    drain: { quietPeriod: "5 millis" }
  }).pipe(Effect.provide(server), Scope.provide(scope))
  for (let round = 0; round < 2; round++) {
    const ask = yield* Effect.forkChild(pool.use((c) => Effect.andThen(c.send("hello"), c.receive)))
    yield* TestClock.adjust("500 millis")
    assert.strictEqual(yield* Fiber.join(ask), "hello")
    // It waits for the end of this one, and gets a connection of its own.
    const discarding = yield* Effect.forkChild(pool.use((c) => Effect.andThen(Effect.sleep("10 millis"), c.discard)))
    const waiting = yield* Effect.forkChild(Effect.scoped(pool.get))
    yield* TestClock.adjust("500 millis")
    yield* Fiber.join(discarding)
    yield* Fiber.join(waiting)
  }
  yield* TestClock.adjust("10 seconds")
  const { idle, total } = yield* pool.stats
  assert.deepStrictEqual({ idle, total }, { idle: 1, total: 1 })
  const close = yield* Effect.forkChild(Scope.close(scope, Exit.void))
  yield* TestClock.adjust("10 seconds")
  yield* Fiber.join(close)
  assert.strictEqual((yield* pool.stats).state, "closed")
  assert.strictEqual(sockets, 0)
})

describe("a tracer that throws costs spans, and nothing else", () => {
  for (const name of ["acquire", "connect", "connect.attempt", "drain", "close.connection", "close"]) {
    for (const place of places) {
      it.effect(`WebSocketPool.${name}, ${place}`, () =>
        Effect.withTracer(works, throwingTracer(`WebSocketPool.${name}`, place))
      )
    }
  }
})

describe("a logger that throws costs log lines, and nothing else", () => {
  for (const level of ["Info", "Debug"] as const) {
    it.effect(level.toUpperCase(), () =>
      Effect.provide(
        works,
        logger(() => {
          throw new Error("the logger is broken")
        }, level)
      )
    )
  }
})
