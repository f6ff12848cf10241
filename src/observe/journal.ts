import { type Fork, leastLevel } from "#dialect"
import { registry } from "#edition/observe/registry"
import type * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import type * as LogLevel from "#effect/LogLevel"
import type { LostWait } from "../core/driver.js"
import type { SlotState } from "../core/slot.js"
import type { Timers } from "../core/timers.js"
import type { Settings } from "../options/decode.js"
import type { ConnectionUnavailableError, PoolExhaustedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import { calm, Episode, exhaustion, type Failure, type Ongoing, outage, shown, transience } from "./episode.js"
import { EventHub } from "./eventHub.js"
import { Leaks } from "./leaks.js"
import { Log } from "./log.js"
import { closeReasons, countsBy, exhaustedReasons, failureReasons, Metrics } from "./metrics.js"
import { Tracing } from "./tracing.js"

/** What is said of a connection. */
interface Subject {
  readonly id: string
}

/** Those who are told besides the subscribers. */
export interface Observers {
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly logLevel: LogLevel.LogLevel
}

/** Those of the current fiber: its tracer, labels and level of logging are the pool's. */
export const observe = (settings: Settings, clock: Clock.Clock): Effect.Effect<Observers> =>
  Effect.all({
    metrics: Effect.map(registry, (registry) => new Metrics(settings.name, registry)),
    tracing: Tracing.make(settings, clock),
    logLevel: leastLevel
  })

/** What a pool has. */
interface Occupancy {
  readonly count: { readonly [S in SlotState]: number }
  readonly waiting: number
}

/** After so many connections in a row that the server has ended early it is told: one may be bad luck, or a restart. */
const tooMany = 5

/** Counts what happens, and tells those who want to know. While nobody listens to events, none is made. */
export class Journal {
  readonly hub: EventHub
  readonly totals = {
    opened: 0,
    closed: 0,
    connectFailures: 0,
    acquired: 0,
    released: 0,
    exhausted: 0,
    discarded: 0,
    messagesDropped: 0,
    drainTimeouts: 0,
    healthCheckFailures: 0
  }
  readonly closedBy = countsBy(closeReasons)
  /** Attempts to connect that failed, and `get`s that found the pool exhausted, by reason. */
  readonly failedBy = countsBy(failureReasons)
  readonly exhaustedBy = countsBy(exhaustedReasons)
  /** Waits that ended without a connection. */
  readonly lostWaits = { Failed: 0, Interrupted: 0 }
  /** Who looks for leases that are held for too long, if somebody does. */
  readonly leaks: Leaks | undefined
  readonly metrics: Metrics
  readonly tracing: Tracing
  private readonly pool: string
  private readonly log: Log
  private readonly outage: Episode<ConnectionUnavailableError>
  private readonly exhaustion: Episode
  private readonly transience: Episode
  /** Connections in a row that the server has ended before they were `calm` old. */
  private endedEarly = 0

  constructor(
    { leakThreshold, maxConnections, minConnections, name }: Settings,
    private readonly timers: Timers,
    { logLevel, metrics, tracing }: Observers,
    fork: Fork,
    defer: (f: () => void) => void
  ) {
    this.hub = new EventHub(defer)
    this.pool = name
    this.metrics = metrics
    this.tracing = tracing
    this.log = new Log(name, fork, logLevel)
    this.outage = new Episode(outage, this.log, timers)
    this.exhaustion = new Episode(exhaustion, this.log, timers)
    this.transience = new Episode(transience, this.log, timers)
    this.leaks =
      leakThreshold === Number.POSITIVE_INFINITY
        ? undefined
        : new Leaks(leakThreshold, timers, this.log, fork, (suspicion) => {
            if (this.hub.isObserved) this.hub.emit({ _tag: "LeaseLeakSuspected", pool: this.pool, ...suspicion })
          })
    metrics.limits(minConnections, maxConnections)
  }

  // Connections

  opened({ id }: Subject, since: number, attempts: number): void {
    this.totals.opened += 1
    const elapsed = this.timers.now() - since
    this.metrics.opened(elapsed)
    this.outage.succeeded()
    this.transience.succeeded()
    this.log.debug("Connection opened", () => ({ connectionId: id, attempts, elapsed: shown(elapsed) }))
    if (!this.hub.isObserved) return
    this.hub.emit({
      _tag: "ConnectionOpened",
      pool: this.pool,
      connectionId: id,
      elapsed: Duration.millis(elapsed),
      attempts
    })
  }

  connectFailed(error: ConnectionUnavailableError): void {
    this.totals.connectFailures += 1
    this.failedBy[error.reason] += 1
    this.metrics.connectFailed(error.reason)
    this.outage.failed(error)
    if (this.log.isVerbose) this.log.debug(error.message, () => ({ reason: error.reason }))
    if (this.hub.isObserved) this.hub.emit({ _tag: "ConnectFailed", pool: this.pool, error })
  }

  retiring({ id }: Subject, reason: CloseReason): void {
    this.log.debug("Connection retiring", () => ({ connectionId: id, reason }))
    if (!this.hub.isObserved) return
    this.hub.emit({ _tag: "ConnectionRetiring", pool: this.pool, connectionId: id, reason })
  }

  closing(link: Subject, reason: CloseReason): void {
    this.tracing.closing(link, reason)
  }

  closed(link: Subject, openedAt: number, code: number, reason: CloseReason): void {
    const { id } = link
    this.totals.closed += 1
    this.closedBy[reason] += 1
    this.metrics.closed(reason)
    this.tracing.closed(link, code)
    const age = this.timers.now() - openedAt
    this.log.debug("Connection closed", () => ({ connectionId: id, reason, code, age: shown(age) }))
    if (age >= calm) this.endedEarly = 0
    else if (reason === "Remote") this.hasEndedEarly(code, age)
    if (!this.hub.isObserved) return
    this.hub.emit({
      _tag: "ConnectionClosed",
      pool: this.pool,
      connectionId: id,
      code,
      age: Duration.millis(age),
      reason
    })
  }

  private hasEndedEarly(code: number, age: number): void {
    // Connections have lasted since: the row begins anew.
    if (this.endedEarly >= tooMany && this.transience.isOver) this.endedEarly = 0
    this.endedEarly += 1
    if (this.endedEarly < tooMany) return
    this.transience.failed({
      message: `The server has ended ${this.endedEarly} connections in a row within ${shown(calm)} of their opening, the latest after ${shown(age)} with code ${code}`,
      reason: "Remote"
    })
  }

  discarded(): void {
    this.totals.discarded += 1
    this.metrics.discarded()
  }

  // Permits of the quota

  queued(): void {
    this.metrics.queues(1)
    if (this.hub.isObserved) this.hub.emit({ _tag: "Queued", pool: this.pool })
  }

  /** One that was queued is not, any more. */
  unqueued(): void {
    this.metrics.queues(-1)
  }

  permitted(waited: Duration.Duration): void {
    this.metrics.queues(-1)
    if (this.hub.isObserved) this.hub.emit({ _tag: "Permitted", pool: this.pool, waited })
  }

  // Leases

  /** `fiber` is whose lease begins, unless it is that of the one that runs. */
  acquired({ id }: Subject, waited: number, fiber?: Fiber.Fiber<unknown, unknown>): void {
    this.totals.acquired += 1
    this.metrics.acquired(waited)
    this.exhaustion.succeeded()
    this.leaks?.taken(id, fiber)
    this.hub.acquired(waited)
    if (!this.hub.isFollowed) return
    this.hub.emit({ _tag: "Acquired", pool: this.pool, connectionId: id, waited: Duration.millis(waited) })
  }

  released({ id }: Subject, held: number): void {
    this.totals.released += 1
    this.metrics.released(held)
    this.leaks?.ended(id)
    this.hub.released(held)
    if (!this.hub.isFollowed) return
    this.hub.emit({ _tag: "Released", pool: this.pool, connectionId: id, held: Duration.millis(held) })
  }

  exhausted(error: PoolExhaustedError): void {
    this.totals.exhausted += 1
    this.exhaustedBy[error.reason] += 1
    this.metrics.exhausted(error.reason)
    this.exhaustion.failed(error)
    if (this.log.isVerbose) this.log.debug(error.message, () => ({ reason: error.reason }))
    if (this.hub.isObserved) this.hub.emit({ _tag: "Exhausted", pool: this.pool, error })
  }

  /** Gets are about to find the pool exhausted. */
  exhaustionForeseen(failure: Failure, since: number): void {
    this.exhaustion.foreseen(failure, since)
  }

  waitLost(waited: number, how: LostWait): void {
    this.lostWaits[how] += 1
    this.metrics.waitLost(waited, how)
    // Who is turned away at once has not waited.
    if (waited > 0) this.hub.waitLost(waited)
  }

  // Messages between two leases

  drainStarted({ id }: Subject): void {
    if (this.hub.isFollowed) this.hub.emit({ _tag: "DrainStarted", pool: this.pool, connectionId: id })
  }

  drainCompleted(link: Subject, since: number, dropped: number): void {
    const elapsed = this.timers.now() - since
    this.metrics.drained(elapsed)
    this.tracing.drained(link, elapsed, dropped)
    if (!this.hub.isFollowed) return
    this.hub.emit({
      _tag: "DrainCompleted",
      pool: this.pool,
      connectionId: link.id,
      elapsed: Duration.millis(elapsed),
      dropped
    })
  }

  /** The connection is closed instead of falling quiet. */
  drainEnded(link: Subject, since: number, dropped: number, reason: CloseReason): void {
    this.tracing.drained(link, this.timers.now() - since, dropped, reason)
  }

  dropped({ id }: Subject, bytes: number): void {
    this.totals.messagesDropped += 1
    this.metrics.dropped()
    if (this.hub.isFollowed) this.hub.emit({ _tag: "MessageDropped", pool: this.pool, connectionId: id, bytes })
  }

  // The pool

  /** The outage that goes on, if one does. */
  get ongoingOutage(): Ongoing<ConnectionUnavailableError> | undefined {
    return this.outage.ongoing
  }

  resized(minConnections: number, maxConnections: number): void {
    this.metrics.limits(minConnections, maxConnections)
    this.log.debug("Pool resized", () => ({ minConnections, maxConnections }))
    this.hub.emit({ _tag: "PoolResized", pool: this.pool, minConnections, maxConnections })
  }

  poolClosing(stats: Parameters<Tracing["poolClosing"]>[0]): void {
    this.tracing.poolClosing(stats)
    this.log.debug("Pool closing")
    this.hub.emit({ _tag: "PoolClosing", pool: this.pool })
  }

  poolClosed({ count, waiting }: Occupancy): void {
    this.metrics.over(count, waiting)
    this.tracing.poolClosed()
    this.hub.emit({ _tag: "PoolClosed", pool: this.pool })
  }
}
