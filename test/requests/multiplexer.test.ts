import { Multiplexer, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import type { HandSocket } from "../support/handTransport.js"
import { expectTag, notYet, now, settle } from "../support/memoryPool.js"
import { cancelling, counts, crediting, expectSent, mute, say, scenario, start } from "./support.js"

describe("A1, A3 ids", () => {
  it.effect("count from 1 in each lease, and answers find their requests in any order", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b", "c"], (text) => start(lines.request(text)))
        expectSent(sockets[0], "1 a", "2 b", "3 c")
        yield* say(sockets[0], "3 = C,1 = A")
        assert.strictEqual(yield* now(calls[2]!), "C")
        assert.strictEqual(yield* now(calls[0]!), "A")
        notYet(calls[1]!)
        yield* say(sockets[0], "2 ! no")
        assert.strictEqual(yield* Effect.flip(now(calls[1]!)), "no")
        assert.deepStrictEqual(yield* counts(lines), { connections: 1, requests: 3, answers: 3 })
        // The lease ends; the next one counts anew.
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* lines.stats).connections, 0)
        const again = yield* start(lines.request("d"))
        assert.strictEqual(sockets.length, 1)
        assert.strictEqual(sockets[0]!.sent.at(-1), "1 d")
        yield* say(sockets[0], "1 + D")
        assert.strictEqual(yield* now(again), "D")
      })
    )
  )

  it.effect("A3 what follows its answer in the same message finds the request", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const items = yield* start(Stream.runCollect(lines.stream("s")))
        yield* say(sockets[0], "1 + one,1 + two", "1 + three,1 .")
        assert.deepStrictEqual(Array.from(yield* now(items)), ["one", "two", "three"])
      })
    )
  )

  it.effect("A3 a request is known before it is sent", () =>
    Effect.gen(function* () {
      const codec = (): Multiplexer.Codec<string, string, string> => cancelling()
      yield* scenario({ codec }, {}, (lines, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(lines.request("warm"))
          yield* say(sockets[0], "1 = up")
          yield* now(call)
          // It answers inside of the send.
          const socket = sockets[0]!
          const send = socket.send.bind(socket)
          socket.send = (message) => {
            const bytes = send(message)
            socket.message("2 = at once")
            return bytes
          }
          assert.strictEqual(yield* now(yield* start(lines.request("x"))), "at once")
        })
      )
    })
  )
})

describe("A2 ids that nobody waits for", () => {
  it.effect("are dropped and counted, and disturb nobody", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        yield* say(sockets[0], "7 = unknown,1 = A,1 = again,1 + more")
        yield* now(first)
        notYet(second)
        assert.strictEqual((yield* lines.stats).unmatched, 3)
        yield* say(sockets[0], "2 = B")
        assert.strictEqual(yield* now(second), "B")
      })
    )
  )
})

describe("A codec that throws", () => {
  it.effect("encode: that request's ParseError, which shows no value; nothing is sent, its place is free", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(now(yield* start(lines.request("bad"))))
        assert.notInclude(String(error), "secret")
        assert.include(["ParseError", "SchemaError"], (error as { readonly _tag: string })._tag)
        expectSent(sockets[0])
        const call = yield* start(lines.request("good"))
        yield* say(sockets[0], `${String(sockets[0]!.sent[0]).split(" ")[0]} = fine`)
        assert.strictEqual(yield* now(call), "fine")
      })
    )
  )

  it.effect("decode: the connection ends with 1002, Local; requests on others notice nothing", () =>
    scenario({ concurrency: 1, targetUtilization: 1 }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        assert.strictEqual(sockets.length, 2)
        yield* say(sockets[0], "what?")
        const error = yield* Effect.flip(now(first))
        expectTag(error as Multiplexer.RequestError, "ConnectionClosedError")
        assert.deepInclude(error, { code: 1002, initiator: "Local" })
        assert.deepStrictEqual(sockets[0]!.closes, [1002])
        notYet(second)
        yield* say(sockets[1], "1 = B")
        assert.strictEqual(yield* now(second), "B")
      })
    )
  )
})

