/**
 * The transport for Node.js: it opens sockets with the package `ws`.
 *
 * @since 0.1.0
 */
import * as Layer from "#effect/Layer"
import type { Options } from "./transport/node/options.js"
import * as internal from "./transport/node/transport.js"
import { WebSocketTransport } from "./WebSocketTransport.js"

export type { Options, PerMessageDeflateOptions } from "./transport/node/options.js"

/**
 * Makes the transport, as a value. `layer` provides it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): WebSocketTransport => internal.make(options)

/**
 * Provides the transport.
 *
 * **Details** Connecting fails with a `TransportError` whose `cause` tells name, code and message of what went
 * wrong, without a header value and without user info or query string of a URL. Its connections resume each other's TLS
 * sessions where the server's certificate would be checked in the same way, and until that expires; never with
 * `checkServerIdentity`, an `agent` or `rejectUnauthorized: false`. Bad options show at
 * the first connect: a certificate or key as `"Tls"`, anything else, including an option that does not exist, as `"Setup"`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import { NodeWebSocketTransport } from "effect-websocket-pool/node"
 *
 * const Live = WebSocketPool.layer({ url: "wss://intranet.example" }).pipe(
 *   Layer.provide(NodeWebSocketTransport.layer({ perMessageDeflate: true }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<WebSocketTransport> =>
  Layer.sync(WebSocketTransport, () => make(options))
