import { PoolError, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Cause from "#effect/Cause"
import * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import {
  beginningFor,
  discard,
  endOf,
  isConfigError,
  isMissing,
  namesIn,
  onlyText,
  problemWith,
  texts
} from "#support/configErrors"
import { withConfig } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import * as defaults from "../../src/options/defaults.js"
import { expectTag, notYet, now, peers, poolWith, Server, server, settle, url } from "../support/memoryPool.js"

/** What a layer fails with. */
const errorOf = <A>(layer: Layer.Layer<A, Config.ConfigError>) =>
  Effect.tap(Effect.flip(Effect.scoped(Layer.build(layer))), (error) =>
    Effect.sync(() => assert.isTrue(isConfigError(error)))
  )

/** The same for options as they may come from where there are no types. */
const errorWith = (options: Readonly<Record<string, unknown>>) =>
  errorOf(poolWith(options as Partial<WebSocketPool.Options>))

const deadlineOfGet = (acquireTimeout: Duration.Input, millis: number) =>
  Effect.gen(function* () {
    yield* WebSocketPool.get
    const waiter = yield* Effect.forkChild(Effect.flip(Effect.scoped(WebSocketPool.get)))
    yield* TestClock.adjust(millis - 1)
    notYet(waiter)
    yield* TestClock.adjust(1)
    expectTag(yield* now(waiter), "PoolExhaustedError")
  }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, acquireTimeout })))

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

describe("url", () => {
  for (const [input, kind] of [
    [5, "a number"],
    [{}, "an object"],
    [() => "ws://secret.test", "a function"],
    [["ws://secret.test"], "an array"]
  ] as const) {
    it.effect(`that is ${kind} is called so`, () =>
      Effect.gen(function* () {
        assert.include(String(yield* errorWith({ url: input })), `got ${kind}`)
      })
    )
  }

  for (const [what, input] of [
    ["a text that is no URL", "secret nonsense"],
    ["an http: URL", "http://secret:secret@server.test/?secret"],
    ["an https: URL object", new URL("https://server.test/?token=secret")],
    ["a redacted http: URL", Redacted.make("http://server.test/?secret")],
    ["a URL without its scheme, the user name first", "secret:secret@server.test"],
    ["an empty text", ""],
    ["a missing one", undefined]
  ] as const) {
    it.effect(`may not be ${what}; the error does not show it`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ url: input })
        assert.deepStrictEqual(namesIn(error), ["url"])
        assert.match(String(error), /ws/)
        assert.notInclude(String(error), "secret")
        assert.notInclude(JSON.stringify(error), "secret")
        if (input === undefined) assert.include(String(error), "got none")
      })
    )
  }

  for (const [input, said] of [
    ["localhost:8080", "did you mean ws://localhost:8080?"],
    ["localhost", "did you mean ws://localhost?"],
    ["api.example.com:443/v1/secret", "did you mean ws://api.example.com:443/…?"],
    ["127.0.0.1:9000", "did you mean ws://127.0.0.1:9000?"],
    ["[::1]:9000/secret", "did you mean ws://[::1]:9000/…?"],
    ["example.com/secret", "did you mean ws://example.com/…?"],
    ["ws://localhost:80800", "got one that cannot be parsed: look at its host and port"],
    ["wss://secret host", "got one that cannot be parsed: look at its host and port"],
    // What may be a token, a user name or a password is not shown.
    ["localhost:8080/?token=secret", "with another scheme, or without one"],
    ["secret:12345", "with another scheme, or without one"],
    ["secret.secret.secret", "a text that cannot be parsed as a URL"],
    ["user:secret@api.example.com:443", "with another scheme, or without one"],
    ["http://secret.test", "begins with http:; use ws: instead"],
    ["https://secret.test", "begins with https:; use wss: instead"]
  ] as const) {
    it.effect(`that is ${input} is a ConfigError that helps: ${said}`, () =>
      Effect.gen(function* () {
        for (const given of [input, Redacted.make(input)]) {
          const error = yield* errorWith({ url: given })
          assert.deepStrictEqual(namesIn(error), ["url"])
          assert.include(String(error), said)
          assert.notInclude(String(error), "secret")
        }
      })
    )
  }

  for (const [what, input] of [
    ["a string", url],
    ["a URL", new URL(url)],
    ["redacted", Redacted.make(url)],
    ["an effect of a string", Effect.succeed(url)],
    ["an effect of a URL", Effect.succeed(new URL(url))],
    ["an effect of a redacted string", Effect.succeed(Redacted.make(url))],
    ["upper case", "WS://SERVER.test/path"]
  ] as const) {
    it.effect(`may be ${what}`, () =>
      Effect.gen(function* () {
        yield* WebSocketPool.get
        assert.strictEqual((yield* peers)[0]!.url, url)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ url: input })))
    )
  }

  it.effect("may be wss:, and is run before every attempt when it is an effect", () => {
    let attempt = 0
    return Effect.gen(function* () {
      yield* Effect.replicateEffect(WebSocketPool.get, 2)
      assert.deepStrictEqual(
        (yield* peers).map((peer) => peer.url),
        ["wss://server.test/1", "wss://server.test/2"]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ url: Effect.sync(() => `wss://server.test/${++attempt}`) })))
  })
})

