/** What happens in a quota. */
import type * as Data from "#effect/Data"
import type * as Duration from "#effect/Duration"
import type { QuotaUnavailableError } from "./errors.js"

/**
 * An event of a quota, in this process. `quota` is its name.
 *
 * @category models
 * @since 3.0.0
 */
export type QuotaEvent = Data.TaggedEnum<{
  /** A creation waits for a permit. */
  Queued: { readonly quota: string }
  /** A creation that was queued got its permit, after it had `waited`. */
  Granted: { readonly quota: string; readonly waited: Duration.Duration }
  /** So many connections are given up for others: idle ones now, leased ones when they are given back. */
  Reclaimed: { readonly quota: string; readonly count: number; readonly from: "idle" | "leased" }
  /** The engine does not answer any more. */
  Unreachable: { readonly quota: string; readonly error: QuotaUnavailableError }
  /** The engine answers again. */
  Reachable: { readonly quota: string }
  /** The engine has not answered for `ttl`. */
  Lapsed: { readonly quota: string }
  /** The engine has lost data, or was away: nothing is granted for so long. */
  Recovering: { readonly quota: string; readonly duration: Duration.Duration }
  /** The limit has changed. */
  Resized: { readonly quota: string; readonly connections: number }
  /** Nothing is opened for so long. */
  Paused: { readonly quota: string; readonly duration: Duration.Duration }
}>
