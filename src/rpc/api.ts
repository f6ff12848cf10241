/** The protocol, as its users see it. */
import type * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import type { WebSocketPool } from "../pool/api.js"

/**
 * The options of the protocol: those of a multiplexer that mean something to it.
 *
 * @category options
 * @since 3.0.0
 */
export interface Options<Pool = WebSocketPool> {
  /** Calls and streams without an end on one connection. Default: 100. */
  readonly concurrency?: number | undefined
  /** The part of `concurrency`, above 0 and up to 1, to which a connection is filled before another is leased. Default: 0.5. */
  readonly targetUtilization?: number | undefined
  /** Connections that are kept leased. Default: 0. */
  readonly minConnections?: number | undefined
  /** Connections that are leased at once, retiring ones included. Default: infinity, so that the pool's own limit counts. */
  readonly maxConnections?: number | undefined
  /** How long a connection stays leased without a call. Default: 10 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long calls and streams may go on over a connection that retires. Default: 30 seconds. */
  readonly retireTimeout?: Duration.Input | undefined
  /** The tag of the pool. Default: `WebSocketPool`. */
  readonly pool?: Context.Key<Pool, WebSocketPool> | undefined
}
