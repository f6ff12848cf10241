import { Multiplexer, type PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError } from "#support/configErrors"
import { assert, describe, it } from "#support/vitest"
import { makeTransport } from "../support/handTransport.js"
import { expectTag, notYet, now, settle, url } from "../support/memoryPool.js"
import { counts, expectSent, mute, say, scenario, start } from "./support.js"

const collecting = () => {
  const items: Array<string> = []
  return { items, collect: (item: string) => Effect.sync(() => items.push(item)) }
}

/** Reads the first item, and then no more before it is told to. */
const slowly = <E>(stream: Stream.Stream<string, E>) => {
  const items: Array<string> = []
  let goOn: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const run = Stream.runForEach(stream, (item) =>
    Effect.suspend(() => {
      items.push(item)
      return items.length === 1 ? Effect.promise(() => gate) : Effect.void
    })
  )
  return {
    items,
    run,
    goOn: Effect.andThen(
      Effect.sync(() => goOn()),
      Effect.promise(() => Promise.resolve())
    )
  }
}

describe("A12 streams", () => {
  it.effect("give every item up to the end, and an end with a value gives that, too", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const items = yield* start(Stream.runCollect(lines.stream("s")))
        assert.deepInclude(yield* counts(lines), { inFlight: 1, streams: 1, requests: 1 })
        yield* say(sockets[0], "1 + one", "1 + two", "1 = last")
        assert.deepStrictEqual(Array.from(yield* now(items)), ["one", "two", "last"])
        assert.deepStrictEqual(yield* counts(lines), { connections: 1, requests: 1, answers: 1 })
      })
    )
  )

  it.effect("fail with what the server answers, behind the items before", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const { collect, items } = collecting()
        const run = yield* start(Stream.runForEach(lines.stream("s"), collect))
        yield* say(sockets[0], "1 + one,1 ! no")
        assert.strictEqual(yield* Effect.flip(now(run)), "no")
        assert.deepStrictEqual(items, ["one"])
      })
    )
  )

  it.effect("are cold: each run asks anew", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const stream = lines.stream("s")
        assert.strictEqual(sockets.length, 0)
        yield* start(Stream.runDrain(stream))
        yield* start(Stream.runDrain(stream))
        expectSent(sockets[0], "1 s", "2 s")
      })
    )
  )

  it.effect("one that ends early cancels once, and its place is free", () =>
    scenario({ concurrency: 1 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        const first = yield* start(Stream.runCollect(Stream.take(lines.stream("s"), 1)))
        const next = yield* start(lines.request("a"))
        yield* say(sockets[0], "1 + one,1 + two")
        assert.deepStrictEqual(Array.from(yield* now(first)), ["one"])
        expectSent(sockets[0], "1 s", "1 cancel", "2 a")
        yield* say(sockets[0], "1 + three,1 .,2 = A")
        assert.strictEqual(yield* now(next), "A")
        assert.deepInclude(yield* counts(lines), { cancelled: 1, unmatched: 2 })
      })
    )
  )

  it.effect("one that has ended is not cancelled", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const run = yield* start(Stream.runDrain(lines.stream("s")))
        yield* say(sockets[0], "1 .")
        yield* now(run)
        yield* settle
        expectSent(sockets[0], "1 s")
      })
    )
  )

  it.effect("without cancel an abandoned stream keeps its place until its end", () =>
    scenario({ codec: mute, concurrency: 2 }, { maxConnections: 1 }, (lines, sockets) =>
      Effect.gen(function* () {
        yield* start(lines.request("a"))
        const stream = yield* start(Stream.runDrain(lines.stream("s")))
        yield* Fiber.interrupt(stream)
        yield* say(sockets[0], "2 + one,2 + two")
        assert.deepInclude(yield* counts(lines), { abandoned: 1, unmatched: 2, inFlight: 1 })
        yield* say(sockets[0], "2 .")
        assert.deepStrictEqual(yield* counts(lines), {
          connections: 1,
          inFlight: 1,
          requests: 2,
          cancelled: 1,
          unmatched: 3
        })
      })
    )
  )

  it.effect("a slow one harms itself only: past bufferSize it fails with LaggedError, behind what was kept", () =>
    scenario({ bufferSize: 2 }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const { goOn, items, run } = slowly(lines.stream("s"))
        const slow = yield* start(run)
        const other = yield* start(lines.request("a"))
        yield* say(sockets[0], "1 + one")
        yield* say(sockets[0], "1 + two,1 + three")
        expectSent(sockets[0], "1 s", "2 a")
        yield* say(sockets[0], "1 + four")
        // It is told at once, while the reader sleeps.
        expectSent(sockets[0], "1 s", "2 a", "1 cancel")
        assert.deepInclude(yield* counts(lines), { lagged: 1, inFlight: 1 })
        yield* say(sockets[0], "1 + five,2 = A")
        assert.strictEqual(yield* now(other), "A")
        yield* goOn
        yield* settle
        const error = (yield* Effect.flip(now(slow))) as PoolError.LaggedError
        assert.strictEqual(error._tag, "LaggedError")
        assert.deepInclude(error, { connectionId: "main-1", bufferSize: 2 })
        assert.include(error.message, "main-1")
        assert.deepStrictEqual(items, ["one", "two", "three"])
        expectSent(sockets[0], "1 s", "2 a", "1 cancel")
      })
    )
  )

  it.effect("with slide it drops its oldest, counted, and goes on", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const { goOn, items, run } = slowly(lines.stream("s", { bufferSize: 2, overflow: "slide" }))
        const slow = yield* start(run)
        yield* say(sockets[0], "1 + one")
        yield* say(sockets[0], "1 + two,1 + three,1 + four,1 + five,1 .")
        yield* goOn
        yield* settle
        yield* now(slow)
        assert.deepStrictEqual(items, ["one", "four", "five"])
        assert.strictEqual((yield* lines.stats).lagged, 2)
      })
    )
  )

  it.effect("an exclusive one has a connection of its own, whose socket is held back", () =>
    scenario({ bufferSize: 2 }, { receiveBuffer: 200 }, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const { goOn, items, run } = slowly(lines.stream("s", { exclusive: true }))
        yield* start(lines.request("a"))
        const slow = yield* start(run)
        expectSent(sockets[1], "1 s")
        yield* say(sockets[1], "1 + 0")
        for (let n = 1; n <= 6; n++) yield* say(sockets[1], `1 + ${n}`)
        assert.isTrue(sockets[1]!.isPaused)
        assert.strictEqual((yield* lines.stats).lagged, 0)
        yield* goOn
        yield* settle
        assert.isFalse(sockets[1]!.isPaused)
        assert.deepStrictEqual(items, ["0", "1", "2", "3", "4", "5", "6"])
        yield* say(sockets[1], "1 .")
        yield* now(slow)
        // Nothing is left unanswered: the pool has it back.
        assert.deepInclude(yield* pool.stats, { idle: 1, busy: 1 })
      })
    )
  )

  it.effect("an exclusive one that ends early is cancelled, and its connection discarded", () =>
    scenario({}, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const stream = yield* start(Stream.runDrain(lines.stream("s", { exclusive: true })))
        yield* Fiber.interrupt(stream)
        yield* settle
        expectSent(sockets[0], "1 s", "1 cancel")
        assert.deepStrictEqual(sockets[0]!.closes, [1000])
        assert.strictEqual((yield* pool.stats).total, 0)
        assert.deepStrictEqual(yield* counts(lines), { requests: 1, cancelled: 1 })
      })
    )
  )

  it.effect("Stream.retry subscribes anew over another connection", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const { collect, items } = collecting()
        yield* start(Stream.runForEach(Stream.retry(lines.stream("s"), Schedule.recurs(3)), collect))
        yield* say(sockets[0], "1 + one")
        sockets[0]!.lose(1006)
        yield* settle
        expectSent(sockets[1], "1 s")
        yield* say(sockets[1], "1 + two")
        assert.deepStrictEqual(items, ["one", "two"])
      })
    )
  )

  it.effect("options that cannot be are a defect that says so", () =>
    scenario({}, {}, (lines) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Stream.runDrain(lines.stream("s", { bufferSize: 0 })))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "bufferSize of a stream")
      })
    )
  )
})

