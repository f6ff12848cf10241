/** The errors of a pool and of its connections. */
import * as Data from "#effect/Data"
import type * as Duration from "#effect/Duration"
import * as messages from "./errorMessages.js"
import type { OldestLease } from "./oldestLease.js"
import type { QuotaStats } from "./quotaStats.js"
import type { CloseInitiator, QuotaFailureReason } from "./reasons.js"
import type { PoolStats } from "./stats.js"
import { ConnectionUnavailableError } from "./unavailable.js"

export { ConnectionUnavailableError } from "./unavailable.js"

/**
 * The pool is at its limit, with leases out, and nothing came free.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolExhaustedError extends Data.TaggedError("PoolExhaustedError")<{
  /** The pool's name. */
  readonly pool: string
  /**
   * `"AcquireTimeout"`: `acquireTimeout` has passed. `"TooManyWaiters"`: `maxWaiters` were waiting already. `"Quota"`:
   * `acquireTimeout` has passed while the permit of the quota for this `get` was in line.
   */
  readonly reason: "AcquireTimeout" | "TooManyWaiters" | "Quota"
  /** The pool at that moment; `waiting` counts this `get`, too. */
  readonly stats: PoolStats
  /** How long this `get` has waited; 0 for `"TooManyWaiters"`. */
  readonly waited: Duration.Duration
  /** The limit that was met: the `acquireTimeout`, or for `"TooManyWaiters"` the `maxWaiters`. */
  readonly limit: Duration.Duration | number
  /** The lease that is held for longest. Without one, draining connections stood in the way. */
  readonly oldestLease?: OldestLease | undefined
  /** The latest failed connect, if none has succeeded since. */
  readonly lastFailure?: ConnectionUnavailableError | undefined
  /** What was known of the fleet, for `"Quota"`. */
  readonly quota?: QuotaStats | undefined
}> {
  override get message(): string {
    return messages.exhausted(this)
  }
}

/**
 * The pool is closing or closed.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolClosedError extends Data.TaggedError("PoolClosedError")<{
  /** The pool's name. */
  readonly pool: string
}> {
  override get message(): string {
    return `Pool "${this.pool}" is closed: its layer or scope has been released, or close was called`
  }
}

/**
 * A send, receive or ping on a connection that is closed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionClosedError extends Data.TaggedError("ConnectionClosedError")<{
  /** The socket's identity. */
  readonly connectionId: string
  /** The close code of RFC 6455; 1005 when the server gave none, 1006 when the line was lost. */
  readonly code: number
  /** The text that came with the code. */
  readonly reason: string
  /** Who ended it. */
  readonly initiator: CloseInitiator
}> {
  override get message(): string {
    return messages.closed(this)
  }
}

/**
 * The lease is over, or another fiber is receiving on the connection right now.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionBusyError extends Data.TaggedError("ConnectionBusyError")<{
  /** The socket's identity. */
  readonly connectionId: string
  /** `"Released"`: the lease is over. `"Receiving"`: a second `receive` at the same time. */
  readonly reason: "Released" | "Receiving"
}> {
  override get message(): string {
    return this.reason === "Released"
      ? `The lease of connection ${this.connectionId} is over: use a connection only while the scope of its get is open`
      : `Connection ${this.connectionId} is being received on by another fiber: receive in one fiber at a time`
  }
}

/**
 * A stream of a `Multiplexer` has left more items unread than it may. It comes after those that were kept.
 *
 * @category errors
 * @since 3.0.0
 */
export class LaggedError extends Data.TaggedError("LaggedError")<{
  /** The socket's identity. */
  readonly connectionId: string
  /** How many items may be left unread. */
  readonly bufferSize: number
}> {
  override get message(): string {
    return (
      `A stream over connection ${this.connectionId} was ended, since its reader had left ${this.bufferSize} items unread: ` +
      'read faster, raise bufferSize, or let it miss items with overflow "slide"'
    )
  }
}

/**
 * The engine of a quota cannot be asked.
 *
 * **Details** Its cause shows neither a password nor the user info of a URL.
 *
 * @category errors
 * @since 3.0.0
 */
export class QuotaUnavailableError extends Data.TaggedError("QuotaUnavailableError")<{
  /** The quota's name. */
  readonly quota: string
  /** What went wrong. */
  readonly reason: QuotaFailureReason
  /** What lies underneath. */
  readonly cause: unknown
}> {
  override get message(): string {
    return messages.quotaUnavailable(this)
  }
}

/**
 * What `get` and `use` fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type AcquireError = PoolExhaustedError | PoolClosedError | ConnectionUnavailableError

/**
 * What the operations of a leased connection fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionError = ConnectionClosedError | ConnectionBusyError

/**
 * Every error of this library.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolError = AcquireError | ConnectionError

/**
 * Tells whether a value is one of this library's errors.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PoolError, WebSocketPool } from "effect-websocket-pool"
 *
 * declare const parse: (text: string) => Effect.Effect<number, SyntaxError>
 *
 * // What the pool fails with becomes undefined, what `parse` fails with stays.
 * const program = WebSocketPool.use((connection) => Effect.flatMap(Effect.map(connection.receive, String), parse)).pipe(
 *   Effect.catchIf(PoolError.isPoolError, (error) => Effect.as(Effect.logWarning(error.message), undefined))
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isPoolError = (u: unknown): u is PoolError =>
  u instanceof PoolExhaustedError ||
  u instanceof PoolClosedError ||
  u instanceof ConnectionUnavailableError ||
  u instanceof ConnectionClosedError ||
  u instanceof ConnectionBusyError
