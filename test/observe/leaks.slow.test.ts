import { PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Config from "#effect/Config"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as TestClock from "#effect/testing/TestClock"
import { configLayer, repeated } from "#support/fibers"
import { recordLines, recordSpans } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { collect, peers, poolWith, server, settle } from "../support/memoryPool.js"

const Pool = WebSocketPool.WebSocketPool

const isSuspicion = PoolEvent.is("LeaseLeakSuspected")

const suspicionsOf = (events: ReadonlyArray<PoolEvent.PoolEvent>) => events.filter(isSuspicion)

describe("leakThreshold", () => {
  it.effect("tells of a lease that is held longer: one warning, one event, and nothing else happens", () => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      const release = yield* Deferred.make<void>()
      yield* Effect.forkChild(pool.use(() => Deferred.await(release)))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual([suspicionsOf(events), lines], [[], []])
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(suspicionsOf(events), 1)
      assert.deepInclude(suspicionsOf(events)[0], {
        pool: "server.test",
        connectionId: "server.test-1",
        held: Duration.seconds(10)
      })
      assert.lengthOf(lines, 1)
      assert.deepInclude(lines[0], {
        level: "WARN",
        message:
          "Connection server.test-1 has been leased for 10s, longer than leakThreshold: it has not been given back yet"
      })
      assert.deepInclude(lines[0]?.annotations, { pool: "server.test", connectionId: "server.test-1" })
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(suspicionsOf(events), 1)
      assert.lengthOf(lines, 1)
      assert.strictEqual((yield* pool.stats).busy, 1)
      yield* Deferred.succeed(release, undefined)
      yield* settle
      const { busy, idle } = yield* pool.stats
      assert.deepStrictEqual({ busy, idle }, { busy: 0, idle: 1 })
      assert.lengthOf(lines, 1)
    }).pipe(Effect.provide(poolWith({ leakThreshold: "10 seconds" })), Effect.provide(layer))
  })

  it.effect("tells nothing of leases that are given back in time, however long the pool works", () => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      const lease = WebSocketPool.use(() => Effect.sleep("999 millis"))
      yield* Effect.forkChild(repeated(lease, 19))
      yield* Effect.forkChild(Effect.delay(repeated(lease, 19), "500 millis"))
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).released, 40)
      assert.deepStrictEqual([suspicionsOf(events), lines], [[], []])
    }).pipe(Effect.provide(poolWith({ leakThreshold: "1 second" })), Effect.provide(layer))
  })

  it.effect("tells of each of several, when its own time has come", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      const held = () => suspicionsOf(events).map(({ connectionId }) => connectionId.slice(-1))
      yield* Effect.forkChild(pool.use(() => Effect.sleep("5 seconds"))) // 1: given back in time
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(pool.use(() => Effect.never)) // 2: due at 11
      yield* TestClock.adjust("2 seconds")
      yield* Effect.forkChild(pool.use(() => Effect.never)) // 3: due at 13
      yield* TestClock.adjust("7999 millis")
      assert.deepStrictEqual(held(), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(held(), ["2"])
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(held(), ["2"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(held(), ["2", "3"])
      yield* Effect.forkChild(pool.use(() => Effect.never)) // 1 again: due at 23
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(held(), ["2", "3"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(held(), ["2", "3", "1"])
    }).pipe(Effect.provide(poolWith({ leakThreshold: "10 seconds" })))
  )

  it.effect("tells nothing of a connection that drains, is set up, or is checked for longer", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.void))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).draining, 1)
      yield* TestClock.adjust("10 seconds")
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.void))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).released, 2)
      assert.deepStrictEqual(suspicionsOf(events), [])
    }).pipe(
      Effect.provide(
        poolWith({
          leakThreshold: "100 millis",
          drain: { quietPeriod: "5 seconds" },
          onConnect: () => Effect.sleep("1 second"),
          healthCheck: () => Effect.sleep("900 millis")
        })
      )
    )
  )

  it.effect("tells of a lease whose connection has closed, as long as it is held", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      yield* Effect.forkChild(pool.use((connection) => Effect.andThen(connection.close(), Effect.never)))
      yield* Effect.forkChild(
        pool.use((connection) => Effect.ignore(Effect.andThen(connection.close(), connection.receive)))
      )
      yield* settle
      yield* (yield* peers)[0]!.destroy
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        suspicionsOf(events).map(({ connectionId }) => connectionId),
        ["server.test-1"]
      )
    }).pipe(Effect.provide(poolWith({ leakThreshold: "1 second" })))
  )

  it.effect("tells nothing once the pool has closed", () => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      const pool = yield* Pool
      yield* Effect.forkChild(pool.use(() => Effect.never))
      yield* settle
      yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(
        lines.filter(({ message }) => message.includes("leakThreshold")),
        []
      )
    }).pipe(Effect.provide(poolWith({ leakThreshold: "1 minute" })), Effect.provide(layer))
  })

  it.effect("is off by default", () => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(poolWith()), Effect.provide(layer))
  })

  it.effect("comes from a Config, too", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* Pool)
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("3 seconds")))
      yield* TestClock.adjust("1999 millis")
      assert.lengthOf(suspicionsOf(events), 0)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(suspicionsOf(events), 1)
      yield* TestClock.adjust("1 second")
    }).pipe(
      Effect.provide(
        WebSocketPool.layerConfig({
          url: Config.succeed("ws://server.test"),
          leakThreshold: Config.Duration("LEAK")
        }).pipe(Layer.provide(server()), Layer.provide(configLayer({ LEAK: "2 seconds" })))
      )
    )
  )
})

