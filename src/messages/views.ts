/** Views of a lease that carry values. */
import type { NonEmpty } from "#dialect"
import type { Decoder, Encoder } from "#edition/messages/schema"
import type * as Effect from "#effect/Effect"
import type * as Schema from "#effect/Schema"
import type * as Stream from "#effect/Stream"
import type { WebSocketConnection } from "../connection/handle.js"
import type { ConnectionError } from "../values/errors.js"

/**
 * A view of a leased connection in which messages are values: see `schema`.
 *
 * **Errors** A `ParseError` shows where a value does not match and what was expected there. It shows no value, for
 * payloads hold secrets: `<string>` stands for a string, `<key>` for a key that the schema does not name, and the
 * texts with which `JSON.parse` and schemas complain about a value are left out. Annotations such as `message` are
 * shown; they are given the placeholder. A schema that throws, dies, or interrupts itself is a `ParseError`, too.
 *
 * **Gotchas** What it has taken from the connection and not delivered is for it alone: the `receive` of `untyped` goes
 * on behind that. This is so after a `receive` that was interrupted while it decoded, and after a `receiveChunk`
 * that met a message that does not match.
 *
 * @category typed messages
 * @since 0.1.0
 */
export interface TypedConnection<in Send, out Receive, out RSend = never, out RReceive = never>
  extends Pick<WebSocketConnection, "id" | "protocol" | "ping" | "info" | "discard" | "close"> {
  /** The connection that it is a view of. */
  readonly untyped: WebSocketConnection

  /** Encodes a value, then sends it. A value that cannot be encoded is not sent. */
  readonly send: (value: Send) => Effect.Effect<void, ConnectionError | Schema.SchemaError, RSend>

  /**
   * Receives and decodes the next message.
   *
   * **Details** One that does not match fails with `ParseError`; the connection stays as it is, and the next `receive`
   * is for the next message. Interrupted, it loses no message: one that it was about to decode is decoded anew for the
   * next `receive`.
   *
   * **Gotchas** One fiber at a time: a second one fails with `ConnectionBusyError` (`"Receiving"`).
   */
  readonly receive: Effect.Effect<Receive, ConnectionError | Schema.SchemaError, RReceive>

  /**
   * Receives and decodes all messages that are waiting, at least one.
   *
   * **Details** It stops before one that does not match, and fails with `ParseError` if that is the first. So values
   * before it and messages behind it are delivered all the same. Interrupted, it loses no message.
   */
  readonly receiveChunk: Effect.Effect<NonEmpty<Receive>, ConnectionError | Schema.SchemaError, RReceive>

  /**
   * All messages that follow, decoded, each taken only when it is pulled. Fails at one that does not match; a new
   * stream, or `receive`, goes on behind it. Ends when the connection is closed with 1000 or 1005.
   */
  readonly messages: Stream.Stream<Receive, ConnectionError | Schema.SchemaError, RReceive>
}

/**
 * What is sent and what is received on a typed connection.
 *
 * @category typed messages
 * @since 0.1.0
 */
export interface Schemas<A, IA, RA, B, IB, RB> {
  /** Encodes what is sent. */
  readonly send: Encoder<A, IA, RA>
  /** Decodes what is received. */
  readonly receive: Decoder<B, IB, RB>
}

/**
 * What `request` needs of a connection. A `WebSocketConnection` has it, and a `TypedConnection`.
 *
 * @category requests
 * @since 0.1.0
 */
export interface Exchange<in Send, out Receive, out ESend, out EReceive, out RSend, out RReceive>
  extends Pick<WebSocketConnection, "id" | "discard"> {
  /** The connection underneath, if this is a view of one. */
  readonly untyped?: WebSocketConnection
  /** Sends a message. */
  readonly send: (message: Send) => Effect.Effect<void, ESend, RSend>
  /** Receives the next message. */
  readonly receive: Effect.Effect<Receive, EReceive, RReceive>
}

/**
 * The options of `request`.
 *
 * @category requests
 * @since 0.1.0
 */
export interface RequestOptions<in Receive> {
  /** Whether a message is the last one of the answer. Default: the first one is. */
  readonly until?: ((message: Receive) => boolean) | undefined
}
