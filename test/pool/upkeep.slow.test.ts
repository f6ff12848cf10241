import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as TestClock from "#effect/testing/TestClock"
import { randomly } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { collect, peers, poolWith, settle } from "../support/memoryPool.js"

const never = Duration.infinity

const quiet = { pingInterval: never, validateAfterIdle: never, idleTimeout: never } as const

/** Jitter at its middle: pauses are what they are called. */
const withoutJitter = randomly([0.5])

const opened = Effect.map(WebSocketPool.stats, ({ opened }) => opened)
const total = Effect.map(WebSocketPool.stats, ({ total }) => total)

/** What the server ends the latest connection with, at once. */
const loseLatest = Effect.flatMap(peers, (all) => all.at(-1)!.destroy)

/** Asserts that the next connection is opened after exactly so many milliseconds. */
const reopensAfter = (millis: number) =>
  Effect.gen(function* () {
    const before = yield* opened
    if (millis > 0) {
      yield* TestClock.adjust(millis - 1)
      assert.strictEqual(yield* opened, before, `not yet after ${millis - 1} ms`)
      yield* TestClock.adjust(1)
    } else yield* settle
    assert.strictEqual(yield* opened, before + 1, `now, after ${millis} ms`)
  })

/** How many of so many seconds a pool had no connection at the end of. */
const emptySeconds = (seconds: number, each: Effect.Effect<unknown, unknown, WebSocketPool.WebSocketPool>) =>
  Effect.gen(function* () {
    let empty = 0
    for (let second = 0; second < seconds; second++) {
      yield* TestClock.adjust("1 second")
      if ((yield* total) === 0) empty++
      yield* Effect.ignore(each)
    }
    return empty
  })

// Every loss of a young connection doubled the back-off, the pool's own renewals included.
describe("a pool does not keep itself empty", () => {
  it.effect("by connectionTTL", () =>
    Effect.gen(function* () {
      assert.isAtMost(yield* emptySeconds(120, Effect.void), 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 3, connectionTTL: "10 seconds" })))
  )

  it.effect("by a lease that fails each second", () =>
    Effect.gen(function* () {
      const failing = WebSocketPool.use(() => Effect.fail("no"))
      yield* TestClock.adjust("2 seconds")
      assert.isAtMost(yield* emptySeconds(120, failing), 1)
      assert.isAtLeast((yield* WebSocketPool.stats).discarded, 110)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 3 })))
  )

  it.effect("by refresh", () =>
    Effect.gen(function* () {
      const refresh = Effect.flatMap(WebSocketPool.WebSocketPool, (pool) => pool.refresh)
      assert.isAtMost(yield* emptySeconds(60, Effect.andThen(Effect.sleep(0), refresh)), 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 3 })))
  )
})

const ended: ReadonlyArray<
  readonly [
    what: string,
    options: Partial<WebSocketPool.Options>,
    end: Effect.Effect<unknown, unknown, WebSocketPool.WebSocketPool>,
    reason: PoolEvent.CloseReason
  ]
> = [
  ["refreshed", {}, Effect.flatMap(WebSocketPool.WebSocketPool, (pool) => pool.refresh), "Refreshed"],
  ["discarded", {}, WebSocketPool.use(({ discard }) => discard), "Discarded"],
  ["discarded for its exit", {}, WebSocketPool.use(() => Effect.fail("no")), "Discarded"],
  ["closed by its holder", {}, WebSocketPool.use(({ close }) => close()), "Closed"]
]

describe("what the pool or a holder ended", () => {
  for (const [what, options, end, reason] of ended) {
    for (const [lasted, pause] of [
      [999, 100],
      [1000, 0]
    ] as const) {
      it.effect(`is replaced ${pause === 0 ? "at once" : "through the back-off"}: ${what} after ${lasted} ms`, () =>
        Effect.gen(function* () {
          const events = yield* collect(yield* WebSocketPool.WebSocketPool)
          yield* settle
          yield* TestClock.adjust(lasted)
          const before = yield* opened
          yield* Effect.ignore(end)
          yield* settle
          const closed = events.filter(({ _tag }) => _tag === "ConnectionClosed")
          assert.deepInclude(closed[0], { reason })
          if (pause === 0) assert.strictEqual(yield* opened, before + 1)
          else {
            assert.strictEqual(yield* opened, before)
            yield* reopensAfter(pause)
          }
        }).pipe(
          withoutJitter,
          Effect.scoped,
          Effect.provide(poolWith({ ...quiet, minConnections: 1, ...options })),
          withoutJitter
        )
      )
    }
  }

  it.effect("is replaced at once when it expired, if it had lasted a second", () =>
    Effect.gen(function* () {
      yield* settle
      yield* reopensAfter(2000 * 0.95)
      yield* reopensAfter(2000 * 0.95)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...quiet, minConnections: 1, connectionTTL: "2 seconds" })),
      withoutJitter
    )
  )

  it.effect("doubles no pause, however often it happens", () =>
    Effect.gen(function* () {
      yield* settle
      for (let n = 0; n < 10; n++) {
        yield* TestClock.adjust("1 second")
        yield* WebSocketPool.use(({ discard }) => discard)
        yield* settle
      }
      assert.strictEqual(yield* opened, 11)
      yield* loseLatest
      yield* settle
      yield* reopensAfter(100)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 1 })), withoutJitter)
  )
})

describe("what the server ended", () => {
  it.effect("is replaced through the back-off, however long it had lasted", () =>
    Effect.gen(function* () {
      yield* settle
      yield* TestClock.adjust("10 minutes")
      yield* loseLatest
      yield* settle
      yield* reopensAfter(100)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 1 })), withoutJitter)
  )

  it.effect("doubles the pause when it had not lasted 10 seconds, up to 10 seconds", () =>
    Effect.gen(function* () {
      yield* settle
      for (const pause of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
        yield* TestClock.adjust(9999)
        yield* loseLatest
        yield* settle
        yield* reopensAfter(pause)
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 1 })), withoutJitter)
  )

  it.effect("doubles no pause any more once a connection opened since has lasted 10 seconds", () =>
    Effect.gen(function* () {
      yield* settle
      for (const pause of [100, 200, 400]) {
        yield* loseLatest
        yield* settle
        yield* reopensAfter(pause)
      }
      yield* TestClock.adjust("10 seconds")
      yield* loseLatest
      yield* settle
      yield* reopensAfter(100)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 1 })), withoutJitter)
  )

  it.effect("doubles it still while all that has lasted is older than the losses", () =>
    Effect.gen(function* () {
      yield* settle
      yield* TestClock.adjust("1 minute")
      // One of the two is lost each time; the other has been there all the time.
      for (const pause of [100, 200, 400, 800]) {
        yield* loseLatest
        yield* settle
        yield* reopensAfter(pause)
        yield* TestClock.adjust("1 second")
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 2 })), withoutJitter)
  )
})

describe("a server that ends each connection after a while", () => {
  it.effect("is not driven faster than the back-off by renewals in between", () =>
    Effect.gen(function* () {
      yield* settle
      for (let n = 0; n < 60; n++) {
        yield* TestClock.adjust("1100 millis")
        for (const peer of yield* peers) yield* peer.close(1000)
        yield* Effect.ignore(WebSocketPool.use(({ discard }) => discard))
      }
      const { opened } = yield* WebSocketPool.stats
      // A use opens one when there is none, and what it discards is younger than a second: that is no renewal.
      assert.isAtMost(opened, 2 * 60 + 20)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...quiet, minConnections: 1 })), withoutJitter)
  )
})
