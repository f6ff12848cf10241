import * as Duration from "#effect/Duration"
import type { Timer, Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { Settings } from "../options/decode.js"
import { stuck } from "../values/errorMessages.js"
import type { ConnectionUnavailableError } from "../values/errors.js"
import type { PoolStats } from "../values/stats.js"

/** How long, in milliseconds, somebody may wait for a lease on which nothing comes before that is reported. */
const patience = 5_000

/** What there is to see of a pool. */
interface View {
  /** Since when somebody waits, if anybody does. */
  readonly waitingSince: number | undefined
  readonly isFull: boolean
  readonly stats: () => PoolStats
  readonly lastFailure: ConnectionUnavailableError | undefined
}

/**
 * Reports that `get`s wait at the limit for a lease on which nothing comes. A server that goes mute, or a holder that never
 * gives its connection back, would otherwise show only once `acquireTimeout` has passed, and never without one.
 *
 * It looks only while somebody waits: a wait arms the timer if it is not armed, and is over most often before it is due.
 */
export class LongWaits implements Timer {
  due = 0
  position = -1
  /** How long until it looks again at what does not change: twice as long each time. */
  private pause = patience

  constructor(
    private readonly settings: Settings,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly look: () => View
  ) {}

  /** Somebody begins to wait at the limit. */
  onWait(): void {
    if (this.position !== -1) return
    this.pause = patience
    this.timers.set(this, this.timers.now() + patience)
  }

  onDue(): void {
    const { isFull, lastFailure, stats, waitingSince } = this.look()
    if (waitingSince === undefined) return
    const now = this.timers.now()
    const waited = now - waitingSince
    if (waited < patience) {
      this.pause = patience
      this.timers.set(this, waitingSince + patience)
      return
    }
    const snapshot = stats()
    const { oldestLease } = snapshot
    const quiet = oldestLease === undefined ? patience : Duration.toMillis(oldestLease.quietFor)
    // A line behind leases that are at work is long, but it moves.
    if (isFull && quiet < patience) {
      this.timers.set(this, now + patience - quiet)
      return
    }
    this.pause *= 2
    this.timers.set(this, now + this.pause)
    if (!isFull || oldestLease === undefined) return
    const message = stuck({
      pool: this.settings.name,
      stats: snapshot,
      waited: Duration.millis(waited),
      limit: Duration.millis(this.settings.acquireTimeout),
      oldestLease,
      lastFailure
    })
    this.journal.exhaustionForeseen({ message, reason: "LongWait" }, waitingSince)
  }
}