describe("A4 interruption", () => {
  it.effect("before the socket took it: nothing is sent, its place is free", () =>
    scenario({ concurrency: 2 }, { sendBuffer: 10, maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        sockets[0]!.bufferedAmount = 11
        const second = yield* start(lines.request("b"))
        const third = yield* start(lines.request("c"))
        assert.deepInclude(yield* counts(lines), { inFlight: 2, waiting: 1 })
        yield* Fiber.interrupt(second)
        assert.deepInclude(yield* counts(lines), { inFlight: 2 })
        yield* Fiber.interrupt(third)
        sockets[0]!.bufferedAmount = 0
        sockets[0]!.events.onFlush()
        yield* settle
        expectSent(sockets[0], "1 a")
        assert.deepStrictEqual(yield* counts(lines), { connections: 1, inFlight: 1, requests: 3 })
        yield* say(sockets[0], "1 = A")
        yield* now(first)
      })
    )
  )

  it.effect("after: cancel is sent once and the place is free; the late answer is unmatched", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        expectSent(sockets[0], "1 a")
        yield* Fiber.interrupt(first)
        yield* settle
        expectSent(sockets[0], "1 a", "1 cancel", "2 b")
        yield* say(sockets[0], "1 = late")
        notYet(second)
        yield* say(sockets[0], "2 = B")
        assert.strictEqual(yield* now(second), "B")
        assert.deepStrictEqual(yield* counts(lines), {
          connections: 1,
          requests: 2,
          answers: 1,
          cancelled: 1,
          unmatched: 1
        })
      })
    )
  )

  it.effect("without cancel the place stays taken until the answer comes", () =>
    scenario({ codec: mute, concurrency: 2 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        yield* start(lines.request("b"))
        const third = yield* start(lines.request("c"))
        yield* Fiber.interrupt(first)
        expectSent(sockets[0], "1 a", "2 b")
        assert.deepInclude(yield* counts(lines), { abandoned: 1, inFlight: 1, waiting: 1, cancelled: 1 })
        yield* say(sockets[0], "1 = late")
        expectSent(sockets[0], "1 a", "2 b", "3 c")
        assert.deepInclude(yield* counts(lines), { inFlight: 2, unmatched: 1 })
        notYet(third)
      })
    )
  )

  it.effect("a connection full of nothing but abandoned requests is closed at once", () =>
    scenario({ codec: mute, concurrency: 2 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
        const third = yield* start(lines.request("c"))
        yield* Fiber.interrupt(calls[0]!)
        assert.deepStrictEqual(sockets[0]!.closes, [])
        yield* Fiber.interrupt(calls[1]!)
        yield* settle
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
        expectSent(sockets[1], "1 c")
        yield* say(sockets[1], "1 = C")
        assert.strictEqual(yield* now(third), "C")
      })
    )
  )

  it.effect("a connection that retires with nothing but abandoned requests is closed at once", () =>
    scenario({ codec: mute }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        yield* pool.refresh
        yield* Fiber.interrupt(first)
        assert.deepStrictEqual(sockets[0]!.closes, [])
        yield* say(sockets[0], "2 = B")
        yield* now(second)
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
      })
    )
  )
})

