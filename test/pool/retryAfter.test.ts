import { PoolError, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Option from "#effect/Option"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, makeTransport } from "../support/handTransport.js"
import { notYet, now, settle, url } from "../support/memoryPool.js"

type Pool = WebSocketPool.WebSocketPool

const refused = (status: number, retryAfter?: Duration.Input) =>
  new WebSocketTransport.TransportError({
    reason: "Handshake",
    status,
    ...(retryAfter === undefined ? {} : { retryAfter: Option.getOrThrow(Duration.fromInput(retryAfter)) }),
    cause: new Error(`Unexpected server response: ${status}`)
  })

/** A server that refuses as long as it is told to; it counts the attempts at each host. */
const server = (status = 503, retryAfter: Duration.Input | undefined = "30 seconds") => {
  const control: { refuses: boolean | string; status: number; retryAfter: Duration.Input | undefined } = {
    refuses: true,
    status,
    retryAfter
  }
  const transport = makeTransport({
    connect: (request) =>
      Effect.suspend(() => {
        const { refuses, retryAfter, status } = control
        const isRefused = typeof refuses === "string" ? request.url.includes(refuses) : refuses
        return isRefused ? Effect.fail(refused(status, retryAfter)) : Effect.void
      }),
    onClose: answerCloses
  })
  return { control, ...transport }
}

type Server = ReturnType<typeof server>

/** Runs a test on a pool, then closes that and asserts that nothing is left. */
const program = <A>(
  { layer, live }: Server,
  options: Partial<WebSocketPool.Options>,
  body: (pool: Pool) => Effect.Effect<A, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const pool = yield* WebSocketPool.make({ url, acquireTimeout: "10 minutes", ...options })
    yield* Effect.scoped(body(pool))
    const closing = yield* Effect.tap(Effect.forkChild(pool.close), settle)
    yield* now(closing)
    const { opened, closed, total, waiting } = yield* pool.stats
    assert.deepStrictEqual({ open: opened - closed, total, waiting }, { open: 0, total: 0, waiting: 0 })
    assert.strictEqual(live(), 0)
  }).pipe(Effect.scoped, Effect.provide(layer))

const forkGet = (pool: Pool) => Effect.tap(Effect.forkScoped(pool.get), settle)

const failureOf = (fiber: Fiber.Fiber<unknown, PoolError.AcquireError>) =>
  Effect.map(Effect.flip(Effect.asVoid(now(fiber))), (error) => {
    assert.instanceOf(error, PoolError.ConnectionUnavailableError)
    return error
  })

/** A server that said when to come back was asked 72 times in 16 seconds. */
describe("Retry-After", () => {
  for (const status of [408, 425, 429, 503]) {
    it.effect(`of a ${status} holds attempts off until it has passed`, () => {
      const refusing = server(status)
      return program(refusing, {}, (pool) =>
        Effect.gen(function* () {
          const get = yield* forkGet(pool)
          const other = yield* forkGet(pool)
          // Both had begun when the first was refused.
          const begun = refusing.attempts.length
          yield* TestClock.adjust("29999 millis")
          assert.strictEqual(refusing.attempts.length, begun)
          notYet(get)
          refusing.control.refuses = false
          yield* TestClock.adjust("1 millis")
          yield* now(get)
          yield* now(other)
          assert.strictEqual((yield* pool.stats).connectFailures, begun)
        })
      )
    })
  }

  for (const status of [500, 502, 504]) {
    it.effect(`of a ${status} holds nothing off`, () => {
      const refusing = server(status)
      return program(refusing, { retry: Schedule.spaced("1 second") }, (pool) =>
        Effect.gen(function* () {
          const get = yield* forkGet(pool)
          yield* TestClock.adjust("5 seconds")
          assert.strictEqual(refusing.attempts.length, 6)
          refusing.control.refuses = false
          yield* TestClock.adjust("1 second")
          yield* now(get)
        })
      )
    })
  }

  it.effect("that is missing holds nothing off", () => {
    const refusing = server(503, undefined)
    refusing.control.retryAfter = undefined
    return program(refusing, { retry: Schedule.spaced("1 second") }, (pool) =>
      Effect.gen(function* () {
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(refusing.attempts.length, 6)
        refusing.control.refuses = false
        yield* TestClock.adjust("1 second")
        yield* now(get)
      })
    )
  })

  it.effect("of more than a minute holds off for a minute", () => {
    const refusing = server(503, "2 hours")
    return program(refusing, {}, (pool) =>
      Effect.gen(function* () {
        const get = yield* forkGet(pool)
        refusing.control.refuses = false
        yield* TestClock.adjust("59999 millis")
        assert.strictEqual(refusing.attempts.length, 1)
        yield* TestClock.adjust("1 millis")
        yield* now(get)
        assert.strictEqual(refusing.attempts.length, 2)
      })
    )
  })

  it.effect("holds gets off that come later, each for what is left of it", () => {
    const refusing = server()
    return program(refusing, { retry: Schedule.recurs(0) }, (pool) =>
      Effect.gen(function* () {
        const first = yield* forkGet(pool)
        assert.deepInclude(yield* failureOf(first), { attempts: 1, status: 503 })
        refusing.control.refuses = false
        yield* TestClock.adjust("20 seconds")
        const second = yield* forkGet(pool)
        yield* TestClock.adjust("9999 millis")
        notYet(second)
        assert.strictEqual(refusing.attempts.length, 1)
        yield* TestClock.adjust("1 millis")
        yield* now(second)
      })
    )
  })

  it.effect("of one attempt ends when another one there succeeds", () => {
    // The first is refused, the second was under way then.
    const transport = makeTransport({
      connect: (_, index) =>
        index === 0
          ? Effect.andThen(Effect.yieldNow, Effect.fail(refused(503, "30 seconds")))
          : index === 1
            ? Effect.sleep("5 seconds")
            : Effect.void,
      onClose: answerCloses
    })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url, acquireTimeout: "10 minutes", shutdownTimeout: 0 })
      const gets = [yield* Effect.forkScoped(pool.get), yield* Effect.forkScoped(pool.get)]
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(transport.attempts.length, 2)
      for (const get of gets) notYet(get)
      yield* TestClock.adjust("1 millis")
      yield* settle
      for (const get of gets) yield* now(get)
      assert.strictEqual(transport.attempts.length, 3)
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })
})