describe("a suspicion names", () => {
  const suspicionOf = (take: (pool: WebSocketPool.WebSocketPool) => Effect.Effect<unknown, unknown>) => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      yield* Effect.forkChild(take(pool))
      yield* TestClock.adjust("2 seconds")
      const [suspicion] = suspicionsOf(events)
      assert.isDefined(suspicion)
      return { suspicion: suspicion!, line: lines[0]! }
    }).pipe(Effect.provide(poolWith({ leakThreshold: "2 seconds" })), Effect.provide(layer))
  }

  const here = "leaks.slow.test.ts"

  it.effect("the place where use was called", () =>
    Effect.gen(function* () {
      function takesAndForgets(pool: WebSocketPool.WebSocketPool) {
        return pool.use(() => Effect.never)
      }
      const { line, suspicion } = yield* suspicionOf(takesAndForgets)
      assert.match(suspicion.place?.split("\n")[0] ?? "", /^ +at takesAndForgets .*leaks\.slow\.test\.ts/)
      assert.match(line.cause, /^Error: The lease was taken\n +at takesAndForgets .*leaks\.slow\.test\.ts/)
      assert.isUndefined(suspicion.span)
    })
  )

  it.effect("the place where get was read, in a generator, too", () =>
    Effect.gen(function* () {
      const { suspicion } = yield* suspicionOf((pool) =>
        Effect.scoped(
          Effect.gen(function* takesAndForgets() {
            yield* pool.get
            yield* Effect.never
          })
        )
      )
      const lines = suspicion.place?.split("\n") ?? []
      assert.lengthOf(lines, 1)
      assert.include(lines[0], here)
    })
  )

  it.effect("the place where an effect was made that is run more than once", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      function made() {
        return pool.use(() => Effect.never)
      }
      const once = made()
      yield* Effect.forkChild(once)
      yield* Effect.forkChild(once)
      yield* TestClock.adjust("1 minute")
      const [first, second] = suspicionsOf(events)
      assert.include(first?.place, "at made")
      assert.strictEqual(second?.place, first?.place)
    }).pipe(Effect.provide(poolWith({ leakThreshold: "1 minute" })))
  )

  for (const name of ["useNew", "use"] as const) {
    it.effect(`it for ${name} after the connection was leased to others before`, () =>
      Effect.gen(function* () {
        function second(pool: WebSocketPool.WebSocketPool) {
          return pool[name](() => Effect.never)
        }
        const { suspicion } = yield* suspicionOf((pool) =>
          Effect.andThen(
            pool.use(() => Effect.void),
            second(pool)
          )
        )
        assert.include(suspicion.place, "at second")
      })
    )
  }

  it.effect("the span in which it was taken, with the places where that and those above it were made", () => {
    const { layer } = recordSpans()
    return Effect.gen(function* () {
      const { line, suspicion } = yield* suspicionOf((pool) =>
        // The span has ended when the lease is told of; the lease has not.
        Effect.scoped(
          Effect.andThen(
            pool.get.pipe(Effect.withSpan("inner"), Effect.withSpan("outer")),
            Effect.withSpan(Effect.never, "later")
          )
        )
      )
      assert.strictEqual(suspicion.span, "inner")
      assert.match(suspicion.traceId ?? "", /^trace-/)
      assert.match(suspicion.place ?? "", /at inner \(.*leaks\.slow\.test\.ts.*\n +at outer \(.*leaks\.slow\.test\.ts/)
      assert.include(line.cause, "at inner (")
      assert.deepInclude(line.annotations, { span: "inner", traceId: suspicion.traceId })
    }).pipe(Effect.provide(layer))
  })

  class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}

  // Of the accessors it could show nothing: the service is asked by the runtime.
  for (const [what, take] of [
    ["use", { takesAndForgets: () => WebSocketPool.use(() => Effect.never) }],
    ["useNew", { takesAndForgets: () => WebSocketPool.useNew(() => Effect.never) }],
    ["ask", { takesAndForgets: () => WebSocketPool.ask("hello") }],
    ["ask of a tag", { takesAndForgets: () => Tts.ask("hello") }],
    ["use of a tag", { takesAndForgets: () => Tts.use(() => Effect.never) }],
    ["useNew of a tag", { takesAndForgets: () => Tts.useNew(() => Effect.never) }]
  ] as ReadonlyArray<
    readonly [string, { takesAndForgets: () => Effect.Effect<unknown, unknown, Tts | typeof Pool.Service> }]
  >) {
    it.effect(`the place where the accessor ${what} was called`, () =>
      Effect.gen(function* () {
        const { line, suspicion } = yield* suspicionOf((pool) =>
          take.takesAndForgets().pipe(Effect.provideService(Pool, pool), Effect.provideService(Tts, pool))
        )
        assert.match(suspicion.place?.split("\n")[0] ?? "", /^ +at .*takesAndForgets .*leaks\.slow\.test\.ts/)
        assert.match(line.cause, /^Error: The lease was taken\n +at .*takesAndForgets .*leaks\.slow\.test\.ts/)
      })
    )
  }

  for (const [what, get] of [
    ["get", WebSocketPool.get],
    ["getNew", WebSocketPool.getNew],
    ["get of a tag", Tts.get],
    ["getNew of a tag", Tts.getNew]
  ] as const) {
    it.effect(`the place that yields the accessor ${what}`, () =>
      Effect.gen(function* () {
        const { line, suspicion } = yield* suspicionOf((pool) =>
          Effect.gen(function* takesAndForgets() {
            yield* get
            yield* Effect.never
          }).pipe(Effect.scoped, Effect.provideService(Pool, pool), Effect.provideService(Tts, pool))
        )
        const lines = suspicion.place?.split("\n") ?? []
        assert.lengthOf(lines, 1)
        assert.match(lines[0] ?? "", /^ +at .*leaks\.slow\.test\.ts/)
        assert.include(line.cause, here)
      })
    )
  }

  it.effect("each place that yields the same accessor by itself", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const events = yield* collect(pool)
      const first = Effect.gen(function* () {
        yield* WebSocketPool.get
      })
      const second = Effect.gen(function* () {
        yield* WebSocketPool.get
      })
      yield* first
      yield* second
      yield* TestClock.adjust("1 minute")
      const [one, two] = suspicionsOf(events).map(({ place }) => place)
      assert.include(one, here)
      assert.include(two, here)
      assert.notStrictEqual(one, two)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ leakThreshold: "1 minute" })))
  )

  it.effect("its span without a tracer, too, after the place", () =>
    Effect.gen(function* () {
      const { suspicion } = yield* suspicionOf((pool) =>
        WebSocketPool.use(() => Effect.never).pipe(Effect.withSpan("asks"), Effect.provideService(Pool, pool))
      )
      assert.strictEqual(suspicion.span, "asks")
      assert.match(suspicion.place ?? "", /leaks\.slow\.test\.ts[\s\S]*\n +at asks \(.*leaks\.slow\.test\.ts[^\n]*$/)
    })
  )

  it.effect("only the span of a get that is neither read of the service nor yielded", () =>
    Effect.gen(function* () {
      const { suspicion } = yield* suspicionOf((pool) =>
        Effect.scoped(Effect.andThen(WebSocketPool.get.pipe(Effect.withSpan("asks")), Effect.never)).pipe(
          Effect.provideService(Pool, pool)
        )
      )
      assert.strictEqual(suspicion.span, "asks")
      assert.match(suspicion.place ?? "", /^ +at asks \(.*leaks\.slow\.test\.ts[^\n]*$/)
    })
  )

  it.effect("nothing that it cannot know", () =>
    Effect.gen(function* () {
      const { line, suspicion } = yield* suspicionOf((pool) =>
        Effect.scoped(Effect.andThen(WebSocketPool.get, Effect.never)).pipe(Effect.provideService(Pool, pool))
      )
      assert.deepStrictEqual([suspicion.span, suspicion.traceId, suspicion.place], [undefined, undefined, undefined])
      assert.strictEqual(line.cause, "Error: The lease was taken")
    })
  )
})