describe("A5, A6 a lost connection", () => {
  it.effect("A5 fails its own requests at once, and those on others notice nothing", () =>
    scenario({ concurrency: 1, targetUtilization: 1 }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        sockets[0]!.lose(1006)
        yield* settle
        const error = yield* Effect.flip(now(first))
        expectTag(error as Multiplexer.RequestError, "ConnectionClosedError")
        assert.deepInclude(error, { code: 1006, initiator: "Remote" })
        notYet(second)
        yield* say(sockets[1], "1 = B")
        yield* now(second)
        assert.deepInclude(yield* counts(lines), { connections: 1 })
      })
    )
  )

  it.effect("A5 answers that were read before it ended are answers", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        sockets[0]!.message("1 = A")
        sockets[0]!.lose(1006)
        yield* settle
        assert.strictEqual(yield* now(call), "A")
      })
    )
  )

  it.effect("A6 what no socket has taken goes over the next connection; what one has taken never does", () =>
    scenario({ concurrency: 2, targetUtilization: 1 }, { sendBuffer: 10, maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        sockets[0]!.bufferedAmount = 11
        const second = yield* start(lines.request("b"))
        sockets[0]!.lose(1006)
        yield* settle
        expectTag((yield* Effect.flip(now(first))) as Multiplexer.RequestError, "ConnectionClosedError")
        notYet(second)
        expectSent(sockets[0], "1 a")
        expectSent(sockets[1], "1 b")
        assert.strictEqual((yield* lines.stats).resent, 1)
        yield* say(sockets[1], "1 = B")
        assert.strictEqual(yield* now(second), "B")
      })
    )
  )

  it.effect("A6 a request waits for the next connection within acquireTimeout from its start", () => {
    let attempts = 0
    return scenario(
      { concurrency: 2, targetUtilization: 1 },
      { sendBuffer: 10, maxConnections: 1, acquireTimeout: "5 seconds", connectTimeout: "1 minute" },
      (lines, sockets) =>
        Effect.gen(function* () {
          yield* start(lines.request("a"))
          sockets[0]!.bufferedAmount = 11
          const second = yield* start(lines.request("b"))
          yield* TestClock.adjust("2 seconds")
          sockets[0]!.lose(1006)
          yield* TestClock.adjust("2999 millis")
          notYet(second)
          yield* TestClock.adjust("1 millis")
          expectTag((yield* Effect.flip(now(second))) as Multiplexer.RequestError, "ConnectionUnavailableError")
        }),
      { connect: () => (++attempts === 1 ? Effect.void : Effect.never) }
    )
  })
})

describe("A7 Refused", () => {
  it.effect("the others are answered as ever; when no more are unanswered than refused, they fail with it", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b", "c"], (text) => start(lines.request(text)))
        yield* say(sockets[0], "refused broken")
        for (const call of calls) notYet(call)
        // No new request goes over it.
        const other = yield* start(lines.request("d"))
        expectSent(sockets[1], "1 d")
        yield* say(sockets[0], "1 = A")
        notYet(calls[1]!)
        yield* say(sockets[0], "3 = C")
        assert.strictEqual(yield* now(calls[0]!), "A")
        assert.strictEqual(yield* now(calls[2]!), "C")
        assert.strictEqual(yield* Effect.flip(now(calls[1]!)), "broken")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
        yield* say(sockets[1], "1 = D")
        assert.strictEqual(yield* now(other), "D")
      })
    )
  )

  it.effect("may be of one that was cancelled, which is unanswered, too", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const [cancelled, first, second] = yield* Effect.forEach(["a", "b", "c"], (text) => start(lines.request(text)))
        yield* Fiber.interrupt(cancelled!)
        yield* say(sockets[0], "2 = B", "refused broken")
        notYet(second!)
        assert.strictEqual(yield* now(first!), "B")
        // It was not that one.
        yield* say(sockets[0], "1 = A")
        assert.strictEqual(yield* Effect.flip(now(second!)), "broken")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])

        const others = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
        yield* Fiber.interrupt(others[0]!)
        yield* say(sockets[1], "refused broken", "2 = B")
        assert.strictEqual(yield* now(others[1]!), "B")
        assert.deepStrictEqual(sockets[1]!.closes, [1000])
      })
    )
  )

  it.effect("at the latest after retireTimeout", () =>
    scenario({ retireTimeout: "5 seconds" }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
        yield* say(sockets[0], "refused broken")
        yield* TestClock.adjust("4999 millis")
        for (const call of calls) notYet(call)
        yield* TestClock.adjust("1 millis")
        for (const call of calls) assert.strictEqual(yield* Effect.flip(now(call)), "broken")
      })
    )
  )

  it.effect("the only one under way fails at once", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], "refused broken")
        assert.strictEqual(yield* Effect.flip(now(call)), "broken")
      })
    )
  )
})