describe("headers and protocols", () => {
  it.effect("reach the server, redacted or not", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      assert.strictEqual(connection.protocol, "v2")
      const [handshake] = (yield* Server).handshakes
      assert.deepStrictEqual(handshake?.protocols, ["v2", "v1"])
      assert.deepStrictEqual({ ...handshake?.headers }, { authorization: "Bearer 1", "x-plain": "2" })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({
          protocols: ["v2", "v1"],
          headers: { authorization: Redacted.make("Bearer 1"), "x-plain": "2" }
        })
      )
    )
  )

  it.effect("headers are run before every attempt when they are an effect", () => {
    let token = 0
    return Effect.gen(function* () {
      yield* Effect.replicateEffect(WebSocketPool.get, 2)
      assert.deepStrictEqual(
        (yield* Server).handshakes.map(({ headers }) => headers.authorization),
        ["1", "2"]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ headers: Effect.sync(() => ({ authorization: String(++token) })) }))
    )
  })

  // It was dropped without a word, and the server refused for want of it.
  for (const [what, value] of [
    ["undefined", undefined],
    ["null", null]
  ] as const) {
    it.effect(`a header whose value is ${what} is a ConfigError that names it`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers: { "x-fine": "1", authorization: value } })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        assert.include(String(error), 'Expected a value of header "authorization", got none: is a variable not set?')
      })
    )
  }

  // The transport failed with a message about its own insides, or sent them twice.
  for (const [name, advice] of [
    ["Sec-WebSocket-Protocol", "use the option protocols"],
    ["sec-websocket-extensions", "perMessageDeflate"],
    ["SEC-WEBSOCKET-KEY", "leave it out"],
    ["Sec-WebSocket-Version", "leave it out"],
    ["connection", "leave it out"],
    ["Upgrade", "leave it out"]
  ] as const) {
    it.effect(`the header ${name}, which is the transport's own, is a ConfigError that says what to do`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers: { [name]: "secret" } })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        for (const part of [JSON.stringify(name), advice]) assert.include(String(error), part)
        assert.notInclude(String(error), "secret")
      })
    )
  }

  it.effect("every bad header is named, and a good one is not", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ headers: { upgrade: "h2c", "x-unset": undefined, "x y": "1", "x-good": "1" } })
      assert.deepStrictEqual(namesIn(error), ["headers", "headers", "headers"])
      for (const name of ["upgrade", "x-unset", "x y"]) assert.include(String(error), JSON.stringify(name))
      assert.notInclude(String(error), "x-good")
    })
  )

  for (const [what, headers, advice] of [
    ["a Map", new Map([["authorization", "secret"]]), "got a Map: use Object.fromEntries"],
    ["the Headers of fetch", new Headers({ authorization: "secret" }), "use Object.fromEntries"],
    ["an array of entries", [["authorization", "secret"]], "got an array: use Object.fromEntries"],
    ["redacted as a whole", Redacted.make({ authorization: "secret" }), "redact the values one by one"],
    ["a text", "authorization: secret", "got a string"]
  ] as const) {
    it.effect(`headers may not be ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        assert.include(String(error), advice)
        assert.notInclude(String(error), "secret")
      })
    )
  }

  const attemptsWith = (headers: unknown) =>
    Effect.gen(function* () {
      const options = { headers: Effect.succeed(headers), retry: Schedule.recurs(2) } as Partial<WebSocketPool.Options>
      const error = yield* Effect.flip(Effect.scoped(Effect.provide(WebSocketPool.get, poolWith(options))))
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Setup")
      return error
    })

  it.effect("an effect's header without a value is a failed setup that is tried again", () =>
    Effect.gen(function* () {
      const error = yield* attemptsWith({ authorization: undefined })
      assert.deepInclude(error, { attempts: 3, isRetryable: true })
      assert.include(error.message, 'Expected a value of header "authorization", got none')
    })
  )

  it.effect("an effect's header that can never be sent is a failed setup that is not tried again", () =>
    Effect.gen(function* () {
      for (const headers of [
        { "Sec-WebSocket-Protocol": "v1" },
        { connection: undefined },
        { authorization: undefined, "x y": "1" },
        { authorization: 5 },
        new Map(),
        undefined
      ]) {
        assert.deepInclude(yield* attemptsWith(headers), { attempts: 1, isRetryable: false })
      }
    })
  )

  it.effect("protocols may be neither a list in one text nor a Set", () =>
    Effect.gen(function* () {
      for (const protocols of ["v1, v2", "", new Set(["v1"]), [undefined]]) {
        const error = yield* errorWith({ protocols })
        assert.deepStrictEqual(namesIn(error), ["protocols"])
        assert.include(String(error), "an array")
      }
    })
  )

  it.effect("headers with a value that cannot be sent are a ConfigError that does not show it", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ headers: { authorization: "secret\r\nx: secret" } })
      assert.deepStrictEqual(namesIn(error), ["headers"])
      assert.include(String(error), "authorization")
      assert.notInclude(String(error), "secret")
    })
  )
})

describe("a ConfigError", () => {
  it.effect("names every bad option at once, and no other", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({
        url: "http://server.test",
        maxConnections: 1.5,
        minConnections: -7,
        acquireTimeout: -5,
        idleTimeout: "whenever",
        pingInterval: "30 seconds",
        closeTimeout: -1n,
        drain: { quietPeriod: -1, timeout: [-3, 0] }
      })
      assert.sameMembers(
        [...namesIn(error)],
        [
          "url",
          "maxConnections",
          "minConnections",
          "acquireTimeout",
          "idleTimeout",
          "closeTimeout",
          "drain.quietPeriod",
          "drain.timeout"
        ]
      )
      for (const value of ["1.5", "-7", "-5", "whenever", "-1", "-3"]) assert.include(String(error), value)
    })
  )

  // It said "[object Object]", or nothing at all: some objects cannot be made a string.
  for (const [what, input, shown] of [
    ["an object", { seconds: 5, token: "secret" }, "{ seconds: …, token: … }"],
    ["an object in an array", [{ seconds: 5 }], "[{ seconds: … }]"],
    ["an object without a prototype", Object.assign(Object.create(null), { second: 5 }), "{ second: … }"],
    ["an object that shows no keys", Redacted.make("secret"), "an object"],
    ["an Effect", Effect.succeed("secret"), "an Effect"],
    ["a Config", Config.succeed(5), "an Effect"],
    ["a symbol", Symbol("five"), "Symbol(five)"]
  ] as const) {
    it.effect(`shows ${what} on one line, and nothing that it holds`, () =>
      Effect.gen(function* () {
        for (const name of ["maxConnections", "maxWaiters", "acquireTimeout", "retry", "onConnect", "protocols"]) {
          const error = yield* errorWith({ [name]: input })
          assert.deepStrictEqual(namesIn(error), [name])
          assert.isTrue(String(error).endsWith(endOf(`, got ${shown}`)), String(error))
        }
        assert.include(String(yield* errorWith({ drain: [input] })), `got [${shown}]`)
      })
    )
  }

  it.effect("shows no function's text", () =>
    Effect.gen(function* () {
      assert.include(String(yield* errorWith({ acquireTimeout: () => "secret" })), "got a function")
    })
  )

  // All of these were ignored without a word.
  for (const [given, meant] of [
    ["maxConnection", "maxConnections"],
    ["maxconnections", "maxConnections"],
    ["max_connections", "maxConnections"],
    ["poolSize", "maxConnections"],
    ["maximumPoolSize", "maxConnections"],
    ["minConection", "minConnections"],
    ["warmup_connections", "minConnections"],
    ["acquireTimeOut", "acquireTimeout"],
    ["timeoutAcquire", undefined],
    ["connection_timeout", "connectTimeout"],
    ["uri", "url"],
    ["header", "headers"],
    ["protocol", "protocols"],
    ["leakDetectionThreshold", "leakThreshold"],
    ["onClose", undefined]
  ] as const) {
    it.effect(`refuses ${given}, which does not exist${meant === undefined ? "" : `, and asks about ${meant}`}`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ [given]: "secret" })
        assert.deepStrictEqual(namesIn(error), [given])
        assert.include(
          String(error),
          `Unknown option "${given}": ${meant === undefined ? "" : `did you mean "${meant}"?`}`
        )
        assert.notInclude(String(error), "secret")
      })
    )
  }

  it.effect("names what options there are when none is like the one given", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ zebra: 1 })
      assert.include(String(error), 'Unknown option "zebra": there are only url, protocols, headers, name')
    })
  )

  it.effect("lists what options there are once", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ zebra: 1, quagga: 2 })
      assert.include(String(error), 'Unknown option "quagga"')
      assert.strictEqual(String(error).split("there are only").length, 2)
    })
  )

  // It listed all the options of the pool, for each.
  it.effect("says which options are the transport's", () =>
    Effect.gen(function* () {
      const given = ["proxy", "agent", "ca", "perMessageDeflate", "followRedirects", "rejectUnauthorized"]
      const error = yield* errorWith(Object.fromEntries(given.map((name) => [name, "secret"])))
      for (const name of given) {
        assert.include(
          String(error),
          `Unknown option "${name}": it is an option of the transport, as in NodeWebSocketTransport.layer`
        )
      }
      assert.notInclude(String(error), "there are only")
    })
  )

  it.effect("refuses an option of drain that does not exist", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ drain: { quietPeriod: 1, quietperiods: 2, cond: () => true } })
      assert.deepStrictEqual(namesIn(error), ["drain.quietperiods", "drain.cond"])
      assert.include(String(error), 'did you mean "quietPeriod"?')
    })
  )

  it.effect("leaves alone an option that does not exist and is undefined", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Layer.build(poolWith({ maxConnection: undefined } as Partial<WebSocketPool.Options>)))
    })
  )

  for (const [what, name] of [
    ["an object", {}],
    ["a number", 5],
    ["an empty text", ""]
  ] as const) {
    it.effect(`does not take ${what} for a name`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ name })
        assert.deepStrictEqual(namesIn(error), ["name"])
        assert.include(String(error), "Expected a text that is not empty")
      })
    )
  }

  it.effect("names the pool: by its name, else its tag, else the URL's host", () =>
    Effect.gen(function* () {
      class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}
      const bad = { url: "ws://api.test", maxConnections: 0, maxWaiters: -1 }
      for (const [layer, pool] of [
        [WebSocketPool.layer({ ...bad, name: "speech" }), "speech"],
        [WebSocketPool.layer(bad), "api.test"],
        [WebSocketPool.layer({ ...bad, url: "nonsense" }), "websocket-pool"],
        [discard(Tts.layer({ ...bad, name: "speech" })), "speech"],
        [discard(Tts.layer(bad)), "Tts"],
        [discard(Tts.layer({ ...bad, url: "nonsense" })), "Tts"]
      ] as const) {
        const error = yield* errorOf(Layer.provide(layer, server()))
        assert.isTrue(String(error).startsWith(beginningFor(pool)), String(error))
        assert.include(Cause.pretty(Cause.fail(error)), `Pool "${pool}"`)
        assert.strictEqual(String(error).split(`"${pool}"`).length, 2, "once")
      }
    })
  )

  it.effect("is also what resize fails with, and names the pool", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      for (const [limits, part] of [
        [undefined, problemWith("limits", "Expected an object of limits")],
        [5, "got a number"],
        [{ maxConnection: 5 }, 'did you mean "maxConnections"?'],
        [{ url }, "there are only minConnections, maxConnections"]
      ] as const) {
        const error = yield* Effect.flip(pool.resize(limits as never))
        assert.isTrue(isConfigError(error))
        assert.include(String(error), part)
        assert.include(String(error), 'Pool "server.test"')
      }
      yield* pool.resize({})
      yield* pool.resize({ minConnections: undefined, maxConnections: undefined })
      assert.strictEqual((yield* pool.stats).maxConnections, 50)
    }).pipe(Effect.provide(poolWith()))
  )

  // It was a TypeError of an inner line.
  for (const [what, options, shown] of [
    ["nothing", undefined, "got undefined"],
    ["null", null, "got null"],
    ["a URL instead of options", "ws://user:secret@server.test", "got a string"],
    ["a URL object", new URL("ws://user:secret@server.test"), "url"],
    ["a Config", Config.succeed({ url }), "got an Effect"]
  ] as const) {
    it.effect(`is also what layer, make and their like fail with when given ${what}`, () =>
      Effect.gen(function* () {
        class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}
        const given = options as never
        for (const layer of [
          WebSocketPool.layer(given),
          Tts.layer(given),
          NodeWebSocketPool.layer(given),
          ...(Config.isConfig(options)
            ? []
            : [WebSocketPool.layerConfig(given), Tts.layerConfig(given), NodeWebSocketPool.layerConfig(given)]),
          Layer.effectDiscard(WebSocketPool.make(given))
        ].map((layer) => discard(layer))) {
          const error = yield* errorOf(Layer.provide(layer, server()))
          assert.include(String(error), shown)
          assert.notInclude(String(error), "secret")
        }
      })
    )
  }

  it.effect("is also what make fails with", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(WebSocketPool.make({ url, maxConnections: 0 })))
      assert.deepStrictEqual(namesIn(error), ["maxConnections"])
    }).pipe(Effect.provide(server()))
  )
})

describe("layerConfig", () => {
  it.effect("takes a Config in place of each value, hooks as Config.succeed, drain and headers nested", () => {
    const log: Array<string> = []
    const layer = WebSocketPool.layerConfig({
      url: Config.Redacted("WS_URL"),
      name: Config.String("WS_NAME"),
      headers: { authorization: Config.Redacted("WS_TOKEN"), "x-none": undefined },
      protocols: texts("WS_PROTOCOLS"),
      minConnections: undefined,
      maxConnections: Config.Int("WS_MAX"),
      acquireTimeout: Config.Duration("WS_ACQUIRE"),
      retry: Config.succeed(Schedule.recurs(0)),
      onConnect: Config.succeed(() => Effect.sync(() => void log.push("onConnect"))),
      onRelease: Config.succeed(() => Effect.sync(() => void log.push("onRelease"))),
      discardOn: Config.succeed((exit: Exit.Exit<unknown, unknown>) => Exit.isSuccess(exit)),
      drain: {
        quietPeriod: Config.Duration("WS_QUIET"),
        timeout: undefined,
        condition: Config.succeed((message: unknown) => message === "harmless")
      },
      closeTimeout: undefined
    })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      yield* Effect.exit(pool.use(() => Effect.fail("not discarded")))
      yield* TestClock.adjust("99 millis")
      assert.strictEqual((yield* pool.stats).draining, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* pool.stats).idle, 1)
      assert.deepStrictEqual(log, ["onConnect", "onRelease"])
      const [handshake] = (yield* Server).handshakes
      assert.deepInclude(handshake, { url: "ws://configured.test/", protocols: ["a", "b"] })
      assert.deepStrictEqual({ ...handshake?.headers }, { authorization: "token" })

      yield* pool.get
      const waiter = yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get)))
      yield* TestClock.adjust("6999 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.pool, "configured")
      assert.strictEqual(error.stats.maxConnections, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(layer, server())),
      withConfig({
        WS_URL: "ws://configured.test",
        WS_NAME: "configured",
        WS_TOKEN: "token",
        WS_PROTOCOLS: "a,b",
        WS_MAX: "1",
        WS_ACQUIRE: "7 seconds",
        WS_QUIET: "100 millis"
      })
    )
  })

  it.effect("takes headers as one Config, a computed url, and one Config of everything", () =>
    Effect.gen(function* () {
      const layers = [
        WebSocketPool.layerConfig({ url: Config.succeed(Effect.succeed(url)), headers: Config.succeed({ x: "1" }) }),
        WebSocketPool.layerConfig(Config.succeed({ url, headers: { x: "1" } }))
      ]
      for (const layer of layers) {
        yield* Effect.gen(function* () {
          yield* WebSocketPool.get
          assert.strictEqual((yield* peers)[0]!.headers.x, "1")
        }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer, server())))
      }
    })
  )

  it.effect("fails with the ConfigError of what is missing", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(Layer.provide(WebSocketPool.layerConfig({ url: Config.String("WS_URL") }), server()))
      assert.isTrue(isMissing(error))
      assert.include(String(error), "WS_URL")
    }).pipe(withConfig({}))
  )

  it.effect("fails with the ConfigError of what may not be", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(
        Layer.provide(
          WebSocketPool.layerConfig({ url: Config.String("WS_URL"), maxConnections: Config.Int("WS_MAX") }),
          server()
        )
      )
      assert.sameMembers([...namesIn(error)], ["url", "maxConnections"])
      assert.notInclude(String(error), "secret")
    }).pipe(withConfig({ WS_URL: "http://secret.test", WS_MAX: "0" }))
  )

  // Those of the provider came first, and the others when these were put right.
  it.effect("tells in one round what cannot be read and what may not be, and names the pool by its tag", () =>
    Effect.gen(function* () {
      class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}
      const error = yield* errorOf(
        Layer.provide(
          Tts.layerConfig({
            url: Config.String("WS_URL"),
            minConnections: Config.Int("WS_MIN"),
            maxConnections: Config.Int("WS_MAX"),
            pingInterval: Config.Duration("WS_PING"),
            maxWaiters: Config.succeed(-1),
            drain: { quietPeriod: Config.Duration("WS_QUIET"), timeout: Config.succeed(-1) }
          }),
          server()
        )
      )
      // Nothing follows from what could not be read: neither that it is missing, nor that it does not fit.
      assert.sameMembers([...namesIn(error)], ["url", "WS_MAX", "WS_PING", "WS_QUIET", "maxWaiters", "drain.timeout"])
      assert.include(String(error), 'Pool "Tts"')
      assert.notInclude(String(error), "secret")
    }).pipe(withConfig({ WS_URL: "http://secret.test", WS_MIN: "60", WS_MAX: "many", WS_PING: "soon" }))
  )

  it.effect("tells of a URL that is missing once", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(
        Layer.provide(
          WebSocketPool.layerConfig({ url: Config.String("WS_URL"), maxWaiters: Config.succeed(-1) }),
          server()
        )
      )
      assert.sameMembers([...namesIn(error)], ["WS_URL", "maxWaiters"])
    }).pipe(withConfig({}))
  )

  it.effect("refuses options that do not exist, in drain, too, and does not ask for their values", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(
        Layer.provide(
          WebSocketPool.layerConfig({
            url: Config.succeed(url),
            maxConnection: Config.Int("WS_MAX"),
            drain: { quietPeriod: Config.succeed(1), timeouts: Config.succeed(2) }
          } as WebSocketPool.OptionsConfig),
          server()
        )
      )
      assert.sameMembers([...namesIn(error)], ["maxConnection", "drain.timeouts"])
      assert.include(String(error), 'did you mean "maxConnections"?')
    }).pipe(withConfig({}))
  )

  // A plain URL overflowed the stack.
  it.effect("says that a plain value has to be wrapped, and does not show it", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(
        Layer.provide(
          WebSocketPool.layerConfig({
            url: "ws://secret.test",
            maxConnections: 5,
            onConnect: () => Effect.void,
            headers: { authorization: "secret", "x-none": undefined },
            drain: { quietPeriod: "1 second" }
          } as never),
          server()
        )
      )
      assert.sameMembers(
        [...namesIn(error)],
        ["url", "maxConnections", "onConnect", "headers.authorization", "drain.quietPeriod"]
      )
      assert.include(
        String(error),
        problemWith("url", "Expected a Config, got a string: wrap it, as in Config.succeed(…)")
      )
      assert.notInclude(String(error), "secret")
    })
  )

  it.effect("takes no effect, Map or array in place of a Config", () =>
    Effect.gen(function* () {
      for (const [options, name, shown] of [
        [{ url: Effect.succeed(url) }, "url", "got an Effect"],
        [{ url: Config.succeed(url), headers: new Map([["a", "b"]]) }, "headers", "got a Map"],
        [{ url: Config.succeed(url), protocols: ["a"] }, "protocols", "got an array"],
        [{ url: Config.succeed(url), drain: 5 }, "drain", "got a number"]
      ] as const) {
        const error = yield* errorOf(Layer.provide(WebSocketPool.layerConfig(options as never), server()))
        assert.deepStrictEqual(namesIn(error), [name])
        assert.include(String(error), shown)
      }
    })
  )

  it.effect("does not show a URL or a header that cannot be read", () =>
    Effect.gen(function* () {
      const bad = {
        url: Config.URL("WS_URL"),
        headers: { authorization: onlyText("known", "WS_TOKEN") }
      }
      for (const options of [bad, Config.all({ url: Config.URL("WS_URL") })]) {
        const error = yield* errorOf(Layer.provide(WebSocketPool.layerConfig(options), server()))
        assert.include(String(error), "WS_URL")
        assert.notInclude(String(error), "secret")
      }
    }).pipe(withConfig({ WS_URL: "secret", WS_TOKEN: "secret" }))
  )

  it.effect("refuses a header whose Config has no value to give", () =>
    Effect.gen(function* () {
      const error = yield* errorOf(
        Layer.provide(
          WebSocketPool.layerConfig({
            url: Config.succeed(url),
            headers: { authorization: Config.succeed(undefined) }
          } as never),
          server()
        )
      )
      assert.deepStrictEqual(namesIn(error), ["headers"])
      assert.include(String(error), '"authorization"')
    })
  )

  it.effect("is there for every tag", () => {
    class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}
    return Effect.gen(function* () {
      yield* Tts.get
      assert.strictEqual((yield* Tts.stats).busy, 1)
      const { close } = yield* Tts
      yield* Effect.forkDetach(close)
      yield* settle
      assert.isTrue(PoolError.isPoolError(yield* Effect.flip(Effect.scoped(Tts.getNew))))
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(Tts.layerConfig({ url: Config.String("WS_URL") }), server())),
      withConfig({ WS_URL: url })
    )
  })
})
