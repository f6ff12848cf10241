/** The service, as its users see it. */
import type * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import type * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type { WebSocketConnection } from "../connection/handle.js"
import type { AcquireError, ConnectionError, ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import type { PoolEvent } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { PoolStats } from "../values/stats.js"

/**
 * A pool of WebSocket connections to one server.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketPool {
  /**
   * Leases a connection until the current `Scope` closes.
   *
   * **Details** Waits up to `acquireTimeout` (30 seconds). First come, first served.
   *
   * **Errors** `PoolExhaustedError`: none was free in time. `PoolClosedError`: the pool was closed.
   * `ConnectionUnavailableError`: the server could not be reached.
   *
   * **Gotchas** The lease ends with the scope, not with the last message.
   */
  readonly get: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope>

  /**
   * Leases a connection that is opened for this lease; it joins the pool afterwards.
   *
   * **Details** It waits in the same line. In its turn, at the limit, it closes a draining connection or the least
   * recently used idle one, else the next one given back, and opens its own once that socket is gone.
   */
  readonly getNew: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope>

  /** Leases a connection for the length of one effect: the fast path. */
  readonly use: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R>

  /** `use` with a connection that is opened for this lease. */
  readonly useNew: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R>

  /**
   * Sends a message and receives the next one, on a connection that is leased for just that.
   *
   * **Details** It means what `use` with `send`, then `receive`, means, and costs less: the fiber waits once. While no
   * connection is free the message stands in line, and the pool writes it when its turn comes.
   *
   * **Errors** Those of `get`. `ConnectionClosedError`: the connection ended before the reply came.
   *
   * **Gotchas** Interrupted, it ends as `use` does: its connection is closed (`discardOn`), at the latest 100 ms later, so that
   * a late reply reaches nobody. Interrupted before its message was written, it leaves nothing behind. A greeting of the
   * server counts as the reply. The bytes of a binary message have to stay as they are until the reply is there.
   */
  readonly ask: (message: Message) => Effect.Effect<Message, AcquireError | ConnectionError>

  /** A consistent snapshot. */
  readonly stats: Effect.Effect<PoolStats>

  /** What happens from the subscription on, to the end of the pool. One who lags behind gets the latest 1,024. */
  readonly events: Stream.Stream<PoolEvent>

  /** Waits until `minConnections` are open. Fails when a whole round of retries has failed. */
  readonly ready: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError>

  /**
   * Changes the limits. Shrinking closes draining connections first, then the least recently used idle ones, then
   * leased ones when they are given back.
   */
  readonly resize: (limits: {
    readonly minConnections?: number | undefined
    readonly maxConnections?: number | undefined
  }) => Effect.Effect<void, Config.ConfigError>

  /** Replaces every connection: idle and draining ones now, leased ones when given back, connecting ones when ready. */
  readonly refresh: Effect.Effect<void>

  /**
   * Shuts the pool down, as closing its scope does.
   *
   * **Details** Waiting `get`s fail at once. Leases have `shutdownTimeout` (5 seconds), sockets `closeTimeout`
   * (2 seconds) more. Interrupting it does not stop it.
   */
  readonly close: Effect.Effect<void>
}

/**
 * The tag of the pool, for programs that have one.
 *
 * @category tags
 * @since 0.1.0
 */
export const WebSocketPool: Context.Service<WebSocketPool, WebSocketPool> = Context.Service<WebSocketPool>(
  "effect-websocket-pool/WebSocketPool"
)