describe("A8 waiting", () => {
  it.effect("is first come, first served, and nothing is lost when one is interrupted", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b", "c", "d"], (text) => start(lines.request(text)))
        assert.strictEqual((yield* lines.stats).waiting, 3)
        yield* Fiber.interrupt(calls[1]!)
        yield* say(sockets[0], "1 = A")
        expectSent(sockets[0], "1 a", "2 c")
        yield* say(sockets[0], "2 = C")
        expectSent(sockets[0], "1 a", "2 c", "3 d")
        yield* say(sockets[0], "3 = D")
        assert.strictEqual(yield* now(calls[3]!), "D")
      })
    )
  )

  it.effect("ends with PoolExhaustedError after acquireTimeout, each from its own start", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1, acquireTimeout: "5 seconds" }, (lines) =>
      Effect.gen(function* () {
        yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        yield* TestClock.adjust("2 seconds")
        const third = yield* start(lines.request("c"))
        yield* TestClock.adjust("2999 millis")
        notYet(second)
        yield* TestClock.adjust("1 millis")
        const error = (yield* Effect.flip(now(second))) as Multiplexer.RequestError
        expectTag(error, "PoolExhaustedError")
        assert.strictEqual(error.reason, "AcquireTimeout")
        yield* TestClock.adjust("1999 millis")
        notYet(third)
        yield* TestClock.adjust("1 millis")
        expectTag((yield* Effect.flip(now(third))) as Multiplexer.RequestError, "PoolExhaustedError")
      })
    )
  )

  for (const maxWaiters of [0, 2]) {
    it.effect(`with maxWaiters ${maxWaiters} the newest fails, not all`, () =>
      scenario({ concurrency: 1 }, { maxConnections: 1, maxWaiters }, (lines, sockets) =>
        Effect.gen(function* () {
          const first = yield* start(lines.request("a"))
          const waiting = yield* Effect.forEach(Array.from({ length: maxWaiters }), () => start(lines.request("b")))
          const last = yield* start(lines.request("c"))
          const error = (yield* Effect.flip(now(last))) as Multiplexer.RequestError
          expectTag(error, "PoolExhaustedError")
          assert.strictEqual(error.reason, "TooManyWaiters")
          for (const call of waiting) notYet(call)
          yield* say(sockets[0], "1 = A")
          yield* now(first)
          for (const [index, call] of waiting.entries()) {
            yield* say(sockets[0], `${index + 2} = B`)
            yield* now(call)
          }
        })
      )
    )
  }

  it.effect("with maxWaiters they may wait for a connection that is being opened", () =>
    scenario(
      {},
      { maxConnections: 1, maxWaiters: 0 },
      (lines, sockets) =>
        Effect.gen(function* () {
          const calls = yield* Effect.forEach(["a", "b", "c"], (text) => start(lines.request(text)))
          yield* TestClock.adjust("1 second")
          expectSent(sockets[0], "1 a", "2 b", "3 c")
          for (const call of calls) notYet(call)
        }),
      { connect: () => Effect.sleep("1 second") }
    )
  )

  it.effect("where no connection can be opened, the one fails whose attempt it was", () => {
    let attempts = 0
    return scenario(
      {},
      { retry: undefined, maxConnections: 1 },
      (lines, sockets, pool) =>
        Effect.gen(function* () {
          const calls = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
          yield* TestClock.adjust("1 minute")
          const states = yield* Effect.forEach(calls, (call) => Effect.flip(Fiber.join(call)))
          for (const error of states) {
            expectTag(error as Multiplexer.RequestError, "ConnectionUnavailableError")
          }
          assert.strictEqual(sockets.length, 0)
          assert.strictEqual((yield* pool.stats).total, 0)
          assert.isAtLeast(attempts, 2)
        }),
      {
        connect: () =>
          Effect.andThen(
            Effect.sync(() => (attempts += 1)),
            Effect.never
          )
      }
    )
  })

  it.effect("stands in the pool's own line where others have every connection, and gives way to nobody behind", () =>
    scenario({}, { maxConnections: 1 }, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const holder = yield* start(pool.use(() => Effect.sleep("1 second")))
        const call = yield* start(lines.request("a"))
        yield* start(pool.use(() => Effect.never))
        assert.strictEqual((yield* pool.stats).waiting, 2)
        yield* TestClock.adjust("1 second")
        yield* now(holder)
        expectSent(sockets[0], "1 a")
        yield* say(sockets[0], "1 = A")
        assert.strictEqual(yield* now(call), "A")
      })
    )
  )
})

