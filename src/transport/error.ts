import * as Data from "#effect/Data"
import type * as Duration from "#effect/Duration"
import type { ConnectFailureReason } from "../values/reasons.js"

/**
 * Why a socket could not be opened. Its `cause` carries no secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Data.TaggedError("TransportError")<{
  /** The part that failed. */
  readonly reason: Exclude<ConnectFailureReason, "Timeout">
  /** The HTTP status of a refused upgrade. */
  readonly status?: number | undefined
  /** How long the server asks to wait: the `Retry-After` of an upgrade refused with 408, 425, 429 or 503. */
  readonly retryAfter?: Duration.Duration | undefined
  /** What lies underneath. */
  readonly cause: unknown
}> {}
