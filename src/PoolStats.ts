/**
 * What a pool counts: a snapshot of its connections now, and totals since it was made.
 *
 * @since 0.1.0
 */

export type { OldestLease, Outage, PoolStats } from "./values/stats.js"
