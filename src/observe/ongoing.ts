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

/** The part of the statistics that is not over yet. What there is nothing to say of has no key. */
export const ongoingOf = (
  { outage, slots, waitingSince }: Present,
  timers: Timers
): Pick<PoolStats, "longestWait" | "oldestLease" | "outage"> => {
  const now = timers.now()
  const oldestLease = oldestLeaseOf(slots, now)
  return {
    ...(oldestLease && { oldestLease }),
    ...(waitingSince !== undefined && { longestWait: Duration.millis(now - waitingSince) }),
    ...(outage && {
      outage: { since: timers.onClock(outage.since), attempts: outage.failures, lastFailure: outage.latest }
    })
  }
}