describe("a get that cannot outlast Retry-After", () => {
  it.effect("fails at once with that error, and no attempts, when there is no connection", () => {
    const refusing = server()
    return program(refusing, { acquireTimeout: "30 seconds", retry: Schedule.recurs(0) }, (pool) =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failureOf(yield* forkGet(pool)), { attempts: 1 })
        const error = yield* failureOf(yield* forkGet(pool))
        assert.deepInclude(error, { reason: "Handshake", status: 503, attempts: 0, isRetryable: true })
        assert.deepStrictEqual(error.retryAfter, Duration.seconds(30))
        assert.strictEqual(refusing.attempts.length, 1)
        // A moment later it can.
        yield* TestClock.adjust("1 millis")
        const get = yield* forkGet(pool)
        notYet(get)
        refusing.control.refuses = false
        yield* TestClock.adjust("29999 millis")
        yield* now(get)
      })
    )
  })

  it.effect("fails when its own attempt is the one that is refused, without waiting for its retries", () => {
    const refusing = server()
    return program(refusing, { acquireTimeout: "20 seconds" }, (pool) =>
      Effect.gen(function* () {
        const gets = [yield* forkGet(pool), yield* forkGet(pool)]
        for (const get of gets) assert.deepInclude(yield* failureOf(get), { reason: "Handshake", status: 503 })
        yield* TestClock.adjust("1 minute")
        assert.isAtMost(refusing.attempts.length, 2)
      })
    )
  })

  for (const [what, options] of [
    ["leased", {}],
    ["draining", { drain: { quietPeriod: "1 minute", timeout: "2 minutes" } }]
  ] as const) {
    it.effect(`fails at its acquireTimeout while a connection is ${what}`, () => {
      const refusing = server()
      return program(refusing, { ...options, acquireTimeout: "10 seconds" }, (pool) =>
        Effect.gen(function* () {
          refusing.control.refuses = false
          if (what === "leased") yield* pool.get
          else yield* pool.use(() => Effect.void)
          refusing.control.refuses = true
          const get = yield* forkGet(pool)
          yield* TestClock.adjust("9999 millis")
          notYet(get)
          yield* TestClock.adjust("1 millis")
          assert.deepInclude(yield* failureOf(get), { reason: "Handshake", status: 503 })
        })
      )
    })
  }

  it.effect("gets the connection that is given back in time", () => {
    const refusing = server()
    return program(refusing, { acquireTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        refusing.control.refuses = false
        const holder = yield* Effect.forkChild(pool.use(() => Effect.sleep("5 seconds")))
        yield* settle
        refusing.control.refuses = true
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(holder)
        yield* now(get)
        assert.strictEqual((yield* pool.stats).opened, 1)
      })
    )
  })

  it.effect("fails once the last connection is lost", () => {
    const refusing = server()
    return program(refusing, { acquireTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        refusing.control.refuses = false
        yield* pool.get
        refusing.control.refuses = true
        const get = yield* forkGet(pool)
        yield* TestClock.adjust("1 second")
        notYet(get)
        refusing.sockets[0]!.lose()
        yield* settle
        assert.deepInclude(yield* failureOf(get), { reason: "Handshake", status: 503 })
      })
    )
  })
})

