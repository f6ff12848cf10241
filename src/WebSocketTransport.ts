/**
 * The service that opens sockets: the one seam between the pool and the network.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as memory from "./internal/memoryTransport.js"
import type { TransportError } from "./internal/transportError.js"
import type { CloseInitiator, ConnectionClosedError } from "./PoolError.js"

/**
 * A WebSocket message: text as a `string`, binary as a plain `Uint8Array`.
 *
 * @category models
 * @since 0.1.0
 */
export type Message = string | Uint8Array

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

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  TransportError
} from "./internal/transportError.js"

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
export const WebSocketTransport: Context.Tag<WebSocketTransport, WebSocketTransport> =
  Context.GenericTag<WebSocketTransport>("effect-websocket-pool/WebSocketTransport")

/**
 * The server's end of an in-memory connection.
 *
 * @category memory
 * @since 0.1.0
 */
export interface MemoryPeer {
  /** The URL that the client asked for. */
  readonly url: string
  /** The header fields that the client sent; each is found by its name in lower case and as it was given. */
  readonly headers: Readonly<Record<string, string>>
  /** The negotiated subprotocol: the first that the client offered, `""` if none. */
  readonly protocol: string
  /** Sends a message to the client; waits while the client has stopped reading. */
  readonly send: (message: Message) => Effect.Effect<void, ConnectionClosedError>
  /** The client's next message; fails once the client has closed and all has been read. */
  readonly receive: Effect.Effect<Message, ConnectionClosedError>
  /** Begins the closing handshake (1000 unless told otherwise). */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** Cuts the line: the client sees 1006. */
  readonly destroy: Effect.Effect<void>
  /** Makes the line half-open: from now on nothing gets through, in either direction, not even its end. */
  readonly silence: Effect.Effect<void>
}

/**
 * What the client asks of an in-memory server in the handshake.
 *
 * @category memory
 * @since 0.1.0
 */
export interface MemoryHandshake {
  /** The URL that the client asks for. */
  readonly url: string
  /** The header fields that the client sends; each is found by its name in lower case and as it was given. */
  readonly headers: Readonly<Record<string, string>>
  /** The subprotocols that the client offers. */
  readonly protocols: ReadonlyArray<string>
}

/**
 * How an in-memory server refuses an upgrade.
 *
 * @category memory
 * @since 0.2.0
 */
export interface MemoryRefusal {
  /** The HTTP status. */
  readonly status: number
  /** How long the client is asked to wait (`Retry-After`). It counts with 408, 425, 429 and 503. Default: not said. */
  readonly retryAfter?: Duration.DurationInput | undefined
}

/**
 * A transport that connects to a server written as an `Effect` in the same process.
 *
 * **Details** `handler` runs once for each open connection, in a scope of its own. When it ends, the server
 * closes the connection: with 1000, or 1011 if it failed. `accept` runs in the handshake: it may take its
 * time, and failing refuses the upgrade with that HTTP status (a number, or `{ status, retryAfter }`). There is no
 * network; all waiting is on the `Clock` in use, so that `TestClock` drives it.
 *
 * Bytes that the handler has not received yet count as not yet flushed, so a handler that does not receive
 * makes the client's `send` wait once `sendBuffer` is full. Pings are answered unless the peer is silent.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * // It greets, answers one question, and closes with 1000.
 * const Server = WebSocketTransport.layerMemory(
 *   (peer) =>
 *     Effect.gen(function* () {
 *       yield* peer.send("welcome")
 *       const question = yield* peer.receive
 *       yield* peer.send(`you said ${question}`)
 *     }),
 *   { accept: ({ headers }) => (headers.authorization === "Bearer 1" ? Effect.void : Effect.fail(401)) }
 * )
 *
 * const Live = WebSocketPool.layer({
 *   url: "ws://server.test",
 *   headers: { authorization: "Bearer 1" },
 *   onConnect: (connection) => connection.receive
 * }).pipe(Layer.provide(Server))
 *
 * const program = WebSocketPool.use((connection) => Effect.zipRight(connection.send("hi"), connection.receive))
 *
 * Effect.runPromise(Effect.provide(program, Live)).then((answer) => {
 *   console.log(answer) // you said hi
 * })
 * ```
 *
 * @category memory
 * @since 0.1.0
 */
export const layerMemory: <E, R>(
  handler: (peer: MemoryPeer) => Effect.Effect<unknown, E, R>,
  options?: {
    readonly accept?: ((handshake: MemoryHandshake) => Effect.Effect<unknown, number | MemoryRefusal>) | undefined
  }
) => Layer.Layer<WebSocketTransport, never, Exclude<R, Scope.Scope>> = memory.layer(WebSocketTransport)
