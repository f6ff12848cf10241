/** A transport without a network: what is left is the pool alone. */
import { Effect, Layer } from "effect"
import { WebSocketTransport } from "../src/index.js"

const bytesOf = (message: WebSocketTransport.Message): number =>
  typeof message === "string" ? message.length : message.byteLength

/** Opens at once, answers every ping, and sends every message back when it is told to, once the sender has gone on. */
export const answering = (onAsked: (answer: () => void) => void) =>
  Layer.succeed(WebSocketTransport.WebSocketTransport, {
    connect: (_request, events) =>
      Effect.sync(() => {
        const end = (code: number): void => {
          if (!socket.isOpen) return
          socket.isOpen = false
          queueMicrotask(() => {
            events.onEnd({ code, reason: "", initiator: "Local" })
            events.onGone()
          })
        }
        const socket = {
          protocol: "",
          isOpen: true,
          bufferedAmount: 0,
          progress: 0,
          send: (message: WebSocketTransport.Message) => {
            const bytes = bytesOf(message)
            const answer = (): void => {
              if (socket.isOpen) events.onMessage(message, bytes)
            }
            queueMicrotask(() => onAsked(answer))
            return bytes
          },
          ping: (payload: string) => queueMicrotask(() => events.onPong(payload)),
          pause: () => {},
          resume: () => {},
          close: end,
          destroy: () => end(1006)
        }
        events.onOpen(socket)
      })
  })

export const instant = answering((answer) => answer())
