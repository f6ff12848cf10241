/** The statistics of a quota. */

/**
 * How a process stands with its engine.
 *
 * - `"connected"`: it reports, and gets answers
 * - `"recovering"`: the engine has lost data, or was away: nothing is granted until every worker has reported
 * - `"unreachable"`: the engine does not answer, or has not answered yet
 * - `"lapsed"`: it has not answered for `ttl`, so that others may have been granted what this process holds
 *
 * @category models
 * @since 3.0.0
 */
export type QuotaState = "connected" | "recovering" | "unreachable" | "lapsed"

/**
 * A fleet, as its engine sees it.
 *
 * @category models
 * @since 3.0.0
 */
export interface QuotaStats {
  /** Connections that the fleet may have at once; infinity if there is no limit. */
  readonly limit: number
  /** Permits that count now, those that settle included. */
  readonly used: number
  /** Creations that wait for a permit. */
  readonly waiting: number
  /** Who takes part: processes, or for `layerMemory` pools. */
  readonly workers: number
  /** How many attempts count now, for each window of `connects`. */
  readonly connects: ReadonlyArray<number>
  /** How this process stands with the engine. */
  readonly state: QuotaState
  /** Permits that this process holds. */
  readonly held: number
}

/**
 * What one process knows without asking the engine.
 *
 * @category models
 * @since 3.0.0
 */
export interface QuotaLocalStats {
  /** Permits that this process holds. */
  readonly held: number
  /** Creations of this process that wait for a permit. */
  readonly waiting: number
  /** How this process stands with the engine. */
  readonly state: QuotaState
  /** Permits granted since the start. */
  readonly granted: number
  /** Connections given up for others since the start. */
  readonly reclaimed: number
  /** How often the engine has not answered for `ttl` since the start. */
  readonly lapses: number
}
