import * as Socket from "@effect/platform/Socket"
import { WebSocketConnection } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Either from "#effect/Either"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { echo, isRunning, lease, makeServer, scenario, settle } from "../support/wire.js"

/** Sends one after the other, whether or not the client reads. */
const sendAll = (peer: { readonly send: (message: string) => Effect.Effect<void, unknown> }, messages: Array<string>) =>
  Effect.forEach(messages, (message) => peer.send(message), { discard: true })

describe("toSocket", () => {
  const open = (code: number, body: (socket: Socket.Socket) => Effect.Effect<void, unknown>) => {
    const server = makeServer({
      onPeer: (peer) => Effect.andThen(sendAll(peer, ["a", "grüße"]), peer.send(new Uint8Array([1, 2]))),
      onMessage: (peer, message) => (message === "quit" ? peer.close(code, "bye") : peer.send(message))
    })
    return scenario(server, {}, (pool) =>
      Effect.flatMap(pool.get, (connection) => body(WebSocketConnection.toSocket(connection)))
    )
  }

  it.effect("is a Socket", () =>
    open(1000, (socket) =>
      Effect.sync(() => {
        assert.isTrue(Socket.isSocket(socket))
      })
    )
  )

  it.effect("hands bytes to run, until a clean close", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const got: Array<unknown> = []
        let isOpen = false
        const running = yield* Effect.forkChild(
          socket.run((bytes) => void got.push(bytes), { onOpen: Effect.sync(() => (isOpen = true)) })
        )
        yield* settle
        assert.isTrue(isOpen)
        const encoder = new TextEncoder()
        assert.deepStrictEqual(got, [encoder.encode("a"), encoder.encode("grüße"), new Uint8Array([1, 2])])
        const write = yield* Effect.scoped(socket.writer)
        yield* write("quit")
        yield* settle
        assert.isFalse(isRunning(running))
        yield* Fiber.join(running)
      })
    )
  )

  it.effect("hands text and bytes to runRaw, and runs the effects of its handler in order", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const got: Array<unknown> = []
        const running = yield* Effect.forkChild(
          socket.runRaw((data) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => void got.push(data))
            )
          )
        )
        yield* settle
        assert.deepStrictEqual(got, ["a", "grüße", new Uint8Array([1, 2])])
        yield* Fiber.interrupt(running)
      })
    )
  )

  it.effect("fails run with SocketCloseError at any other code", () =>
    open(4000, (socket) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.flip(socket.run(() => {})))
        const write = yield* Effect.scoped(socket.writer)
        yield* write("quit")
        yield* settle
        const error = (yield* Effect.orDie(Effect.flip(Effect.flip(Fiber.join(running))))) as Socket.SocketError
        assert.isTrue(Socket.SocketCloseError.is(error))
        if (Socket.SocketCloseError.is(error)) {
          assert.deepStrictEqual([error.code, error.closeReason], [4000, "bye"])
        }
        const unwritten = yield* Effect.flip(write("x"))
        assert.strictEqual(unwritten.reason, "Write")
      })
    )
  )

  it.effect("fails run with the handler's error", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Effect.flip(socket.run(() => Effect.fail("mine" as const))), "mine")
      })
    ).pipe(Effect.asVoid)
  )

  it.effect("closes the connection when a CloseEvent is written", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.result(socket.run(() => {})))
        const write = yield* Effect.scoped(socket.writer)
        yield* write(new Socket.CloseEvent(4005, "mine"))
        yield* settle
        const result = yield* Fiber.join(running)
        assert.isTrue(Either.isLeft(result))
        if (Either.isLeft(result) && Socket.SocketCloseError.is(result.left)) {
          assert.deepStrictEqual([result.left.code, result.left.closeReason], [4005, "mine"])
        }
      })
    )
  )

  it.effect("works with Socket.toChannel", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const socket = WebSocketConnection.toSocket(yield* pool.get)
        const encoder = new TextEncoder()
        const out = yield* Stream.make("a", "b").pipe(
          Stream.map((text) => encoder.encode(text)),
          Stream.concat(Stream.never),
          Stream.pipeThroughChannel(Socket.toChannel<never>(socket)),
          Stream.take(2),
          Stream.decodeText(),
          Stream.runCollect
        )
        assert.deepStrictEqual(Array.from(out).join(""), "ab")
      })
    )
  })

  it.effect("fails as a read error once the lease is over", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        const socket = WebSocketConnection.toSocket(connection)
        const running = yield* Effect.forkChild(Effect.flip(socket.run(() => {})))
        yield* settle
        yield* release
        yield* settle
        const error = yield* Fiber.join(running)
        assert.strictEqual(error.reason, "Read")
      })
    )
  })
})
