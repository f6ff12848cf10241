/**
 * The service that opens sockets: the one seam between the pool and the network.
 *
 * @since 0.1.0
 */
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import * as memory from "./transport/memory/layer.js"
import type { MemoryHandshake, MemoryPeer, MemoryRefusal } from "./transport/memory/peer.js"
import { WebSocketTransport } from "./transport/seam.js"

export { TransportError } from "./transport/error.js"
export type { MemoryHandshake, MemoryPeer, MemoryRefusal } from "./transport/memory/peer.js"
export {
  type CloseInfo,
  type ConnectRequest,
  type SocketEvents,
  type TransportSocket,
  WebSocketTransport
} from "./transport/seam.js"
export type { Message } from "./values/message.js"

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
 * const program = WebSocketPool.use((connection) => Effect.andThen(connection.send("hi"), connection.receive))
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
