import { WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError, namesIn, problemWith } from "#support/configErrors"
import { assert, describe, it } from "#support/vitest"
import * as defaults from "../../src/options/defaults.js"
import { expectTag, notYet, peers, poolWith, Server, settle, url } from "../support/memoryPool.js"
import { deadlineOfGet, errorWith } from "./support.js"

describe("defaults", () => {
  it("are those of the documentation; that they are in force is tested where each option is", () => {
    assert.deepStrictEqual(
      Object.fromEntries(
        Object.entries(defaults).map(([name, value]) => [
          name,
          Duration.isDuration(value) ? Duration.format(value) : value
        ])
      ),
      {
        name: "websocket-pool",
        minConnections: 0,
        maxConnections: 50,
        acquireTimeout: "30s",
        maxWaiters: Number.POSITIVE_INFINITY,
        connectTimeout: "10s",
        retryBase: "100ms",
        retryFactor: 2,
        retryTimes: 3,
        idleTimeout: "1m",
        connectionTTL: "Infinity",
        connectionTTLJitter: 0.1,
        pingInterval: "30s",
        pingTimeout: "10s",
        validateAfterIdle: "5s",
        validationTimeout: "1s",
        leakThreshold: "Infinity",
        drainTimeout: "10s",
        receiveBuffer: 1_048_576,
        sendBuffer: 1_048_576,
        maxPayload: 16_777_216,
        shutdownTimeout: "5s",
        closeTimeout: "2s",
        eventBuffer: 1_024
      }
    )
  })

  it.effect("open nothing ahead, and up to 50 connections on demand", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* peers, 0)
      yield* Effect.replicateEffect(WebSocketPool.get, 50)
      const next = yield* Effect.forkScoped(WebSocketPool.get)
      yield* settle
      notYet(next)
      const { maxConnections, minConnections, total, waiting } = yield* WebSocketPool.stats
      assert.deepStrictEqual(
        { maxConnections, minConnections, total, waiting },
        { maxConnections: 50, minConnections: 0, total: 50, waiting: 1 }
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("offer no subprotocol and send no header field", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      assert.strictEqual(connection.protocol, "")
      const [handshake] = (yield* Server).handshakes
      assert.deepStrictEqual(handshake, { url, headers: {}, protocols: [] })
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  const nameWith = (options: Partial<WebSocketPool.Options>) =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      yield* pool.close
      const error = yield* Effect.flip(Effect.scoped(pool.get))
      expectTag(error, "PoolClosedError")
      return error.pool
    }).pipe(Effect.provide(poolWith(options)))

  it.effect("name the pool after the URL's host, in whatever form it is given", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* nameWith({ url: "wss://user:pass@api.test/a/b?c=d" }), "api.test")
      assert.strictEqual(yield* nameWith({ url: new URL("wss://api.test") }), "api.test")
      assert.strictEqual(yield* nameWith({ url: Redacted.make("wss://api.test") }), "api.test")
      assert.strictEqual(yield* nameWith({ url: "wss://api.test", name: "mine" }), "mine")
    })
  )

  it.effect('name the pool "websocket-pool" when the URL is computed', () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* nameWith({ url: Effect.succeed(url) }), "websocket-pool")
      assert.strictEqual(yield* nameWith({ url: Effect.succeed(url), name: "mine" }), "mine")
    })
  )

  it.effect("stand in for options that are undefined", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      assert.strictEqual((yield* WebSocketPool.stats).maxConnections, 50)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({
          protocols: undefined,
          headers: undefined,
          name: undefined,
          minConnections: undefined,
          maxConnections: undefined,
          acquireTimeout: undefined,
          maxWaiters: undefined,
          connectTimeout: undefined,
          retry: undefined,
          idleTimeout: undefined,
          connectionTTL: undefined,
          pingInterval: undefined,
          pingTimeout: undefined,
          validateAfterIdle: undefined,
          healthCheck: undefined,
          onConnect: undefined,
          onRelease: undefined,
          drain: undefined,
          discardOn: undefined,
          receiveBuffer: undefined,
          sendBuffer: undefined,
          maxPayload: undefined,
          leakThreshold: undefined,
          shutdownTimeout: undefined,
          closeTimeout: undefined
        })
      )
    )
  )
})

