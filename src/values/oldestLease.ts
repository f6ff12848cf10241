/** A lease, as statistics and errors tell of it. */
import type * as Duration from "#effect/Duration"

/**
 * The lease that is held for longest.
 *
 * @category models
 * @since 3.0.0
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
