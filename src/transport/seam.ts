/** The seam between the pool and the network. */
import * as Context from "#effect/Context"
import type * as Effect from "#effect/Effect"
import type { Message } from "../values/message.js"
import type { CloseInitiator } from "../values/reasons.js"
import type { TransportError } from "./error.js"

/**
 * What to open.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectRequest {
  /** The full URL, `ws:` or `wss:`. */
  readonly url: string
  /** The subprotocols to offer, in order of preference. */
  readonly protocols: ReadonlyArray<string>
  /** Header fields to send with the upgrade. */
  readonly headers: Readonly<Record<string, string>>
  /** The largest incoming message in bytes; a larger one closes the socket with 1009. */
  readonly maxPayload: number
  /** How long, in milliseconds, a closing handshake that the server began may take. */
  readonly closeTimeout: number
}

/**
 * How a socket ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface CloseInfo {
  /** The close code. */
  readonly code: number
  /** The text that came with it. */
  readonly reason: string
  /** Who ended it. A transport never says `"Pool"`. */
  readonly initiator: Exclude<CloseInitiator, "Pool">
}

/**
 * What a socket reports, each as a synchronous call in the order in which it happened.
 *
 * **Details** `onOpen` comes first, and before `connect` returns, so that no interruption can lose the socket.
 * After `onEnd` comes no message, after `onGone` nothing at all. No call happens inside of a call to the socket's own
 * methods, `destroy` aside.
 *
 * @category models
 * @since 0.1.0
 */
export interface SocketEvents {
  /** The socket is open. At most once. */
  readonly onOpen: (socket: TransportSocket) => void
  /** A message of so many bytes has been read. A binary one shares no memory with anything else. */
  readonly onMessage: (message: Message, bytes: number) => void
  /** The answer to a ping, with the payload of that ping. */
  readonly onPong: (payload: string) => void
  /** Bytes have left the send buffer, where they may have waited or not. */
  readonly onFlush: () => void
  /** The connection has ended: nothing more will be read or written. At most once. */
  readonly onEnd: (info: CloseInfo) => void
  /** The socket is gone, its resources freed. Exactly once for each socket that was opened. */
  readonly onGone: () => void
}

/**
 * An open socket, as the pool drives it. No method throws.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportSocket {
  /** The negotiated subprotocol, `""` if none. */
  readonly protocol: string
  /** `false` from the moment at which either side began to close. */
  readonly isOpen: boolean
  /** Bytes accepted by `send` and not yet flushed to the network. */
  readonly bufferedAmount: number
  /**
   * A sign of life: another number once bytes have been received, those of an unfinished message included, or have
   * left a send buffer in which they had waited. What the network takes at once proves nothing.
   */
  readonly progress: number
  /**
   * Queues a message and returns its size in bytes. The caller may change its array once `send` has returned.
   */
  send(message: Message): number
  /** Queues a ping with this payload. */
  ping(payload: string): void
  /** Stops reading: the server feels it through the network's own flow control. */
  pause(): void
  /** Reads again. */
  resume(): void
  /** Begins the closing handshake. The code is sendable and the reason short enough. */
  close(code: number, reason: string): void
  /** Ends the line at once, without a handshake. `onGone` follows without waiting for the server. */
  destroy(): void
}

/**
 * Opens sockets.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketTransport {
  /**
   * Opens one socket and hands it to `onOpen`. Interrupted or failed before that, it leaves nothing behind; after
   * that the socket is the caller's.
   */
  readonly connect: (request: ConnectRequest, events: SocketEvents) => Effect.Effect<void, TransportError>
  /**
   * Calls a function later in the same turn of the event loop, once all that has arrived is told: what can be done for
   * many messages at once waits for that. Without it, it is done at once.
   */
  readonly defer?: ((f: () => void) => void) | undefined
}

/**
 * The tag of the service.
 *
 * @category tags
 * @since 0.1.0
 */
export const WebSocketTransport: Context.Service<WebSocketTransport, WebSocketTransport> =
  Context.Service<WebSocketTransport>("effect-websocket-pool/WebSocketTransport")
