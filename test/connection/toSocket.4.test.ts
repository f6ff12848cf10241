import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import { WebSocketConnection } from "effect-websocket-pool"
import { assert, describe, it } from "#support/vitest"
import { echo, isRunning, lease, makeServer, type Server, scenario, settle } from "../support/wire.js"

const sendAll = (peer: { readonly send: (message: string) => Effect.Effect<void, unknown> }, messages: Array<string>) =>
  Effect.forEach(messages, peer.send, { discard: true })

describe("toSocket", () => {
  const open = (code: number, body: (socket: Socket.Socket) => Effect.Effect<void, unknown, Scope.Scope>) => {
    const server: Server = makeServer({
      onPeer: (peer) => Effect.andThen(sendAll(peer, ["a", "grüße"]), peer.send(new Uint8Array([1, 2]))),
      onMessage: (peer, message) => (message === "quit" ? peer.close(code, "bye") : peer.send(message))
    })
    return scenario(server, {}, (pool) =>
      Effect.flatMap(pool.get, (connection) => Effect.scoped(body(WebSocketConnection.toSocket(connection))))
    )
  }

  /** What the reading of a socket has failed with. */
  const reasonOf = (error: Socket.SocketError): readonly [string, ...Array<unknown>] => {
    const { reason } = error
    return reason._tag === "SocketCloseError" ? [reason._tag, reason.code, reason.closeReason] : [reason._tag]
  }

  it.effect("is a Socket", () =>
    open(1000, (socket) =>
      Effect.sync(() => {
        assert.isTrue(Socket.isSocket(socket))
      })
    )
  )

  it.effect("gives what has come when it is pulled, then the end with its code", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const { pull } = yield* socket.reader
        yield* settle
        assert.deepStrictEqual(yield* pull, ["a", "grüße", new Uint8Array([1, 2])])
        const end = yield* Effect.forkChild(Effect.flip(pull))
        yield* settle
        assert.isTrue(isRunning(end))
        const { write } = yield* socket.writer
        yield* write("quit")
        assert.deepStrictEqual(reasonOf(yield* Fiber.join(end)), ["SocketCloseError", 1000, "bye"])
      })
    )
  )

  it.effect("takes nothing that is not pulled, so that the server has to wait", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const { writeAll } = yield* socket.writer
        yield* writeAll(["x", "y"])
        yield* settle
        const { pull } = yield* socket.reader
        // What the server has answered with at once, too.
        assert.sameDeepMembers(Array.from(yield* pull), ["a", "grüße", new Uint8Array([1, 2]), "x", "y"])
      })
    )
  )

  it.effect("fails a pull with SocketCloseError at any other code, and a write later", () =>
    open(4000, (socket) =>
      Effect.gen(function* () {
        const { pull } = yield* socket.reader
        const { write } = yield* socket.writer
        yield* settle
        yield* pull
        yield* write("quit")
        assert.deepStrictEqual(reasonOf(yield* Effect.flip(pull)), ["SocketCloseError", 4000, "bye"])
        assert.deepStrictEqual(reasonOf(yield* Effect.flip(write("x"))), ["SocketWriteError"])
      })
    )
  )

  it.effect("ends a pull that waits when the scope of the reader is closed", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { pull } = yield* Scope.provide(socket.reader, scope)
        yield* settle
        yield* pull
        const waiting = yield* Effect.forkChild(Effect.flip(pull))
        yield* settle
        assert.isTrue(isRunning(waiting))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(reasonOf(yield* Fiber.join(waiting)), ["SocketCloseError", 1006, undefined])
        assert.deepStrictEqual(reasonOf(yield* Effect.flip(pull)), ["SocketCloseError", 1006, undefined])
      })
    )
  )

  it.effect("closes the connection when a CloseEvent is written", () =>
    open(1000, (socket) =>
      Effect.gen(function* () {
        const { pull } = yield* socket.reader
        const { write } = yield* socket.writer
        yield* settle
        yield* pull
        yield* write(new Socket.CloseEvent(4005, "mine"))
        assert.deepStrictEqual(reasonOf(yield* Effect.flip(pull)), ["SocketCloseError", 4005, "mine"])
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
        assert.deepStrictEqual(out.join(""), "ab")
      })
    )
  })

  it.effect("fails as a read error once the lease is over", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        const { pull } = yield* WebSocketConnection.toSocket(connection).reader
        const waiting = yield* Effect.forkChild(Effect.flip(pull))
        yield* settle
        yield* release
        assert.deepStrictEqual(reasonOf(yield* Fiber.join(waiting)), ["SocketReadError"])
      }).pipe(Effect.scoped)
    )
  })
})
