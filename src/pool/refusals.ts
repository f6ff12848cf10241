import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type { Link } from "../connection/link.js"
import type { Outcome, Waiter } from "../core/slot.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import { oldestLeaseOf } from "../observe/oldestLease.js"
import type { Settings } from "../options/decode.js"
import { type AcquireError, ConnectionUnavailableError, PoolClosedError, PoolExhaustedError } from "../values/errors.js"
import type { PoolStats } from "../values/stats.js"
import type { Creation } from "./creation.js"
import type { Opening } from "./opening.js"
import type { Permits } from "./permits.js"
import type { Place } from "./tasks.js"

/** What those fail with who wait for a connection, and why: what has stood in their way. */
export class Refusals {
  constructor(
    private readonly settings: Settings,
    private readonly pool: SlotPool<Link, AcquireError>,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly opening: Opening,
    private readonly permits: () => Permits | undefined,
    private readonly snapshot: () => PoolStats
  ) {}

  /** Who cannot outlast the time for which the server holds the pool off would wait in vain, if nothing else is there. */
  refusal(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> | undefined {
    const { checking, idle, leased, releasing } = this.pool.count
    if (idle + checking + leased + releasing > 0) return undefined
    const held = this.heldFor(waiter)
    return held !== undefined && waiter.request.deadline <= held.until ? Effect.fail(held.error) : undefined
  }

  /** What holds the connection off that a waiter waits for, as an error of its own. */
  private heldFor(
    waiter: Waiter<Link, AcquireError>
  ): { readonly until: number; readonly error: ConnectionUnavailableError } | undefined {
    const slot = waiter.creation ?? waiter.held
    const creation = this.opening.creationOf(slot)
    const hold = this.opening.holdOf(creation)
    if (hold === undefined) return undefined
    const { cause, isRetryable, pool, reason, retryAfter, status, url } = hold.error
    const attempts = creation?.attempts ?? 0
    return {
      until: hold.until,
      error: new ConnectionUnavailableError({ pool, url, reason, status, attempts, cause, isRetryable, retryAfter })
    }
  }

  timedOut(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> {
    const { opening } = this
    this.journal.metrics.timedOut()
    const { count, max, slots } = this.pool
    const slot = waiter.creation ?? waiter.held
    // What is checked for the waiter itself is no lease in its way.
    const own = slot?.state === "checking" ? 1 : 0
    const isLent = count.leased + count.checking - own + count.releasing > 0
    const { acquireTimeout } = this.settings
    const waited = this.timers.now() - waiter.request.deadline + acquireTimeout
    if (this.isQueued(slot)) {
      const cause = this.permits()?.share.unavailable()
      const limit = Duration.millis(acquireTimeout)
      if (cause === undefined) return Effect.fail(this.tell(this.exhausted("Quota", waited, limit)))
      const { name: pool } = this.settings
      const url = opening.creationOf(slot)?.url ?? opening.knownUrl
      return Effect.fail(
        new ConnectionUnavailableError({ pool, url, reason: "Quota", attempts: 0, cause, isRetryable: true })
      )
    }
    if (slots.size >= max && isLent) return Effect.fail(this.tell(this.overdue(waited, true)))
    const held = this.heldFor(waiter)
    return Effect.fail(held === undefined ? this.overdue(0, false, opening.creationOf(slot)) : held.error)
  }

  /** For who has waited for so many milliseconds: at the limit, or for a connection that is being opened. */
  overdue(waited: number, isExhausted: boolean, own?: Creation): AcquireError {
    const { opening } = this
    const limit = Duration.millis(this.settings.acquireTimeout)
    if (isExhausted) return this.exhausted("AcquireTimeout", waited, limit)
    // One in line behind a connection that opens for anybody has waited for that.
    const creation = own ?? opening.oldest
    return new ConnectionUnavailableError({
      pool: this.settings.name,
      url: creation?.url ?? opening.knownUrl,
      reason: "Timeout",
      attempts: creation?.attempts ?? 0,
      cause: this.opening.lastFailure ?? new Error(`acquireTimeout (${Duration.format(limit)}) has passed`),
      isRetryable: true
    })
  }

  /** Whether what a waiter waits for waits for a permit: its own creation, or one for whoever is first in line. */
  private isQueued(slot: Place | undefined): boolean {
    const permits = this.permits()
    if (permits === undefined) return false
    return slot === undefined ? permits.unbegun() !== undefined : permits.isQueued(slot)
  }

  tooManyWaiters(): Outcome<Link, AcquireError> {
    return Effect.fail(this.tell(this.exhausted("TooManyWaiters", 0, this.settings.maxWaiters)))
  }

  private tell<Error extends AcquireError>(error: Error): Error {
    if (error._tag === "PoolExhaustedError") this.journal.exhausted(error)
    return error
  }

  exhausted(
    reason: PoolExhaustedError["reason"],
    waited: number,
    limit: PoolExhaustedError["limit"]
  ): PoolExhaustedError {
    return new PoolExhaustedError({
      pool: this.settings.name,
      reason,
      stats: this.snapshot(),
      waited: Duration.millis(waited),
      limit,
      oldestLease: oldestLeaseOf(this.pool.slots, this.timers.now()),
      lastFailure: this.opening.lastFailure,
      ...(reason === "Quota" ? { quota: this.permits()?.share.known() } : {})
    })
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return Effect.fail(new PoolClosedError({ pool: this.settings.name }))
  }
}
