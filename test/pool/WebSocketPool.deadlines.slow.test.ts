import { type PoolError, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import { limited } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { randomly, spacedWhile } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import {
  type Accept,
  expectTag,
  listen,
  notYet,
  now,
  peers,
  poolWith,
  Server,
  settle,
  url
} from "../support/memoryPool.js"

/** A `get` in a fiber of its own, whose lease lasts as long as the test. */
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect)

/** What a `get` fails with. */
const failing = Effect.forkChild(Effect.flip(Effect.scoped(WebSocketPool.get)))

const noRetry = { retry: Schedule.recurs(0) }

/** Makes jitter say what it says in the middle of its range, or anywhere else. */
const withJitter = (at: number) => randomly([at])

const handshakes = Effect.map(Server, ({ handshakes }) => handshakes.length)

/** A server that refuses the first ones with a status. */
const refuse = (status: number, times = Number.POSITIVE_INFINITY): Accept => {
  let refused = 0
  return () => (refused++ < times ? Effect.fail(status) : Effect.void)
}

describe("acquireTimeout", () => {
  it.effect("fails a get that waits for a lease after 30 seconds, and not before", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const waiter = yield* failing

      yield* TestClock.adjust("29999 millis")
      notYet(waiter)

      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.reason, "AcquireTimeout")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("bounds connecting", () =>
    Effect.gen(function* () {
      const waiter = yield* failing

      yield* TestClock.adjust("4999 millis")
      notYet(waiter)

      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Timeout")
      assert.strictEqual(error.attempts, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ acquireTimeout: "5 seconds", connectTimeout: Duration.infinity }, listen, () => Effect.never)
      )
    )
  )

  it.effect("bounds connecting with all its attempts", () =>
    Effect.gen(function* () {
      const waiter = yield* failing

      yield* TestClock.adjust("29999 millis")
      notYet(waiter)

      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Timeout")
      assert.strictEqual(error.attempts, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, listen, () => Effect.never)), withJitter(0.5))
  )

  it.effect("bounds waiting for a lease and connecting together", () => {
    let accepted = 0
    return Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      yield* fork(WebSocketPool.use((connection) => Effect.andThen(connection.discard, Deferred.await(release))))
      yield* settle
      const waiter = yield* failing

      yield* TestClock.adjust("20 seconds")
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).connecting, 1)
      notYet(waiter)

      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Timeout")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ maxConnections: 1, connectTimeout: Duration.infinity }, listen, () =>
          accepted++ === 0 ? Effect.void : Effect.never
        )
      )
    )
  })

  it.effect("bounds validating; the connection that is being validated is no lease in the way", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.use(() => Effect.void)
      yield* (yield* peers)[0]!.silence
      yield* TestClock.adjust("6 seconds")
      const waiter = yield* failing

      yield* TestClock.adjust("499 millis")
      notYet(waiter)

      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Timeout")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: "500 millis" })))
  )

  it.effect("serves a get whose turn comes just before it", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      yield* fork(WebSocketPool.use(() => Deferred.await(release)))
      yield* settle
      const waiter = yield* fork(WebSocketPool.get)
      yield* TestClock.adjust("29999 millis")
      yield* Deferred.succeed(release, undefined)
      yield* settle
      assert.strictEqual((yield* (yield* now(waiter)).info).leases, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("of infinity lets a get wait for ever", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const waiter = yield* failing
      yield* TestClock.adjust("365 days")
      notYet(waiter)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ maxConnections: 1, acquireTimeout: Duration.infinity, pingInterval: Duration.infinity })
      )
    )
  )
})

