import { WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"

type Message = WebSocketTransport.Message

/** A socket whose other end is the test: it does nothing by itself but what `Behaviour` says. */
export class HandSocket implements WebSocketTransport.TransportSocket {
  readonly protocol = ""
  isOpen = true
  bufferedAmount = 0
  progress = 0
  isPaused = false
  isDestroyed = false
  isGone = false
  readonly sent: Array<Message> = []
  readonly pings: Array<string> = []
  readonly closes: Array<number> = []

  constructor(
    readonly events: WebSocketTransport.SocketEvents,
    private readonly behaviour: Behaviour
  ) {}

  // What the pool does

  send(message: Message): number {
    this.sent.push(message)
    return message.length
  }

  ping(payload: string): void {
    this.pings.push(payload)
    this.behaviour.onPing?.(this)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  close(code: number): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.closes.push(code)
    this.behaviour.onClose?.(this)
  }

  destroy(): void {
    if (this.isDestroyed || this.isGone) return
    this.isDestroyed = true
    this.isOpen = false
    if (this.behaviour.onDestroy === undefined) this.lose()
    else this.behaviour.onDestroy(this)
  }

  // What the test does

  message(message: Message): void {
    this.progress += 1
    this.events.onMessage(message, message.length)
  }

  pong(): void {
    this.progress += 1
    this.events.onPong(this.pings.at(-1) ?? "")
  }

  /** The line is gone, all at once. */
  lose(code = 1006): void {
    if (this.isGone) return
    this.isOpen = false
    this.isGone = true
    this.events.onEnd({ code, reason: "", initiator: this.isDestroyed ? "Local" : "Remote" })
    this.events.onGone()
  }
}

interface Behaviour {
  /** What an attempt does before its socket opens; a failure is that of the attempt. */
  readonly connect?:
    | ((
        request: WebSocketTransport.ConnectRequest,
        index: number
      ) => Effect.Effect<void, WebSocketTransport.TransportError>)
    | undefined
  /** What the server does with a socket that has opened just now. */
  readonly onOpened?: ((socket: HandSocket) => void) | undefined
  readonly onPing?: ((socket: HandSocket) => void) | undefined
  readonly onClose?: ((socket: HandSocket) => void) | undefined
  /** Without it a destroyed socket is gone at once. */
  readonly onDestroy?: ((socket: HandSocket) => void) | undefined
}

/** A transport whose servers are played by the test. */
export const makeTransport = (behaviour: Behaviour = {}) => {
  const sockets: Array<HandSocket> = []
  const attempts: Array<WebSocketTransport.ConnectRequest> = []
  const transport: WebSocketTransport.WebSocketTransport = {
    connect: (request, events) =>
      Effect.suspend(() => {
        const index = attempts.length
        attempts.push(request)
        const open = Effect.sync(() => {
          const socket = new HandSocket(events, behaviour)
          sockets.push(socket)
          events.onOpen(socket)
          behaviour.onOpened?.(socket)
        })
        return Effect.andThen(behaviour.connect?.(request, index) ?? Effect.void, open)
      })
  }
  return {
    layer: Layer.succeed(WebSocketTransport.WebSocketTransport, transport),
    /** Every socket there has been, in order. */
    sockets,
    /** Every attempt there has been, failed ones included. */
    attempts,
    live: () => sockets.filter(({ isGone }) => !isGone).length
  }
}

/** Answers every ping, not inside of the call. */
export const answerPings = (socket: HandSocket): void =>
  queueMicrotask(() => {
    if (!socket.isGone) socket.pong()
  })

/** Answers the closing handshake, not inside of the call. */
export const answerCloses = (socket: HandSocket): void => queueMicrotask(() => socket.lose(socket.closes[0]))
