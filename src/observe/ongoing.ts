import * as Duration from "#effect/Duration"
import type { Timers } from "../core/timers.js"
import type { PoolStats } from "../values/stats.js"
import type { ConnectionUnavailableError } from "../values/unavailable.js"
import type { Ongoing } from "./episode.js"
import { oldestLeaseOf, type Slots } from "./oldestLease.js"

/** What goes on in a pool. */
interface Present {
  readonly slots: Slots
  readonly waitingSince: number | undefined
  readonly outage: Ongoing<ConnectionUnavailableError> | undefined
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Completes statistics made just now by what is not over yet. What there is nothing to say of gets no key. */
export const withOngoing = (
  stats: Writable<PoolStats>,
  { outage, slots, waitingSince }: Present,
  timers: Timers
): PoolStats => {
  const now = timers.now()
  const oldestLease = oldestLeaseOf(slots, now)
  if (oldestLease !== undefined) stats.oldestLease = oldestLease
  if (waitingSince !== undefined) stats.longestWait = Duration.millis(now - waitingSince)
  if (outage !== undefined) {
    stats.outage = { since: timers.onClock(outage.since), attempts: outage.failures, lastFailure: outage.latest }
  }
  return stats
}