describe("A9 how many connections", () => {
  it.effect("as many as fill to the target, then level", () =>
    scenario({ concurrency: 4, targetUtilization: 0.5 }, { maxConnections: 3 }, (lines, sockets) =>
      Effect.gen(function* () {
        const expected = [1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]
        for (const [index, connections] of expected.entries()) {
          yield* start(lines.request("x"))
          assert.strictEqual((yield* lines.stats).connections, connections, `after ${index + 1}`)
        }
        assert.deepStrictEqual(
          sockets.map(({ sent }) => sent.length),
          [4, 4, 4]
        )
        yield* start(lines.request("x"))
        assert.deepInclude(yield* counts(lines), { inFlight: 12, waiting: 1 })
      })
    )
  )

  it.effect("no more than maxConnections, and minConnections are kept", () =>
    scenario({ concurrency: 2, minConnections: 1, maxConnections: 2 }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        yield* settle
        assert.strictEqual((yield* lines.stats).connections, 1)
        const calls = yield* Effect.forEach(Array.from({ length: 5 }), () => start(lines.request("x")))
        assert.deepInclude(yield* counts(lines), { connections: 2, inFlight: 4, waiting: 1 })
        for (const socket of sockets) yield* say(socket, "1 = X,2 = X")
        yield* say(sockets[0], "3 = X")
        yield* say(sockets[1], "3 = X")
        for (const call of calls) yield* now(call)
        yield* TestClock.adjust("9999 millis")
        assert.strictEqual((yield* lines.stats).connections, 2)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* lines.stats).connections, 1)
        assert.strictEqual((yield* pool.stats).idle, 1)
      })
    )
  )

  it.effect("one whose send would wait is passed over while another has room", () =>
    scenario({ concurrency: 4, targetUtilization: 0.5 }, { sendBuffer: 10 }, (lines, sockets) =>
      Effect.gen(function* () {
        for (const text of ["a", "b", "c"]) yield* start(lines.request(text))
        expectSent(sockets[0], "1 a", "2 b", "3 c")
        yield* start(lines.request("d"))
        expectSent(sockets[1], "1 d")
        sockets[1]!.bufferedAmount = 11
        yield* start(lines.request("e"))
        assert.strictEqual(sockets[0]!.sent.length, 4)
      })
    )
  )
})

describe("A10 retiring", () => {
  it.effect("gets no new request, and goes back with its last answer: refresh fails no request", () =>
    scenario({}, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        yield* pool.refresh
        yield* settle
        assert.deepInclude(yield* counts(lines), { connections: 1, retiring: 1 })
        const second = yield* start(lines.request("b"))
        expectSent(sockets[1], "1 b")
        yield* TestClock.adjust("29 seconds")
        yield* say(sockets[0], "1 = A")
        assert.strictEqual(yield* now(first), "A")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
        yield* say(sockets[1], "1 = B")
        yield* now(second)
      })
    )
  )

  it.effect("what has not ended within retireTimeout ends with ConnectionClosedError of the pool", () =>
    scenario({ retireTimeout: "5 seconds" }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        const stream = yield* start(Stream.runDrain(lines.stream("s")))
        yield* pool.refresh
        yield* TestClock.adjust("4999 millis")
        notYet(call)
        yield* TestClock.adjust("1 millis")
        for (const fiber of [call, stream]) {
          const error = (yield* Effect.flip(now<unknown, unknown>(fiber))) as Multiplexer.RequestError
          expectTag(error, "ConnectionClosedError")
          assert.strictEqual(error.initiator, "Pool")
        }
        yield* settle
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
      })
    )
  )

  it.effect("Retire of the server: no new request, closed when it is given back", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        yield* say(sockets[0], "retire")
        yield* start(lines.request("b"))
        expectSent(sockets[1], "1 b")
        assert.deepStrictEqual(sockets[0]!.closes, [])
        yield* say(sockets[0], "1 = A")
        yield* now(first)
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
      })
    )
  )
})