describe("maxWaiters", () => {
  it.effect("is unlimited unless it is given", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      yield* Effect.replicateEffect(failing, 1_000)
      yield* settle
      const { exhausted, waiting } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ exhausted, waiting }, { exhausted: 0, waiting: 1_000 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("lets so many wait at the limit, and fails the next at once", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const first = yield* failing
      const second = yield* failing
      yield* settle
      const third = yield* failing
      yield* settle
      notYet(first)
      notYet(second)
      const error = yield* now(third)
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.reason, "TooManyWaiters")

      yield* Fiber.interrupt(first)
      const fourth = yield* failing
      yield* settle
      notYet(fourth)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 2 })))
  )

  it.effect("of 0 fails a get and a getNew at once when the pool is full", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      for (const get of [WebSocketPool.get, WebSocketPool.getNew]) {
        const error = yield* now(yield* Effect.tap(Effect.forkChild(Effect.flip(Effect.scoped(get))), settle))
        expectTag(error, "PoolExhaustedError")
        assert.strictEqual(error.reason, "TooManyWaiters")
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0 })))
  )

  it.effect(
    "of 0 does not fail a get below the limit, however long connecting takes, nor one that finds an idle one",
    () =>
      Effect.gen(function* () {
        const waiters = yield* Effect.replicateEffect(fork(WebSocketPool.use(() => Effect.sleep("1 second"))), 3)
        yield* settle
        for (const waiter of waiters) notYet(waiter)
        yield* TestClock.adjust("4 seconds")
        for (const waiter of waiters) yield* now(waiter)
        yield* WebSocketPool.get
        assert.strictEqual((yield* WebSocketPool.stats).exhausted, 0)
      }).pipe(
        Effect.scoped,
        Effect.provide(poolWith({ maxConnections: 3, maxWaiters: 0 }, listen, () => Effect.sleep("3 seconds")))
      )
  )
})

describe("connectTimeout", () => {
  const parts: ReadonlyArray<readonly [string, Parameters<typeof poolWith>]> = [
    ["url", [{ url: Effect.never }]],
    ["headers", [{ headers: Effect.never }]],
    ["the handshake", [{}, listen, () => Effect.never]],
    ["onConnect", [{ onConnect: () => Effect.never }]],
    ["an onConnect that cannot be interrupted", [{ onConnect: () => Effect.uninterruptible(Effect.never) }]],
    [
      "an onConnect whose server has fallen silent",
      [{ onConnect: (connection) => connection.receive }, (peer) => Effect.andThen(peer.silence, Effect.never)]
    ]
  ]

  for (const [part, [options, handler, accept]] of parts) {
    it.effect(`fails an attempt after 10 seconds in ${part}, and not before`, () =>
      Effect.gen(function* () {
        const waiter = yield* failing

        yield* TestClock.adjust("9999 millis")
        notYet(waiter)

        yield* TestClock.adjust("1 millis")
        const error = yield* now(waiter)
        expectTag(error, "ConnectionUnavailableError")
        assert.strictEqual(error.reason, "Timeout")
        assert.isTrue(error.isRetryable)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ ...noRetry, ...options }, handler, accept)))
    )
  }

  const inSteps = (each: Duration.Input) =>
    poolWith(
      {
        ...noRetry,
        url: Effect.as(Effect.sleep(each), url),
        headers: Effect.as(Effect.sleep(each), {}),
        onConnect: () => Effect.sleep(each)
      },
      listen,
      () => Effect.sleep(each)
    )

  it.effect("allows url, headers, handshake and onConnect 10 seconds together", () =>
    Effect.gen(function* () {
      const waiter = yield* fork(WebSocketPool.get)
      yield* TestClock.adjust("9995 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      yield* now(waiter)
    }).pipe(Effect.scoped, Effect.provide(inSteps("2499 millis")))
  )

  it.effect("fails when url, headers, handshake and onConnect together take longer", () =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("9999 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* now(waiter))._tag, "ConnectionUnavailableError")
    }).pipe(Effect.scoped, Effect.provide(inSteps("2501 millis")))
  )

  it.effect("counts for each attempt anew", () =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("10999 millis")
      assert.strictEqual(yield* handshakes, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* handshakes, 2)
      yield* TestClock.adjust("9999 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.attempts, 2)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ retry: limited(1)(Schedule.spaced("1 second")) }, listen, () => Effect.never))
    )
  )

  it.effect("of infinity lets an attempt take for ever", () =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("365 days")
      notYet(waiter)
      assert.strictEqual(yield* handshakes, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ connectTimeout: Duration.infinity, acquireTimeout: Duration.infinity }, listen, () => Effect.never)
      )
    )
  )
})

