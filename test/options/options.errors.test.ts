import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Cause from "#effect/Cause"
import * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import { beginningFor, discard, endOf, isConfigError, namesIn, problemWith } from "#support/configErrors"
import { assert, describe, it } from "#support/vitest"
import { poolWith, server, url } from "../support/memoryPool.js"
import { errorOf, errorWith } from "./support.js"

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
