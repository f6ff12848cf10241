import { PoolError, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, makeTransport } from "../support/handTransport.js"
import { notYet, now, settle, url } from "../support/memoryPool.js"

const lost = () =>
  new WebSocketTransport.TransportError({ reason: "Network", cause: new Error("connect ECONNREFUSED") })

interface Failing {
  readonly options: Partial<WebSocketPool.Options>
  readonly connect?: () => Effect.Effect<never, WebSocketTransport.TransportError>
}

/** Everything that can fail without giving way to anybody. */
const failing: Readonly<Record<string, Failing>> = {
  url: { options: { url: Effect.fail("no server known") } },
  headers: { options: { headers: Effect.fail("no token") } },
  "the transport": { options: {}, connect: () => Effect.fail(lost()) },
  onConnect: { options: { onConnect: () => Effect.fail("bad password") } },
  "a hook that throws": {
    options: {
      onConnect: () => {
        throw new Error("no")
      }
    }
  }
}

const schedules: Readonly<Record<string, WebSocketPool.Options["retry"]>> = {
  forever: Schedule.forever,
  "spaced(0)": Schedule.spaced(0),
  "recurs(1e9)": Schedule.recurs(1e9),
  "exponential(0)": Schedule.exponential(0),
  "jittered spaced(0)": Schedule.jittered(Schedule.spaced(0)),
  "a pause of less than a millisecond": Schedule.spaced("100 micros")
}

const unavailable = (error: unknown) => {
  assert.instanceOf(error, PoolError.ConnectionUnavailableError)
  return error
}

describe("a retry schedule without a pause", () => {
  for (const [schedule, retry] of Object.entries(schedules)) {
    for (const [what, { connect, options }] of Object.entries(failing)) {
      if (schedule !== "forever" && what !== "url" && what !== "the transport") continue
      // Attempts that failed at once followed each other without end: acquireTimeout never fired, nor anything else.
      it.live(`${schedule}, with ${what} failing at once, lets timers and the event loop go on`, () =>
        Effect.gen(function* () {
          const transport = makeTransport({ connect, onClose: answerCloses })
          yield* Effect.gen(function* () {
            const pool = yield* WebSocketPool.make({ url, retry, acquireTimeout: "150 millis", ...options })
            const turns = { immediates: 0, timeouts: 0 }
            let isOver = false
            const immediate = () => {
              turns.immediates += 1
              if (!isOver) setImmediate(immediate)
            }
            setImmediate(immediate)
            const timer = setInterval(() => {
              turns.timeouts += 1
            }, 10)
            const sleeper = yield* Effect.forkChild(Effect.sleep("100 millis"))
            const error = unavailable(yield* Effect.flip(Effect.scoped(pool.get)))
            isOver = true
            clearInterval(timer)
            assert.strictEqual(error.reason, "Timeout")
            assert.isAbove(error.attempts, 1)
            assert.isDefined(poll(sleeper), "a sleep of another fiber has ended meanwhile")
            assert.isAbove(turns.immediates, 0)
            assert.isAbove(turns.timeouts, 0)
          }).pipe(Effect.scoped, Effect.provide(transport.layer))
        })
      )
    }
  }

  it.live("is left when the pool is closed, and when the get is interrupted", () =>
    Effect.gen(function* () {
      const transport = makeTransport({ connect: () => Effect.fail(lost()) })
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.make({ url, retry: Schedule.forever })
        const first = yield* Effect.forkChild(Effect.scoped(pool.get))
        yield* Effect.sleep("20 millis")
        yield* Fiber.interrupt(first)
        yield* Effect.sleep("20 millis")
        const { total, waiting } = yield* pool.stats
        assert.deepStrictEqual({ total, waiting }, { total: 0, waiting: 0 })

        const second = yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get)))
        yield* Effect.sleep("20 millis")
        yield* pool.close
        assert.strictEqual((yield* Fiber.join(second))._tag, "PoolClosedError")
        const attempts = transport.attempts.length
        yield* Effect.sleep("20 millis")
        assert.strictEqual(transport.attempts.length, attempts)
      }).pipe(Effect.scoped, Effect.provide(transport.layer))
    })
  )

  it.live("in the background lets others go on, too, and pauses between its rounds", () =>
    Effect.gen(function* () {
      const transport = makeTransport({ connect: () => Effect.fail(lost()) })
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.make({ url, retry: Schedule.recurs(50), minConnections: 5 })
        yield* Effect.sleep("200 millis")
        assert.isAtMost((yield* pool.stats).connectFailures, 3 * 5 * 51)
        // A busy machine takes longer for the first round.
        while ((yield* pool.stats).connectFailures <= 50) yield* Effect.sleep("10 millis")
      }).pipe(Effect.scoped, Effect.provide(transport.layer))
    })
  )
})

describe("under TestClock", () => {
  for (const [what, { connect, options }] of Object.entries(failing)) {
    it.effect(`acquireTimeout ends what fails at once for ever: ${what}`, () => {
      const transport = makeTransport({ connect, onClose: answerCloses })
      return Effect.gen(function* () {
        const pool = yield* WebSocketPool.make({
          url,
          retry: Schedule.forever,
          acquireTimeout: "5 seconds",
          ...options
        })
        const get = yield* Effect.forkScoped(Effect.flip(Effect.scoped(pool.get)))
        yield* TestClock.adjust("4999 millis")
        notYet(get)
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.strictEqual(unavailable(yield* now(get)).reason, "Timeout")
        yield* settle
        assert.strictEqual((yield* pool.stats).total, 0)
      }).pipe(Effect.scoped, Effect.provide(transport.layer))
    })
  }

  it.effect(
    "retries take no time that is not theirs: three attempts of a schedule without a pause are made at once",
    () => {
      const transport = makeTransport({ connect: () => Effect.fail(lost()) })
      return Effect.gen(function* () {
        const pool = yield* WebSocketPool.make({ url, retry: Schedule.recurs(2) })
        const get = yield* Effect.tap(Effect.forkScoped(Effect.flip(Effect.scoped(pool.get))), settle)
        assert.strictEqual(unavailable(yield* now(get)).attempts, 3)
      }).pipe(Effect.scoped, Effect.provide(transport.layer))
    }
  )
})