describe("retry", () => {
  it.effect("tries again after 100, 200 and 400 milliseconds, then fails", () =>
    Effect.gen(function* () {
      const waiter = yield* failing
      let attempts = 0
      for (const pause of [0, 100, 200, 400]) {
        if (pause > 0) {
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(yield* handshakes, attempts)
          notYet(waiter)
        }
        yield* TestClock.adjust(pause > 0 ? 1 : 0)
        attempts += 1
        assert.strictEqual(yield* handshakes, attempts)
      }
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.attempts, 4)
      assert.strictEqual(error.status, 503)
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, listen, refuse(503))), withJitter(0.5))
  )

  it.effect("jitters its pauses", () => {
    const secondAttemptWithin = (millis: number, jitter: number) =>
      Effect.gen(function* () {
        yield* failing
        yield* TestClock.adjust(millis)
        return (yield* handshakes) > 1
      }).pipe(Effect.scoped, Effect.provide(poolWith({}, listen, refuse(503))), withJitter(jitter))
    return Effect.gen(function* () {
      assert.isTrue(yield* secondAttemptWithin(99, 0))
      assert.isFalse(yield* secondAttemptWithin(100, 1))
    })
  })

  it.effect("stops with the first success", () =>
    Effect.gen(function* () {
      const waiter = yield* fork(WebSocketPool.get)
      yield* TestClock.adjust("99 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      yield* now(waiter)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* handshakes, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, listen, refuse(503, 1))), withJitter(0.5))
  )

  it.effect("takes a schedule over ConnectionUnavailableError", () =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* handshakes, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* handshakes, 2)
      yield* TestClock.adjust("2 seconds")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.attempts, 3)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith(
          {
            retry: spacedWhile("2 seconds", (error: PoolError.ConnectionUnavailableError) => error.attempts < 3)
          },
          listen,
          refuse(500)
        )
      )
    )
  )

  const attemptsOf = (...pool: Parameters<typeof poolWith>) =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("2 seconds")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      return error
    }).pipe(Effect.provide(poolWith(...pool)))

  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    it.effect(`is applied when the upgrade is refused with ${status}`, () =>
      Effect.gen(function* () {
        const error = yield* attemptsOf({}, listen, refuse(status))
        assert.deepInclude(error, { reason: "Handshake", status, attempts: 4, isRetryable: true })
      })
    )
  }

  for (const status of [200, 301, 400, 401, 403, 404, 407, 409, 426, 499, 600]) {
    it.effect(`is not applied when the upgrade is refused with ${status}`, () =>
      Effect.gen(function* () {
        const error = yield* attemptsOf({}, listen, refuse(status))
        assert.deepInclude(error, { reason: "Handshake", status, attempts: 1, isRetryable: false })
      })
    )
  }

  const setups: ReadonlyArray<readonly [string, Partial<WebSocketPool.Options>]> = [
    ["url fails", { url: Effect.fail("no") }],
    ["url dies", { url: Effect.die("no") }],
    ["headers fails", { headers: Effect.fail("no") }],
    ["headers dies", { headers: Effect.die("no") }],
    ["onConnect fails", { onConnect: () => Effect.fail("no") }],
    ["onConnect dies", { onConnect: () => Effect.die("no") }],
    [
      "onConnect throws",
      {
        onConnect: () => {
          throw "no"
        }
      }
    ],
    ["onConnect interrupts itself", { onConnect: () => Effect.interrupt }]
  ]
  for (const [what, options] of setups) {
    it.effect(`is applied when ${what}, which is a failed setup`, () =>
      Effect.gen(function* () {
        const error = yield* attemptsOf(options)
        assert.deepInclude(error, { reason: "Setup", attempts: 4, isRetryable: true })
        if (what !== "onConnect interrupts itself") assert.strictEqual(error.cause, "no")
      })
    )
  }

  for (const bad of ["http://server.test", "not a URL", ""]) {
    it.effect(`is not applied when the url effect gives ${JSON.stringify(bad)}, which is a failed setup`, () =>
      Effect.gen(function* () {
        const error = yield* attemptsOf({ url: Effect.succeed(bad) })
        assert.deepInclude(error, { reason: "Setup", attempts: 1, isRetryable: false })
      })
    )
  }

  const transport = (failure: ConstructorParameters<typeof WebSocketTransport.TransportError>[0]) =>
    Effect.gen(function* () {
      const waiter = yield* failing
      yield* TestClock.adjust("2 seconds")
      const error = yield* now(waiter)
      expectTag(error, "ConnectionUnavailableError")
      return error
    }).pipe(
      Effect.provide(
        Layer.provide(
          WebSocketPool.layer({ url }),
          Layer.succeed(WebSocketTransport.WebSocketTransport, {
            connect: () => Effect.fail(new WebSocketTransport.TransportError(failure))
          })
        )
      )
    )

  it.effect("is applied to network errors", () =>
    Effect.gen(function* () {
      const error = yield* transport({ reason: "Network", cause: "gone" })
      assert.deepInclude(error, { reason: "Network", attempts: 4, isRetryable: true, cause: "gone" })
    })
  )

  it.effect("is not applied to certificate errors", () =>
    Effect.gen(function* () {
      const error = yield* transport({ reason: "Tls", cause: "self-signed" })
      assert.deepInclude(error, { reason: "Tls", attempts: 1, isRetryable: false })
    })
  )

  it.effect("is not applied to a broken upgrade", () =>
    Effect.gen(function* () {
      const error = yield* transport({ reason: "Handshake", cause: "malformed" })
      assert.deepInclude(error, { reason: "Handshake", attempts: 1, isRetryable: false })
    })
  )

  it.effect(
    "is run anew by every background opening, after pauses that double from 100 milliseconds to 10 seconds",
    () =>
      Effect.gen(function* () {
        yield* settle
        let attempts = 2
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* handshakes, attempts)
        for (const pause of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]) {
          yield* TestClock.adjust(pause - 1)
          assert.strictEqual(yield* handshakes, attempts)
          yield* TestClock.adjust(1)
          assert.strictEqual(yield* handshakes, attempts + 1)
          yield* TestClock.adjust("10 millis")
          attempts += 2
          assert.strictEqual(yield* handshakes, attempts)
        }
        assert.strictEqual((yield* WebSocketPool.stats).connectFailures, attempts)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          poolWith({ minConnections: 1, retry: limited(1)(Schedule.spaced("10 millis")) }, listen, refuse(503))
        ),
        withJitter(0.5)
      )
  )

  it.effect("leaves no pause of a background opening above 10 seconds, wherever the jitter falls", () => {
    const times: Array<number> = []
    const refuse = () =>
      Effect.andThen(
        Effect.map(Clock.currentTimeMillis, (time) => times.push(time)),
        Effect.fail(503)
      )
    return Effect.gen(function* () {
      yield* TestClock.adjust("5 minutes")
      const pauses = times.slice(1).map((time, index) => time - times[index]!)
      assert.isAbove(pauses.length, 20)
      assert.strictEqual(Math.max(...pauses), 10_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1, ...noRetry }, listen, refuse)), withJitter(1))
  })

  it.effect("is run anew by background opening even when the failure is not retryable, until it succeeds", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("299 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      assert.strictEqual(yield* handshakes, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1 }, listen, refuse(401, 2))), withJitter(0.5))
  )

  it.effect("begins with the first pause again after background opening has succeeded", () => {
    let asked = 0
    return Effect.gen(function* () {
      yield* TestClock.adjust("700 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      assert.strictEqual(yield* handshakes, 4)
      yield* TestClock.adjust("1 minute")
      yield* (yield* peers)[0]!.destroy
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(yield* handshakes, 4)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* handshakes, 5)
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(yield* handshakes, 5)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* handshakes, 6)
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ minConnections: 1, ...noRetry }, listen, () =>
          [4, 6].includes(++asked) ? Effect.void : Effect.fail(503)
        )
      ),
      withJitter(0.5)
    )
  })
})