describe("ready", () => {
  it.effect("fails with what the server has refused with", () => {
    const refusing = server()
    return program(refusing, { minConnections: 2 }, (pool) =>
      Effect.gen(function* () {
        const waiting = yield* Effect.forkScoped(Effect.flip(pool.ready))
        yield* settle
        const error = yield* now(waiting)
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", status: 503 })
        const again = yield* Effect.flip(pool.ready)
        assert.deepInclude(again, { _tag: "ConnectionUnavailableError", status: 503 })
        refusing.control.refuses = false
        yield* TestClock.adjust("30 seconds")
        yield* pool.ready
      })
    )
  })
})

describe("minConnections", () => {
  it.effect("are not opened before Retry-After has passed, and then are", () => {
    const refusing = server()
    return program(refusing, { minConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        yield* settle
        const begun = refusing.attempts.length
        assert.isAtMost(begun, 3)
        yield* TestClock.adjust("29999 millis")
        assert.strictEqual(refusing.attempts.length, begun)
        refusing.control.refuses = false
        yield* TestClock.adjust("1 millis")
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* pool.stats).idle, 3)
      })
    )
  })

  it.effect("are tried for once per Retry-After, however often it is said", () => {
    const refusing = server()
    return program(refusing, { minConnections: 1 }, () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("10 minutes")
        assert.isAtMost(refusing.attempts.length, 1 + 20)
        assert.isAtLeast(refusing.attempts.length, 15)
      })
    )
  })
})

describe("hosts that an effect gives", () => {
  it.effect("are held off apart from each other", () => {
    const refusing = server()
    refusing.control.refuses = "one.test"
    let host = "one"
    const address = Effect.sync(() => `ws://${host}.test`)
    return program(refusing, { url: address, acquireTimeout: "1 minute", retry: Schedule.recurs(0) }, (pool) =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failureOf(yield* forkGet(pool)), { status: 503, url: "ws://one.test/" })
        host = "two"
        yield* now(yield* forkGet(pool))
        host = "one"
        const held = yield* forkGet(pool)
        yield* TestClock.adjust("29999 millis")
        notYet(held)
        assert.strictEqual(refusing.attempts.filter(({ url }) => url.includes("one")).length, 1)
        refusing.control.refuses = false
        yield* TestClock.adjust("1 millis")
        yield* now(held)
      })
    )
  })

  it.effect("do not spend connectTimeout while they are held off, and count as no attempt", () => {
    const refusing = server()
    const options = {
      url: Effect.succeed("ws://one.test"),
      connectTimeout: "2 seconds",
      retry: Schedule.recurs(0)
    } as const
    return program(refusing, options, (pool) =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failureOf(yield* forkGet(pool)), { status: 503 })
        const held = yield* forkGet(pool)
        refusing.control.refuses = false
        yield* TestClock.adjust("29 seconds")
        notYet(held)
        yield* TestClock.adjust("1 second")
        yield* now(held)
        assert.strictEqual((yield* pool.stats).connectFailures, 1)
      })
    )
  })

  it.effect("that cannot be outlasted fail the get at once", () => {
    const refusing = server()
    const options = {
      url: Effect.succeed("ws://one.test"),
      acquireTimeout: "10 seconds",
      retry: Schedule.recurs(0)
    } as const
    return program(refusing, options, (pool) =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failureOf(yield* forkGet(pool)), { attempts: 1 })
        assert.deepInclude(yield* failureOf(yield* forkGet(pool)), { attempts: 0, status: 503 })
        assert.strictEqual(refusing.attempts.length, 1)
      })
    )
  })
})

describe("while held off", () => {
  for (const [kind, address] of [
    ["a URL", url],
    ["a URL that an effect gives", Effect.succeed(url)]
  ] as const) {
    it.effect(`an interrupted get leaves nothing behind, of ${kind}`, () => {
      const refusing = server()
      return program(refusing, { url: address, retry: Schedule.recurs(0) }, (pool) =>
        Effect.gen(function* () {
          yield* failureOf(yield* forkGet(pool))
          const gets = [yield* forkGet(pool), yield* forkGet(pool), yield* forkGet(pool)]
          for (const get of gets) yield* Fiber.interrupt(get)
          assert.strictEqual((yield* pool.stats).waiting, 0)
          yield* TestClock.adjust("30 seconds")
          assert.strictEqual((yield* pool.stats).total, 0)
          assert.strictEqual(refusing.attempts.length, 1)
        })
      )
    })

    it.effect(`closing the pool takes no time, of ${kind}`, () => {
      const refusing = server()
      return program(refusing, { url: address, minConnections: 2, retry: Schedule.recurs(0) }, (pool) =>
        Effect.gen(function* () {
          const get = yield* forkGet(pool)
          yield* TestClock.adjust("1 second")
          const before = refusing.attempts.length
          const closing = yield* Effect.tap(Effect.forkChild(pool.close), settle)
          yield* now(closing)
          assert.strictEqual((yield* pool.stats).total, 0)
          assert.isDefined(poll(get))
          yield* TestClock.adjust("2 minutes")
          assert.strictEqual(refusing.attempts.length, before)
        })
      )
    })
  }
})
