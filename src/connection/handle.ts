/** A lease of a connection, as its holder sees it. */
import type { NonEmpty } from "#dialect"
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import type * as Stream from "#effect/Stream"
import type { ConnectionError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"

/**
 * The mark by which a `WebSocketConnection` is known.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: unique symbol = Symbol.for("effect-websocket-pool/WebSocketConnection")

/**
 * The type of that mark.
 *
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = typeof TypeId

/**
 * Where a connection stands.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionState = "connecting" | "idle" | "busy" | "draining" | "closing" | "closed"

/**
 * What is known of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionInfo {
  /** The socket's identity. */
  readonly id: string
  /** Where it stands. */
  readonly state: ConnectionState
  /** Whether the pool wants it back: see `WebSocketConnection.retiring`. */
  readonly isRetiring: boolean
  /** When it was opened, in milliseconds since the epoch. */
  readonly openedAt: number
  /** When it last sent or received something, in milliseconds since the epoch. */
  readonly lastActivityAt: number
  /** How many leases it has had, the current one included. */
  readonly leases: number
  /** Messages sent since it was opened, over all leases. */
  readonly messagesSent: number
  /** Messages received since it was opened, over all leases. */
  readonly messagesReceived: number
  /** Payload bytes sent since it was opened, over all leases. */
  readonly bytesSent: number
  /** Payload bytes received since it was opened, over all leases. */
  readonly bytesReceived: number
}

/**
 * A connection, leased. Every `get` gives a handle of its own.
 *
 * **Gotchas** Once the lease is over, its operations fail with `ConnectionBusyError` (`"Released"`), `discard`
 * and `close` do nothing, and none of them touches what the next holder sends and receives.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketConnection {
  readonly [TypeId]: TypeId

  /** The socket's identity, the same over all its leases. */
  readonly id: string

  /** The negotiated subprotocol, `""` if none. */
  readonly protocol: string

  /**
   * Sends a message: done when the socket has accepted it, in order.
   *
   * **Details** It waits while more than `sendBuffer` bytes are not flushed yet. Interrupted, the message was
   * accepted wholly or not at all.
   *
   * **Gotchas** Where no compiler looks, anything but a string or a `Uint8Array` dies with a `TypeError`. Nothing is sent,
   * and the connection stays as it was.
   */
  readonly send: (message: Message) => Effect.Effect<void, ConnectionError>

  /**
   * Receives the next message: text as `string`, binary as `Uint8Array`.
   *
   * **Details** Messages read before the connection closed come first, then `ConnectionClosedError`.
   * Interrupted, it loses nothing.
   *
   * **Gotchas** One fiber at a time: a second one fails with `ConnectionBusyError` (`"Receiving"`).
   */
  readonly receive: Effect.Effect<Message, ConnectionError>

  /** Receives all messages that are waiting, at least one. */
  readonly receiveChunk: Effect.Effect<NonEmpty<Message>, ConnectionError>

  /**
   * All messages that follow, each taken only when it is pulled, so that what `Stream.take` leaves is there for
   * `receive`. Ends when the connection is closed with 1000 or 1005, fails when it is closed otherwise.
   */
  readonly messages: Stream.Stream<Message, ConnectionError>

  /** Measures a round trip. A line on which nothing moves for `pingTimeout` is dead, and closed. */
  readonly ping: Effect.Effect<Duration.Duration, ConnectionError>

  /** What is known of the connection. It answers even when the lease is over. */
  readonly info: Effect.Effect<ConnectionInfo>

  /**
   * Completes once the pool wants the connection back, with the reason: at once if it does already, and never after the
   * lease is over.
   *
   * **Details** A connection retires when it is as old as `connectionTTL`, at `refresh`, when `resize` has left too many
   * (those leased for longest first), and when the pool closes. Nothing else about the lease changes, and there is no
   * deadline but `shutdownTimeout` when the pool closes. Given back, the connection is closed; one that was too many
   * stays if others have made room meanwhile.
   *
   * **Gotchas** A connection that is lost does not retire: `receive` and `send` fail.
   *
   * @example
   * ```ts
   * import { Effect } from "effect"
   * import { WebSocketPool } from "effect-websocket-pool"
   *
   * // A subscription for hours that lets refresh, connectionTTL and close have their way.
   * const listen = WebSocketPool.use((connection) =>
   *   Effect.raceFirst(
   *     Effect.forever(Effect.flatMap(connection.receive, (message) => Effect.log(message))),
   *     connection.retiring
   *   )
   * ).pipe(Effect.forever)
   * ```
   *
   * @since 3.0.0
   */
  readonly retiring: Effect.Effect<CloseReason>

  /** Closes the connection at release instead of reusing it. */
  readonly discard: Effect.Effect<void>

  /**
   * Begins the closing handshake now; it does not wait for the answer.
   *
   * **Details** The code is 1000 unless given; one that may not be sent becomes 1000. The reason is cut to 123
   * bytes. If nobody answers within `closeTimeout` the socket is destroyed.
   */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
}
