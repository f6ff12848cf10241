/** The failure of a connect. */
import * as Data from "#effect/Data"
import type * as Duration from "#effect/Duration"
import * as messages from "./errorMessages.js"
import type { ConnectFailureReason, SetupStep } from "./reasons.js"

/**
 * A connection could not be established, retries included.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionUnavailableError extends Data.TaggedError("ConnectionUnavailableError")<{
  /** The pool's name. */
  readonly pool: string
  /** The URL without user info and query string. */
  readonly url: string
  /** What went wrong. */
  readonly reason: ConnectFailureReason
  /** The HTTP status of a refused upgrade. */
  readonly status?: number | undefined
  /** Which part of the setup failed, where the reason is `"Setup"` and that is known. */
  readonly step?: SetupStep | undefined
  /** How long the server asks not to be tried again, by the `Retry-After` of a refused upgrade. */
  readonly retryAfter?: Duration.Duration | undefined
  /** How many attempts were started. */
  readonly attempts: number
  /** What lies underneath: a network error, or what a hook failed with. */
  readonly cause: unknown
  /** Whether the pool would try this again. */
  readonly isRetryable: boolean
}> {
  override get message(): string {
    return messages.unavailable(this)
  }
}
