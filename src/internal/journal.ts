import * as Duration from "effect/Duration"
import type { ConnectionUnavailableError, PoolExhaustedError } from "../PoolError.js"
import type { CloseReason } from "../PoolEvent.js"
import { EventHub } from "./eventHub.js"
import type { Timers } from "./timers.js"

/** What is said of a connection. */
interface Subject {
  readonly id: string
}

/** Counts what happens, and tells those who listen. While nobody does, no event is made. */
export class Journal {
  readonly hub = new EventHub()
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

  constructor(
    private readonly pool: string,
    private readonly timers: Timers
  ) {}

  opened({ id }: Subject, since: number, attempts: number): void {
    this.totals.opened += 1
    if (!this.hub.isObserved) return
    this.hub.emit({
      _tag: "ConnectionOpened",
      pool: this.pool,
      connectionId: id,
      elapsed: this.elapsed(since),
      attempts
    })
  }

  connectFailed(error: ConnectionUnavailableError): void {
    this.totals.connectFailures += 1
    if (this.hub.isObserved) this.hub.emit({ _tag: "ConnectFailed", pool: this.pool, error })
  }

  closed({ id }: Subject, openedAt: number, code: number, reason: CloseReason): void {
    this.totals.closed += 1
    if (!this.hub.isObserved) return
    const age = this.elapsed(openedAt)
    this.hub.emit({ _tag: "ConnectionClosed", pool: this.pool, connectionId: id, code, age, reason })
  }

  acquired({ id }: Subject, waited: number): void {
    this.totals.acquired += 1
    if (!this.hub.isObserved) return
    this.hub.emit({ _tag: "Acquired", pool: this.pool, connectionId: id, waited: Duration.millis(waited) })
  }

  released({ id }: Subject, since: number): void {
    this.totals.released += 1
    if (!this.hub.isObserved) return
    this.hub.emit({ _tag: "Released", pool: this.pool, connectionId: id, held: this.elapsed(since) })
  }

  exhausted(error: PoolExhaustedError): void {
    this.totals.exhausted += 1
    if (this.hub.isObserved) this.hub.emit({ _tag: "Exhausted", pool: this.pool, error })
  }

  drainStarted({ id }: Subject): void {
    if (this.hub.isObserved) this.hub.emit({ _tag: "DrainStarted", pool: this.pool, connectionId: id })
  }

  drainCompleted({ id }: Subject, since: number, dropped: number): void {
    if (!this.hub.isObserved) return
    const elapsed = this.elapsed(since)
    this.hub.emit({ _tag: "DrainCompleted", pool: this.pool, connectionId: id, elapsed, dropped })
  }

  dropped({ id }: Subject, bytes: number): void {
    this.totals.messagesDropped += 1
    if (this.hub.isObserved) this.hub.emit({ _tag: "MessageDropped", pool: this.pool, connectionId: id, bytes })
  }

  resized(minConnections: number, maxConnections: number): void {
    this.hub.emit({ _tag: "PoolResized", pool: this.pool, minConnections, maxConnections })
  }

  poolClosing(): void {
    this.hub.emit({ _tag: "PoolClosing", pool: this.pool })
  }

  poolClosed(): void {
    this.hub.emit({ _tag: "PoolClosed", pool: this.pool })
  }

  private elapsed(since: number): Duration.Duration {
    return Duration.millis(this.timers.now() - since)
  }
}