describe("A13 pinned", () => {
  it.effect("all go over one connection of its own, in the order of the calls", () =>
    scenario({ concurrency: 2 }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        yield* start(lines.request("other"))
        const pinned = yield* lines.pinned
        for (const text of ["a", "b", "c", "d"]) yield* start(pinned.request(text))
        expectSent(sockets[1], "1 a", "2 b")
        // One that waits is not overtaken by one that comes as a place gets free.
        sockets[1]!.message("1 = A,2 = B")
        yield* start(pinned.request("e"))
        yield* settle
        expectSent(sockets[1], "1 a", "2 b", "3 c", "4 d")
        yield* say(sockets[1], "3 = C")
        expectSent(sockets[1], "1 a", "2 b", "3 c", "4 d", "5 e")
        expectSent(sockets[0], "1 other")
      })
    )
  )

  it.effect("is kept beyond idleTimeout, and goes back with its scope", () =>
    scenario({ idleTimeout: "1 second" }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pinned = yield* Scope.provide(lines.pinned, scope)
        const call = yield* start(pinned.request("a"))
        yield* say(sockets[0], "1 = A")
        yield* now(call)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* pool.stats).busy, 1)
        yield* Scope.close(scope, Exit.void)
        yield* settle
        assert.deepInclude(yield* pool.stats, { busy: 0, idle: 1 })
        expectTag(
          (yield* Effect.flip(now(yield* start(pinned.request("b"))))) as Multiplexer.RequestError,
          "PoolClosedError"
        )
      })
    )
  )

  for (const how of ["lost", "retiring"] as const) {
    it.effect(`once it is ${how} new and waiting requests fail with ConnectionClosedError`, () =>
      scenario({ concurrency: 1 }, {}, (lines, sockets, pool) =>
        Effect.gen(function* () {
          const pinned = yield* lines.pinned
          const first = yield* start(pinned.request("a"))
          const second = yield* start(pinned.request("b"))
          if (how === "lost") sockets[0]!.lose(1006)
          else yield* pool.refresh
          yield* settle
          expectTag((yield* Effect.flip(now(second))) as Multiplexer.RequestError, "ConnectionClosedError")
          const third = yield* start(pinned.request("c"))
          expectTag((yield* Effect.flip(now(third))) as Multiplexer.RequestError, "ConnectionClosedError")
          if (how === "retiring") {
            notYet(first)
            yield* say(sockets[0], "1 = A")
            assert.strictEqual(yield* now(first), "A")
          } else expectTag((yield* Effect.flip(now(first))) as Multiplexer.RequestError, "ConnectionClosedError")
          // Others are not concerned.
          const other = yield* start(lines.request("d"))
          yield* say(sockets[1], "1 = D")
          assert.strictEqual(yield* now(other), "D")
        })
      )
    )
  }
})

