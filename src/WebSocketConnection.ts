/**
 * A leased WebSocket connection.
 *
 * @since 0.1.0
 */
import type * as Socket from "@effect/platform/Socket"
import type * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import * as lease from "./internal/lease.js"
import * as exchange from "./internal/request.js"
import * as socket from "./internal/toSocket.js"
import * as typed from "./internal/typedConnection.js"
import type { ConnectionBusyError, ConnectionError } from "./PoolError.js"
import type { Message } from "./WebSocketTransport.js"

export type {
  /**
   * @category models
   * @since 0.2.0
   */
  Message
} from "./WebSocketTransport.js"

/**
 * The mark by which a `WebSocketConnection` is known.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: unique symbol = lease.TypeId as TypeId

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
  readonly receiveChunk: Effect.Effect<Chunk.NonEmptyChunk<Message>, ConnectionError>

  /**
   * All messages that follow, each taken only when it is pulled, so that what `Stream.take` leaves is there for
   * `receive`. Ends when the connection is closed with 1000 or 1005, fails when it is closed otherwise.
   */
  readonly messages: Stream.Stream<Message, ConnectionError>

  /** Measures a round trip. A line on which nothing moves for `pingTimeout` is dead, and closed. */
  readonly ping: Effect.Effect<Duration.Duration, ConnectionError>

  /** What is known of the connection. It answers even when the lease is over. */
  readonly info: Effect.Effect<ConnectionInfo>

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

/**
 * Tells whether a value is a `WebSocketConnection`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWebSocketConnection: (u: unknown) => u is WebSocketConnection = lease.isWebSocketConnection

/**
 * The lease as a `Socket` of `@effect/platform`.
 *
 * **Details** `run` receives until the connection closes: it ends at 1000 and 1005 and fails with
 * `SocketCloseError` at any other code. Handlers run one after the other, so that a slow one holds the server
 * back. Writing a `CloseEvent` closes the connection.
 *
 * **Gotchas** The lease ends with the scope of its `get`, not with `run`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
 *
 * const program = WebSocketPool.use((connection) =>
 *   WebSocketConnection.toSocket(connection).runRaw((data) => Effect.log(data))
 * )
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toSocket: (self: WebSocketConnection) => Socket.Socket = socket.toSocket

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
  readonly send: (value: Send) => Effect.Effect<void, ConnectionError | ParseResult.ParseError, RSend>

  /**
   * Receives and decodes the next message.
   *
   * **Details** One that does not match fails with `ParseError`; the connection stays as it is, and the next `receive`
   * is for the next message. Interrupted, it loses no message: one that it was about to decode is decoded anew for the
   * next `receive`.
   *
   * **Gotchas** One fiber at a time: a second one fails with `ConnectionBusyError` (`"Receiving"`).
   */
  readonly receive: Effect.Effect<Receive, ConnectionError | ParseResult.ParseError, RReceive>

  /**
   * Receives and decodes all messages that are waiting, at least one.
   *
   * **Details** It stops before one that does not match, and fails with `ParseError` if that is the first. So values
   * before it and messages behind it are delivered all the same. Interrupted, it loses no message.
   */
  readonly receiveChunk: Effect.Effect<Chunk.NonEmptyChunk<Receive>, ConnectionError | ParseResult.ParseError, RReceive>

  /**
   * All messages that follow, decoded, each taken only when it is pulled. Fails at one that does not match; a new
   * stream, or `receive`, goes on behind it. Ends when the connection is closed with 1000 or 1005.
   */
  readonly messages: Stream.Stream<Receive, ConnectionError | ParseResult.ParseError, RReceive>
}

/**
 * What is sent and what is received on a typed connection.
 *
 * @category typed messages
 * @since 0.1.0
 */
export interface Schemas<A, IA, RA, B, IB, RB> {
  /** Encodes what is sent. */
  readonly send: Schema.Schema<A, IA, RA>
  /** Decodes what is received. */
  readonly receive: Schema.Schema<B, IB, RB>
}

/**
 * Gives messages types: encodes and decodes JSON through schemas.
 *
 * **Details** It sends text. It receives text, and binary messages as UTF-8. Several views of one lease may be made;
 * they share what is undelivered.
 *
 * **Errors** `ParseError` for a value that does not match, without showing it: see `TypedConnection`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { WebSocketConnection, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const Question = Schema.Struct({ city: Schema.String })
 * const Answer = Schema.Struct({ celsius: Schema.Number, at: Schema.Date })
 *
 * const program = WebSocketPool.use((connection) => {
 *   const weather = WebSocketConnection.schema(connection, { send: Question, receive: Answer })
 *   return Effect.zipRight(weather.send({ city: "Oslo" }), weather.receive)
 * })
 *
 * const server = WebSocketTransport.layerMemory((peer) =>
 *   Effect.zipRight(peer.receive, peer.send('{"celsius":7,"at":"2024-03-01T12:00:00Z"}'))
 * )
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(WebSocketPool.layer({ url: "ws://weather" }).pipe(Layer.provide(server))))
 * ).then(({ at, celsius }) => {
 *   console.log(celsius, at.getUTCFullYear()) // 7 2024
 * })
 * ```
 *
 * @category typed messages
 * @since 0.1.0
 */
