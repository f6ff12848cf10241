import { PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { isMissing, namesIn, onlyText, problemWith, texts } from "#support/configErrors"
import { withConfig } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { expectTag, notYet, now, peers, Server, server, settle, url } from "../support/memoryPool.js"
import { errorOf } from "./support.js"

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