describe("notices", () => {
  it.effect("are counted, and dropped without onNotice; a reply is sent at once", () =>
    scenario({}, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], "notice x,ask time", "1 = A")
        yield* now(call)
        assert.strictEqual((yield* lines.stats).notices, 2)
        expectSent(sockets[0], "1 a", "reply time")
      })
    )
  )

  it.effect("go to onNotice in order, one at a time, and a failure is logged only", () => {
    const seen: Array<string> = []
    const onNotice = (value: unknown, connectionId: string) =>
      Effect.gen(function* () {
        seen.push(`${connectionId} ${value} begins`)
        yield* Effect.sleep("1 second")
        seen.push(`${value} ends`)
        if (value === "x") return yield* Effect.fail("as told")
      })
    return scenario({ onNotice }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], "notice x,notice y,1 = A")
        // It holds nobody up.
        yield* now(call)
        assert.deepStrictEqual(seen, ["main-1 x begins"])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(seen, ["main-1 x begins", "x ends", "main-1 y begins", "y ends"])
      })
    )
  })
})

describe("make", () => {
  it.effect("fails with a ConfigError that names every bad option", () =>
    Effect.gen(function* () {
      const bad = {
        concurrency: 0,
        targetUtilization: 2,
        minConnections: 3,
        maxConnections: 2,
        idleTimeout: -1,
        bufferSize: 1.5,
        overflow: "drop",
        retireTimeout: "soon",
        onNotice: 1,
        maxInFlight: 1
      }
      const error = yield* Effect.flip(scenario(bad as never, {}, () => Effect.void))
      const message = String(error)
      for (const name of Object.keys(bad)) if (name !== "maxConnections") assert.include(message, name)
      // It said that they were those of a pool called "Multiplexer".
      assert.include(message, "Multiplexer: ")
      assert.notInclude(message, "Pool")
    })
  )

  it.effect("fails with a ConfigError if there are no options at all", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Multiplexer.make(undefined as never))
      assert.isTrue(isConfigError(error))
      assert.include(String(error), "Expected an object of options")
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(WebSocketPool.layer({ url }), makeTransport().layer)))
  )

  it.effect("its leases are no suspects of leaking", () =>
    scenario({}, { leakThreshold: "1 second" }, (lines, _, pool) =>
      Effect.gen(function* () {
        const suspicions: Array<string> = []
        yield* start(Stream.runForEach(pool.events, ({ _tag }) => Effect.sync(() => suspicions.push(_tag))))
        yield* start(lines.request("a"))
        yield* TestClock.adjust("1 minute")
        assert.notInclude(suspicions, "LeaseLeakSuspected")
      })
    )
  )

  it("has constructors of plain objects", () => {
    const { End, Item, Notice, Refused, Retire } = Multiplexer.Incoming
    assert.deepStrictEqual(
      [
        Item({ id: 1, value: "a" }),
        End({ id: 1, exit: Exit.void }),
        Refused({ error: "no" }),
        Notice({ value: 1 }),
        Retire()
      ],
      [
        { _tag: "Item", id: 1, value: "a" },
        { _tag: "End", id: 1, exit: Exit.void },
        { _tag: "Refused", error: "no" },
        { _tag: "Notice", value: 1 },
        { _tag: "Retire" }
      ] as never
    )
  })

  it.effect("a server that ends whatever is opened fails a request at the second connection", () =>
    scenario(
      {},
      { sendBuffer: 10 },
      (lines, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(lines.request("a"))
          const error = (yield* Effect.flip(now(call))) as Multiplexer.RequestError
          expectTag(error, "ConnectionClosedError")
          assert.isAtMost(sockets.length, 3)
        }),
      {
        onClose: (socket) => socket.lose(1000),
        connect: () => Effect.void,
        onOpened: (socket) => socket.lose(4000)
      }
    )
  )
})
