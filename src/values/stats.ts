/** The statistics of a pool. */
import type * as Duration from "#effect/Duration"

/**
 * The lease that is held for longest.
 *
 * @category models
 * @since 0.2.0
 */
export interface OldestLease {
  /** The identity of its socket. */
  readonly connectionId: string
  /** For how long it is held. */
  readonly held: Duration.Duration
  /** For how long, at most that, no message came on it. Pongs are none. */
  readonly quietFor: Duration.Duration
  /** The name of the span in which it was taken, if there was one. */
  readonly span?: string | undefined
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

  /** Connections opened since the start. */
  readonly opened: number
  /** Opened connections that have closed since the start. */
  readonly closed: number
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
