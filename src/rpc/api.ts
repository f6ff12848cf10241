/** The protocol, as its users see it. */
import type { WebSocketPool } from "../pool/api.js"
import type { Options as MultiplexerOptions } from "../requests/api.js"

/**
 * The options of the protocol: those of a multiplexer that mean something to it.
 *
 * **Details** `concurrency` (100) calls go over one connection at most, streams included. Connections are filled to
 * `targetUtilization` (0.5) of that before another is leased; from `minConnections` (0) to `maxConnections` (infinity, so
 * that the pool's own limit counts) are leased at once, and one goes back after `idleTimeout` (10 seconds) without a call.
 * Calls and streams may go on for `retireTimeout` (30 seconds) on a connection that retires. `pool` is the tag of the
 * pool (`WebSocketPool`).
 *
 * @category options
 * @since 0.2.0
 */
export interface Options<Pool = WebSocketPool>
  extends Pick<
    MultiplexerOptions<never, unknown, unknown, never, Pool>,
    "concurrency" | "targetUtilization" | "minConnections" | "maxConnections" | "idleTimeout" | "retireTimeout" | "pool"
  > {}