describe("A10 what was said before the lease", () => {
  it.effect("a connection whose server has said Retire already carries no request", () => {
    let isFirst = true
    return scenario(
      {},
      {},
      (lines, sockets) =>
        Effect.gen(function* () {
          yield* start(lines.request("a"))
          yield* TestClock.adjust("1 second")
          yield* TestClock.adjust("1 second")
          expectSent(sockets[0])
          expectSent(sockets[1], "1 a")
          assert.deepStrictEqual(sockets[0]!.closes, [1000])
        }),
      {
        connect: () => Effect.sleep("1 second"),
        onOpened: (socket) => {
          if (isFirst) socket.message("retire")
          isFirst = false
        }
      }
    )
  })
})

describe("what is said before the first request", () => {
  for (const [what, greet, expected] of [
    ["Retire", (socket: HandSocket) => socket.message("retire"), "ConnectionClosedError"],
    ["nonsense", (socket: HandSocket) => socket.message("nonsense"), "ConnectionClosedError"],
    ["Refused", (socket: HandSocket) => socket.message("refused no"), "no"],
    [
      "a notice, and the end",
      (socket: HandSocket) => {
        socket.message("notice busy")
        socket.lose(4000)
      },
      "ConnectionClosedError"
    ]
  ] as const) {
    it.effect(`a server that begins each connection with ${what} is asked twice, and fails the request`, () =>
      scenario(
        {},
        {},
        (lines, sockets) =>
          Effect.gen(function* () {
            const request = yield* start(Effect.flip(lines.request("a")))
            yield* TestClock.adjust("1 second")
            yield* TestClock.adjust("1 second")
            const error = yield* Fiber.join(request)
            assert.strictEqual(typeof error === "string" ? error : error._tag, expected)
            assert.lengthOf(sockets, 2)
          }),
        { connect: () => Effect.sleep("1 second"), onOpened: greet }
      )
    )
  }

  it.effect("a connection that is opened while another is handed out is heard, too", () =>
    scenario(
      { concurrency: 4, targetUtilization: 0.25 },
      {},
      (lines, sockets, pool) =>
        Effect.gen(function* () {
          // Both come back at once, when one more connection is wanted and nobody waits for the second.
          const holders = yield* Scope.make()
          yield* start(Scope.provide(Effect.andThen(pool.get, pool.get), holders))
          yield* TestClock.adjust("1 second")
          yield* TestClock.adjust("1 second")
          const requests = yield* Effect.forEach(["a", "b", "c", "d"], (text) => start(lines.request(text)))
          yield* TestClock.adjust("1 second")
          yield* Scope.close(holders, Exit.void)
          yield* settle
          const more = yield* Effect.forEach(["e", "f", "g", "h"], (text) => start(lines.request(text)))
          for (const socket of sockets) {
            for (const sent of Array.from(socket.sent, String)) {
              const [id, text] = sent.split(" ")
              yield* say(socket, `${id} = ${text}`)
            }
          }
          const answers = yield* Effect.forEach([...requests, ...more], now)
          assert.deepStrictEqual(answers, ["a", "b", "c", "d", "e", "f", "g", "h"])
        }),
      { connect: () => Effect.sleep("1 second") }
    )
  )
})

