import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { ConnectionError } from "../values/errors.js"
import type { WebSocketConnection } from "./handle.js"

export type { Socket } from "effect/socket/Socket"

const closed = (code: number, closeReason?: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason }) })

const readError = (error: ConnectionError): Socket.SocketError =>
  error._tag === "ConnectionClosedError"
    ? closed(error.code, error.reason)
    : new Socket.SocketError({ reason: new Socket.SocketReadError({ cause: error }) })

const writeError = (cause: ConnectionError): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

export const toSocket = (self: WebSocketConnection): Socket.Socket => {
  const receive = Effect.mapError(self.receiveChunk, readError)
  const write: Socket.Writer["write"] = (chunk) =>
    Socket.isCloseEvent(chunk) ? self.close(chunk.code, chunk.reason) : Effect.mapError(self.send(chunk), writeError)
  return Socket.make({
    // What is not pulled stays with the server, once `receiveBuffer` is full.
    reader: Effect.gen(function* () {
      // A pull that waits ends with the reader's scope.
      const end = Deferred.makeUnsafe<never, Socket.SocketError>()
      yield* Scope.addFinalizer(yield* Effect.scope, Deferred.fail(end, closed(1006)))
      const pull = Effect.raceFirst(receive, Deferred.await(end))
      return {
        pull: Effect.suspend(() => (Deferred.isDoneUnsafe(end) ? Deferred.await(end) : pull)),
        upgrade: Socket.SocketUpgradeError.unsupported
      }
    }),
    writer: Effect.succeed({
      write,
      writeAll: (chunks) => Effect.forEach(chunks, write, { discard: true })
    })
  })
}
