import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import type { ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { WebSocketConnection } from "./handle.js"

export type { Socket } from "@effect/platform/Socket"

const isClean = (code: number): boolean => code === 1000 || code === 1005

const readError = (error: ConnectionError): Socket.SocketError =>
  error._tag === "ConnectionClosedError"
    ? new Socket.SocketCloseError({ reason: "Close", code: error.code, closeReason: error.reason })
    : new Socket.SocketGenericError({ reason: "Read", cause: error })

const writeError = (cause: ConnectionError): Socket.SocketError =>
  new Socket.SocketGenericError({ reason: "Write", cause })

export const toSocket = (self: WebSocketConnection): Socket.Socket => {
  const runRaw: Socket.Socket["runRaw"] = (handler, options) => {
    const handleNext = Effect.flatMap(Effect.mapError(self.receive, readError), (message) => {
      const handled = handler(message)
      return Effect.isEffect(handled) ? handled : Effect.void
    })
    return Effect.zipRight(options?.onOpen ?? Effect.void, Effect.forever(handleNext)).pipe(
      Effect.catchIf(
        (error): error is Extract<typeof error, Socket.SocketError> =>
          Socket.SocketCloseError.is(error) && isClean(error.code),
        () => Effect.void
      )
    )
  }
  const encoder = new TextEncoder()
  const bytes = (message: Message): Uint8Array => (typeof message === "string" ? encoder.encode(message) : message)
  return {
    [Socket.TypeId]: Socket.TypeId,
    run: (handler, options) => runRaw((message) => handler(bytes(message)), options),
    runRaw,
    writer: Effect.succeed((chunk) =>
      Socket.isCloseEvent(chunk) ? self.close(chunk.code, chunk.reason) : Effect.mapError(self.send(chunk), writeError)
    )
  }
}