export const schema: {
  <A, IA, RA, B, IB, RB>(
    schemas: Schemas<A, IA, RA, B, IB, RB>
  ): (self: WebSocketConnection) => TypedConnection<A, B, RA, RB>
  <A, IA, RA, B, IB, RB>(
    self: WebSocketConnection,
    schemas: Schemas<A, IA, RA, B, IB, RB>
  ): TypedConnection<A, B, RA, RB>
} = dual(2, typed.json)

/**
 * `schema` for any other format: the schemas themselves encode to, and decode from, whole messages.
 *
 * **Details** For MessagePack they are those of `MsgPack.schema` of `@effect/platform`. A message of the wrong kind,
 * such as text where a schema decodes binary, does not match.
 *
 * **Errors** `ParseError` for a value that does not match, without showing it: see `TypedConnection`.
 *
 * @example
 * ```ts
 * import { MsgPack } from "@effect/platform"
 * import { Effect, Layer, Schema } from "effect"
 * import { WebSocketConnection, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const Point = MsgPack.schema(Schema.Struct({ x: Schema.Number, y: Schema.Number }))
 *
 * const program = WebSocketPool.use((connection) => {
 *   const points = WebSocketConnection.schemaMessage(connection, { send: Point, receive: Point })
 *   return Effect.zipRight(points.send({ x: 1, y: 2 }), points.receive)
 * })
 *
 * const echo = WebSocketTransport.layerMemory((peer) => Effect.flatMap(peer.receive, peer.send))
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(WebSocketPool.layer({ url: "ws://echo" }).pipe(Layer.provide(echo))))
 * ).then(({ x, y }) => {
 *   console.log(x, y) // 1 2
 * })
 * ```
 *
 * @category typed messages
 * @since 0.1.0
 */
export const schemaMessage: {
  <A, IA extends Message, RA, B, IB extends Message, RB>(
    schemas: Schemas<A, IA, RA, B, IB, RB>
  ): (self: WebSocketConnection) => TypedConnection<A, B, RA, RB>
  <A, IA extends Message, RA, B, IB extends Message, RB>(
    self: WebSocketConnection,
    schemas: Schemas<A, IA, RA, B, IB, RB>
  ): TypedConnection<A, B, RA, RB>
} = dual(2, typed.message)

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

/**
 * Sends a message and receives the answer: all messages up to the first for which `until` holds, that one included.
 *
 * **Details** When it fails or is interrupted after it began to send, the connection is discarded: the rest of the
 * answer may still be on its way. It bounds neither the time nor the number of messages; `Effect.timeout` does.
 *
 * **Errors** Those of `send` and `receive`. `ConnectionBusyError` (`"Receiving"`) while another request is under way
 * on the connection: then nothing is sent, and the other one is not disturbed. `ParseError` if `until` throws.
 *
 * **Gotchas** Messages that are waiting already count as the answer.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketConnection, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const program = WebSocketPool.use((connection) =>
 *   WebSocketConnection.request(connection, "list", { until: (message) => message === "end" })
 * )
 *
 * const server = WebSocketTransport.layerMemory((peer) =>
 *   Effect.zipRight(peer.receive, Effect.forEach(["apples", "pears", "end"], (line) => peer.send(line)))
 * )
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(WebSocketPool.layer({ url: "ws://shop" }).pipe(Layer.provide(server))))
 * ).then((messages) => {
 *   console.log(Array.from(messages).join(", ")) // apples, pears, end
 * })
 * ```
 *
 * @category requests
 * @since 0.1.0
 */
export const request: {
  <const Send, Receive>(
    message: Send,
    options?: RequestOptions<Receive>
  ): <A extends Receive, ESend, EReceive, RSend, RReceive>(
    self: Exchange<Send, A, ESend, EReceive, RSend, RReceive>
  ) => Effect.Effect<
    Chunk.NonEmptyChunk<A>,
    ESend | EReceive | ConnectionBusyError | ParseResult.ParseError,
    RSend | RReceive
  >
  <Send, Receive, ESend, EReceive, RSend, RReceive>(
    self: Exchange<Send, Receive, ESend, EReceive, RSend, RReceive>,
    message: Types.NoInfer<Send>,
    options?: RequestOptions<Types.NoInfer<Receive>>
  ): Effect.Effect<
    Chunk.NonEmptyChunk<Receive>,
    ESend | EReceive | ConnectionBusyError | ParseResult.ParseError,
    RSend | RReceive
  >
} = dual((args) => exchange.isExchange(args[0]), exchange.request)
