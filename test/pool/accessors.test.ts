import { type PoolError, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError } from "#support/configErrors"
import { assert, describe, it } from "#support/vitest"
import { echo, expectTag, notYet, now, peers, type Server, server, settle, url } from "../support/memoryPool.js"

class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}

const options = { url, minConnections: 2, shutdownTimeout: "1 second" } as const

interface Accessors<Self> {
  readonly ask: (
    message: WebSocketTransport.Message
  ) => Effect.Effect<WebSocketTransport.Message, PoolError.AcquireError | PoolError.ConnectionError, Self>
  readonly stats: Effect.Effect<WebSocketPool.PoolStats, never, Self>
  readonly ready: Effect.Effect<void, PoolError.AcquireError, Self>
  readonly resize: (limits: { maxConnections?: number; minConnections?: number }) => Effect.Effect<void, unknown, Self>
  readonly refresh: Effect.Effect<void, never, Self>
  readonly close: Effect.Effect<void, never, Self>
}

const suite = <Self>(
  what: string,
  { ask, close, ready, refresh, resize, stats }: Accessors<Self>,
  layer: Layer.Layer<Self | Server, Config.ConfigError>
) =>
  describe(what, () => {
    it.effect("exchanges a message by ask", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* ask("hello"), "hello")
      }).pipe(Effect.provide(layer))
    )

    it.effect("waits by ready until minConnections are open", () =>
      Effect.gen(function* () {
        const waiting = yield* Effect.forkChild(ready)
        notYet(waiting)
        yield* settle
        yield* now(waiting)
        assert.strictEqual((yield* stats).idle, 2)
      }).pipe(Effect.provide(layer))
    )

    it.effect("changes its limits by resize, whose errors are those of the pool", () =>
      Effect.gen(function* () {
        yield* resize({ minConnections: 3, maxConnections: 4 })
        yield* settle
        const { idle, maxConnections } = yield* stats
        assert.deepStrictEqual({ idle, maxConnections }, { idle: 3, maxConnections: 4 })
        assert.isTrue(isConfigError(yield* Effect.flip(resize({ maxConnections: 0 }))))
      }).pipe(Effect.provide(layer))
    )

    it.effect("replaces its connections by refresh", () =>
      Effect.gen(function* () {
        yield* settle
        yield* refresh
        yield* TestClock.adjust("10 seconds")
        assert.lengthOf(yield* peers, 4)
        const { closed, idle } = yield* stats
        assert.deepStrictEqual({ closed, idle }, { closed: 2, idle: 2 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("shuts down by close", () =>
      Effect.gen(function* () {
        yield* settle
        const closing = yield* Effect.forkChild(close)
        yield* TestClock.adjust("3 seconds")
        yield* now(closing)
        assert.strictEqual((yield* stats).state, "closed")
        expectTag(yield* Effect.flip(ready), "PoolClosedError")
      }).pipe(Effect.provide(layer))
    )
  })

suite("WebSocketPool", WebSocketPool, Layer.provideMerge(WebSocketPool.layer(options), server(echo)))
suite("a tag of one's own", Tts, Layer.provideMerge(Tts.layer(options), server(echo)))
