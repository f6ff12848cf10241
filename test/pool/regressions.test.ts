import { inspect } from "node:util"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { poll, repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"

type Handler = (peer: WebSocketTransport.MemoryPeer) => Effect.Effect<unknown, unknown>

const poolOn = (handler: Handler, options: Partial<WebSocketPool.Options> = {}) =>
  WebSocketPool.layer({ url: "ws://host", ...options }).pipe(Layer.provide(WebSocketTransport.layerMemory(handler)))

const echo: Handler = (peer) => Effect.forever(Effect.flatMap(peer.receive, peer.send))

describe("a server that ends a connection right after the handshake", () => {
  for (let turns = 0; turns < 6; turns++) {
    const later = repeated(Effect.yieldNow, turns)

    it.effect(`is heard to its end, ${turns} turns later: its messages were lost, and the get was tried again`, () =>
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        assert.strictEqual(yield* connection.receive, "a")
        assert.strictEqual(yield* connection.receive, "b")
        const error = yield* Effect.flip(connection.receive)
        assert.strictEqual(error._tag === "ConnectionClosedError" && error.code, 4000)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          poolOn((peer) =>
            later.pipe(
              Effect.andThen(peer.send("a")),
              Effect.andThen(peer.send("b")),
              Effect.andThen(peer.close(4000, "bye"))
            )
          )
        )
      )
    )
  }

  it.effect("ends the stream of messages cleanly with its handler", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      assert.deepStrictEqual(Array.from(yield* Stream.runCollect(connection.messages)), ["a"])
    }).pipe(Effect.scoped, Effect.provide(poolOn((peer) => peer.send("a"))))
  )

  it.effect("shows 1011 when its handler fails, and 1009 when its greeting is too large", () =>
    Effect.gen(function* () {
      const codeOf = (handler: Handler, options?: Partial<WebSocketPool.Options>) =>
        WebSocketPool.use((connection) => Effect.flip(connection.receive)).pipe(
          Effect.map((error) => error._tag === "ConnectionClosedError" && [error.code, error.initiator]),
          Effect.provide(poolOn(handler, options))
        )
      assert.deepStrictEqual(yield* codeOf(() => Effect.fail("no")), [1011, "Remote"])
      const large: Handler = (peer) => Effect.andThen(peer.send("x".repeat(11)), Effect.never)
      assert.deepStrictEqual(yield* codeOf(large, { maxPayload: 10 }), [1009, "Local"])
    })
  )
})

describe("layerMemory", () => {
  it.effect("serves a pool that outlives the layer it was made with: it refused every later connect", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url: "ws://host" }).pipe(
        Effect.provide(WebSocketTransport.layerMemory(echo))
      )
      const reply = yield* pool.use((connection) => Effect.andThen(connection.send("a"), connection.receive))
      assert.strictEqual(reply, "a")
    })
  )
})

describe("secrets", () => {
  it.effect("are not shown by printing a pool or a connection: every URL and header was", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const connection = yield* pool.get
      const shown = [pool, connection].flatMap((value) => [
        inspect(value, { depth: null }),
        inspect({ value }, { depth: null }),
        JSON.stringify(value),
        String(value),
        String(Exit.succeed(value))
      ])
      for (const text of shown) {
        for (const secret of ["SECRET-USER", "SECRET-QUERY", "SECRET-HEADER"]) assert.notInclude(text, secret)
        assert.isBelow(text.length, 200)
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolOn(echo, {
          url: "ws://SECRET-USER:x@host/?q=SECRET-QUERY",
          headers: { a: Redacted.make("SECRET-HEADER"), b: "SECRET-HEADER" }
        })
      )
    )
  )
})

describe("ping", () => {
  it.effect("is bounded by pingTimeout on a line that was paused when it began: it was forgotten at resume", () => {
    const peers: Array<WebSocketTransport.MemoryPeer> = []
    const handler: Handler = (peer) => {
      peers.push(peer)
      return Effect.andThen(peer.send("x".repeat(4000)), Effect.never)
    }
    return Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* TestClock.adjust(1)
      const ping = yield* Effect.forkChild(Effect.flip(connection.ping))
      yield* TestClock.adjust(1)
      yield* peers[0]!.silence
      yield* connection.receive
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(poll(ping))
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(ping))._tag, "ConnectionClosedError")
    }).pipe(Effect.scoped, Effect.provide(poolOn(handler, { receiveBuffer: 1024, pingInterval: "1 hour" })))
  })
})
