/** The statistics of a pool. */
import type * as Duration from "#effect/Duration"
import type { OldestLease } from "./oldestLease.js"
import type { CloseReason } from "./reasons.js"
import type { ConnectionUnavailableError } from "./unavailable.js"

export type { OldestLease } from "./oldestLease.js"

/**
 * A server that cannot be reached.
 *
 * **Details** It begins with a failed attempt to connect and ends with the next connection that opens. An outage that
 * begins within 10 seconds of the end of the last one continues it.
 *
 * @category models
 * @since 3.0.0
 */
export interface Outage {
  /** When it began, in milliseconds since the epoch, by the `Clock`. */
  readonly since: number
  /** Attempts that have failed since then, retries included. */
  readonly attempts: number
  /** What the latest of them failed with. */
  readonly lastFailure: ConnectionUnavailableError
}

/**
 * A consistent snapshot of a pool.
 *
 * **Details** `total = idle + busy + draining + connecting + closing`, and `total` never exceeds
 * `maxConnections` (after shrinking with `resize`: as soon as the leases allow).
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolStats {
  /** Whether the pool still leases (`"open"`), is shutting down, or is gone. */
  readonly state: "open" | "closing" | "closed"
  /** The lower limit now in force. */
  readonly minConnections: number
  /** The upper limit now in force. */
  readonly maxConnections: number

  /** Connections that exist now, in whatever state. */
  readonly total: number
  /** Open and free to be leased. */
  readonly idle: number
  /** Leased, or being checked before they are. */
  readonly busy: number
  /** Given back and not yet fit for the next lease. */
  readonly draining: number
  /** Being opened, `onConnect` included. */
  readonly connecting: number
  /** Those of `connecting` that wait for a permit of the quota. 0 without one. */
  readonly queued: number
  /** Being closed: they count until their socket is gone. */
  readonly closing: number
  /** `get`s that wait now. */
  readonly waiting: number
  /**
   * The lease that is held for longest, if one is out. Leases whose socket is gone are not counted, as in `busy`.
   *
   * @since 3.0.0
   */
  readonly oldestLease?: OldestLease | undefined
  /**
   * How long the `get` that has waited longest has waited so far, if one waits: the time to connect is part of it.
   *
   * @since 3.0.0
   */
  readonly longestWait?: Duration.Duration | undefined
  /**
   * The outage that goes on now, if the latest attempt to connect has failed.
   *
   * @since 3.0.0
   */
  readonly outage?: Outage | undefined

  /** Connections opened since the start. */
  readonly opened: number
  /** Opened connections that have closed since the start. */
  readonly closed: number
  /**
   * The same, for each reason. They add up to `closed`.
   *
   * @since 3.0.0
   */
  readonly closedBy: { readonly [R in CloseReason]: number }
  /** Attempts to connect that failed since the start. */
  readonly connectFailures: number
  /** Leases begun since the start. */
  readonly acquired: number
  /** Leases ended since the start. */
  readonly released: number
  /** `get`s failed with `PoolExhaustedError` since the start. */
  readonly exhausted: number
  /** Connections closed because a lease made them unfit (`discard`, `discardOn`) since the start. */
  readonly discarded: number
  /** Messages read from a socket and given to nobody since the start. */
  readonly messagesDropped: number
  /** Connections closed because they did not fall quiet in time since the start. */
  readonly drainTimeouts: number
  /** Pings and health checks that failed since the start. */
  readonly healthCheckFailures: number
}
