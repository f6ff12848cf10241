/**
 * A leased WebSocket connection.
 *
 * @since 0.1.0
 */
import type { NonEmpty } from "#dialect"
import { toSocket as makeSocket, type Socket } from "#edition/connection/toSocket"
import type * as Effect from "#effect/Effect"
import { dual } from "#effect/Function"
import type * as Schema from "#effect/Schema"
import type * as Types from "#effect/Types"
import type { WebSocketConnection } from "./connection/handle.js"
import * as lease from "./connection/lease.js"
import * as exchange from "./messages/request.js"
import * as typed from "./messages/typed.js"
import type { Exchange, RequestOptions, Schemas, TypedConnection } from "./messages/views.js"
import type { ConnectionBusyError } from "./PoolError.js"
import type { Message } from "./WebSocketTransport.js"

export { type ConnectionInfo, type ConnectionState, TypeId, type WebSocketConnection } from "./connection/handle.js"
export type { Exchange, RequestOptions, Schemas, TypedConnection } from "./messages/views.js"
export type {
  /**
   * @category models
   * @since 3.0.0
   */
  Message
} from "./WebSocketTransport.js"

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
 * **Effect 4**
 *
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
 *
 * const program = Effect.gen(function* () {
 *   const socket = WebSocketConnection.toSocket(yield* WebSocketPool.get)
 *   const { pull } = yield* socket.reader
 *   yield* Effect.forever(Effect.flatMap(pull, (messages) => Effect.log(...messages)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * **Effect 3**
 *
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
export const toSocket: (self: WebSocketConnection) => Socket = makeSocket

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
 * const Answer = Schema.Struct({ celsius: Schema.Number, wind: Schema.NumberFromString })
 *
 * const program = WebSocketPool.use((connection) => {
 *   const weather = WebSocketConnection.schema(connection, { send: Question, receive: Answer })
 *   return Effect.andThen(weather.send({ city: "Oslo" }), weather.receive)
 * })
 *
 * const server = WebSocketTransport.layerMemory((peer) =>
 *   Effect.andThen(peer.receive, peer.send('{"celsius":7,"wind":"12"}'))
 * )
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(WebSocketPool.layer({ url: "ws://weather" }).pipe(Layer.provide(server))))
 * ).then(({ celsius, wind }) => {
 *   console.log(celsius, wind) // 7 12
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
 * import { Effect, Layer, Schema } from "effect"
 * import { WebSocketConnection, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * // A number is a message: its digits.
 * const Count = Schema.NumberFromString
 *
 * const program = WebSocketPool.use((connection) => {
 *   const counts = WebSocketConnection.schemaMessage(connection, { send: Count, receive: Count })
 *   return Effect.andThen(counts.send(12), counts.receive)
 * })
 *
 * const echo = WebSocketTransport.layerMemory((peer) => Effect.flatMap(peer.receive, peer.send))
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(WebSocketPool.layer({ url: "ws://echo" }).pipe(Layer.provide(echo))))
 * ).then((count) => {
 *   console.log(count + 1) // 13
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
 *   Effect.andThen(peer.receive, Effect.forEach(["apples", "pears", "end"], (line) => peer.send(line)))
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
  ) => Effect.Effect<NonEmpty<A>, ESend | EReceive | ConnectionBusyError | Schema.SchemaError, RSend | RReceive>
  <Send, Receive, ESend, EReceive, RSend, RReceive>(
    self: Exchange<Send, Receive, ESend, EReceive, RSend, RReceive>,
    message: Types.NoInfer<Send>,
    options?: RequestOptions<Types.NoInfer<Receive>>
  ): Effect.Effect<NonEmpty<Receive>, ESend | EReceive | ConnectionBusyError | Schema.SchemaError, RSend | RReceive>
} = dual((args) => exchange.isExchange(args[0]), exchange.request)