describe("durations", () => {
  for (const [form, input] of [
    ["a number of milliseconds", 5_000],
    ["a bigint of nanoseconds", 5_000_000_000n],
    ["a string", "5 seconds"],
    ["a tuple of seconds and nanoseconds", [4, 1_000_000_000]],
    ["a Duration", Duration.seconds(5)]
  ] as ReadonlyArray<readonly [string, Duration.Input]>) {
    it.effect(`may be ${form}`, () => deadlineOfGet(input, 5_000))
  }

  const names = [
    "acquireTimeout",
    "connectTimeout",
    "idleTimeout",
    "connectionTTL",
    "pingInterval",
    "pingTimeout",
    "validateAfterIdle",
    "leakThreshold",
    "shutdownTimeout",
    "closeTimeout"
  ]

  for (const [input, shown] of [
    [-1, "-1"],
    [-0.5, "-0.5"],
    [Number.NEGATIVE_INFINITY, "-Infinity"],
    [Number.NaN, "NaN"],
    [-1n, "-1"],
    ["-1 seconds", "-1 seconds"],
    ["soon", "soon"],
    ["", ""],
    ["5", "5"],
    [[-1, 0], "-1"],
    [[Number.NaN, 0], "NaN"],
    [[1], "1"],
    [["1", "2"], "1"],
    [null, "null"],
    [true, "true"]
  ] as ReadonlyArray<readonly [unknown, string]>) {
    const what = typeof input === "bigint" ? `${input}n` : JSON.stringify(input)
    it.effect(`may not be ${what} (${String(input)}): the error names each and shows it`, () =>
      Effect.gen(function* () {
        for (const name of names) {
          const error = yield* errorWith({ [name]: input })
          assert.deepStrictEqual(namesIn(error), [name])
          assert.include(String(error), name)
          assert.include(String(error), shown)
        }
        for (const name of ["quietPeriod", "timeout"]) {
          const error = yield* errorWith({ drain: { quietPeriod: 1, [name]: input } })
          assert.deepStrictEqual(namesIn(error), [`drain.${name}`])
          assert.include(String(error), shown)
        }
      })
    )
  }

  it.effect("that cannot be read are a ConfigError that says how to write one", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ pingInterval: "30s", drain: {} })
      const allowed = 'Expected a duration that is not negative, such as "5 seconds" or a number of milliseconds'
      assert.include(String(error), problemWith("pingInterval", `${allowed}, got "30s"`))
      assert.include(String(error), problemWith("drain.quietPeriod", `${allowed}, got undefined`))
    })
  )

  it.effect("may be zero or infinite", () =>
    Effect.gen(function* () {
      for (const value of [0, "0 millis", Duration.infinity, Number.POSITIVE_INFINITY] as const) {
        const options = Object.fromEntries(names.map((name) => [name, value]))
        yield* Effect.scoped(Layer.build(poolWith(options as Partial<WebSocketPool.Options>)))
      }
    })
  )
})

describe("counts and sizes", () => {
  const bad: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["maxConnections", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null]],
    ["minConnections", [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null]],
    ["maxWaiters", [-1, 0.5, Number.NaN, "5"]],
    ["receiveBuffer", [-1, Number.NaN]],
    ["sendBuffer", [-1, Number.NaN]],
    ["maxPayload", [-1, Number.NaN]]
  ]
  for (const [name, values] of bad) {
    it.effect(`${name} may not be any of ${values.map(String).join(", ")}`, () =>
      Effect.gen(function* () {
        for (const value of values) {
          const error = yield* errorWith({ [name]: value })
          assert.deepStrictEqual(namesIn(error), [name])
          assert.include(String(error), String(value))
        }
      })
    )
  }

  it.effect("minConnections may not be above maxConnections, given or not", () =>
    Effect.gen(function* () {
      for (const options of [{ minConnections: 3, maxConnections: 2 }, { minConnections: 51 }]) {
        const error = yield* errorWith(options)
        assert.include(String(error), "minConnections")
        assert.include(String(error), "maxConnections")
        assert.include(String(error), String(options.minConnections))
      }
    })
  )

  it.effect("minConnections may be as large as maxConnections", () =>
    Effect.gen(function* () {
      yield* settle
      assert.strictEqual((yield* WebSocketPool.stats).idle, 2)
    }).pipe(Effect.provide(poolWith({ minConnections: 2, maxConnections: 2 })))
  )

  it.effect("are checked by resize, too, which then changes nothing", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      for (const [limits, names] of [
        [{ maxConnections: 0 }, ["maxConnections"]],
        [{ minConnections: -1 }, ["minConnections"]],
        [{ minConnections: -1, maxConnections: 1.5 }, ["maxConnections", "minConnections"]],
        [{ minConnections: 6 }, ["minConnections"]],
        [{ minConnections: 4, maxConnections: 3 }, ["minConnections"]]
      ] as const) {
        const error = yield* Effect.flip(pool.resize(limits))
        assert.isTrue(isConfigError(error))
        assert.sameMembers([...namesIn(error)], [...names])
      }
      const { maxConnections, minConnections } = yield* pool.stats
      assert.deepStrictEqual({ maxConnections, minConnections }, { maxConnections: 5, minConnections: 0 })
    }).pipe(Effect.provide(poolWith({ maxConnections: 5 })))
  )
})

describe("a promise in place of a value", () => {
  for (const [option, expected] of [
    ["url", "Expected a URL that begins with ws: or wss:"],
    ["headers", "Expected a record of header fields"]
  ] as const) {
    // As headers it was taken for a record without fields, and none was sent.
    it.effect(`is refused for ${option}, and its rejection ends nothing`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ [option]: Promise.reject(new Error("secret")) })
        assert.deepStrictEqual(namesIn(error), [option])
        assert.include(String(error), `${expected}, got a promise: wrap it in Effect.promise`)
        assert.notInclude(String(error), "secret")
      })
    )

    it.effect(`is refused from an effect for ${option}, too`, () =>
      Effect.gen(function* () {
        const given = { [option]: Effect.sync(() => Promise.reject(new Error("secret"))) }
        const error = yield* Effect.flip(WebSocketPool.use(Effect.succeed)).pipe(
          Effect.provide(poolWith(given as unknown as Partial<WebSocketPool.Options>))
        )
        assert.include(error.message, `${option} failed (${expected}, got a promise: wrap it in Effect.promise)`)
      })
    )
  }
})