describe("A11 reuse", () => {
  it.effect("a connection with an unanswered cancelled request is discarded, one without goes back", () =>
    scenario({ idleTimeout: "1 second" }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        yield* Fiber.interrupt(first)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])

        const second = yield* start(lines.request("b"))
        yield* Fiber.interrupt(second)
        yield* say(sockets[1], "1 = late")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(sockets[1]!.closes, [])
        assert.strictEqual((yield* pool.stats).idle, 1)
      })
    )
  )
})

describe("A11 reuse after a stream", () => {
  it.effect("an item of a cancelled stream is not its end, what ends it is", () =>
    scenario({ idleTimeout: "1 second" }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        yield* Fiber.interrupt(yield* start(Stream.runDrain(lines.stream("s"))))
        yield* say(sockets[0], "1 + late")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])

        yield* Fiber.interrupt(yield* start(Stream.runDrain(lines.stream("s"))))
        yield* say(sockets[1], "1 + late", "1 .")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(sockets[1]!.closes, [])
        assert.strictEqual((yield* pool.stats).idle, 1)
      })
    )
  )
})

describe("A14 closing", () => {
  it.effect("a closed multiplexer answers PoolClosedError, and requests under way have shutdownTimeout", () =>
    scenario({}, { shutdownTimeout: "5 seconds" }, (_, sockets, pool) =>
      Effect.gen(function* () {
        let lines!: Multiplexer.Multiplexer<string, string, string>
        const scope = yield* start(
          Effect.scoped(
            Effect.flatMap(
              Effect.provideService(Multiplexer.make({ codec: cancelling }), WebSocketPool.WebSocketPool, pool),
              (made) => {
                lines = made
                return Effect.sleep("1 second")
              }
            )
          )
        )
        const calls = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
        yield* TestClock.adjust("1 second")
        expectTag(
          (yield* Effect.flip(now(yield* start(lines.request("c"))))) as Multiplexer.RequestError,
          "PoolClosedError"
        )
        yield* say(sockets[0], "1 = A")
        assert.strictEqual(yield* now(calls[0]!), "A")
        yield* TestClock.adjust("4999 millis")
        notYet(calls[1]!)
        notYet(scope)
        yield* TestClock.adjust("1 millis")
        const error = (yield* Effect.flip(now(calls[1]!))) as Multiplexer.RequestError
        expectTag(error, "ConnectionClosedError")
        assert.strictEqual(error.initiator, "Pool")
        yield* now(scope)
        assert.strictEqual((yield* pool.stats).busy, 0)
      })
    )
  )

  it.effect("a closed pool answers PoolClosedError, those who wait included", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1, shutdownTimeout: "5 seconds" }, (lines, _, pool) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        const closing = yield* start(pool.close)
        expectTag((yield* Effect.flip(now(second))) as Multiplexer.RequestError, "PoolClosedError")
        expectTag(
          (yield* Effect.flip(now(yield* start(lines.request("c"))))) as Multiplexer.RequestError,
          "PoolClosedError"
        )
        yield* TestClock.adjust("4999 millis")
        notYet(first)
        yield* TestClock.adjust("1 millis")
        const error = (yield* Effect.flip(now(first))) as Multiplexer.RequestError
        expectTag(error, "ConnectionClosedError")
        assert.strictEqual(error.initiator, "Pool")
        yield* now(closing)
      })
    )
  )

  it.effect("a pool with nothing under way closes at once", () =>
    scenario({ minConnections: 2 }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], "1 = A")
        yield* now(call)
        yield* now(yield* start(pool.close))
      })
    )
  )
})

describe("credit", () => {
  it.effect("ack is sent when the reader has taken all that came", () =>
    scenario({ codec: crediting }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const items = yield* start(Stream.runCollect(lines.stream("s")))
        yield* say(sockets[0], "1 + one,1 + two")
        expectSent(sockets[0], "1 s", "1 ack")
        yield* say(sockets[0], "1 + three", "1 .")
        assert.strictEqual(Array.from(yield* now(items)).length, 3)
      })
    )
  )
})
