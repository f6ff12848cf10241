import * as Duration from "#effect/Duration"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { PoolGauges } from "../observe/metrics.js"
import { withOngoing } from "../observe/ongoing.js"
import type { PoolStats } from "../values/stats.js"
import type { Connections } from "./connections.js"
import type { Shutdown } from "./shutdown.js"

/** What there is to see of a pool at a moment. */
export class Statistics {
  constructor(
    private readonly connections: Connections,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly shutdown: Shutdown
  ) {}

  /** All in one literal: V8 builds an object that others are spread into key by key, at many times the cost. */
  snapshot(): PoolStats {
    const { count, max, min, slots, waiting, waitingSince } = this.connections.pool
    const { isOver } = this.shutdown
    const { closedBy, ongoingOutage, totals } = this.journal
    const stats: PoolStats = {
      state: isOver ? "closed" : this.connections.pool.state,
      minConnections: min,
      maxConnections: max,
      total: slots.size,
      idle: count.idle,
      busy: count.leased + count.checking,
      draining: count.releasing,
      connecting: count.creating,
      queued: this.connections.permits?.queued ?? 0,
      closing: count.closing,
      waiting,
      opened: totals.opened,
      closed: totals.closed,
      connectFailures: totals.connectFailures,
      acquired: totals.acquired,
      released: totals.released,
      exhausted: totals.exhausted,
      discarded: totals.discarded,
      messagesDropped: totals.messagesDropped,
      drainTimeouts: totals.drainTimeouts,
      healthCheckFailures: totals.healthCheckFailures,
      closedBy: { ...closedBy }
    }
    const outage = isOver ? undefined : ongoingOutage
    return withOngoing(stats, { slots: count.leased === 0 ? [] : slots, waitingSince, outage }, this.timers)
  }

  /** What is read whenever metrics are. */
  get gauges(): PoolGauges {
    return {
      oldestLease: () => Duration.toMillis(this.snapshot().oldestLease?.held ?? Duration.zero),
      quiet: () => Duration.toMillis(this.snapshot().oldestLease?.quietFor ?? Duration.zero),
      longestWait: () => Duration.toMillis(this.snapshot().longestWait ?? Duration.zero),
      outage: () => {
        const { ongoingOutage } = this.journal
        return ongoingOutage === undefined ? 0 : this.timers.now() - ongoingOutage.since
      }
    }
  }
}
