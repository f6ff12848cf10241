import * as Duration from "#effect/Duration"
import type { Watcher } from "../observe/eventHub.js"
import type { PoolEvent } from "../values/events.js"
import type { PoolStats } from "../values/stats.js"
import { groupOf, kindOf, rowOf } from "./events.js"
import { Groups } from "./groups.js"
import { Moments } from "./moments.js"
import { Times, Window } from "./times.js"
import * as wire from "./wire.js"

/** What is kept, in milliseconds. */
export const span = 600_000
/** How often a moment is recorded. */
export const interval = 1_000
/** What percentiles are taken of. */
const percentileWindow = 30_000

/** Lines of events, and the bytes that they may take. */
const maxRows = 500
const maxBytes = 256 * 1024

interface Seen {
  readonly event: PoolEvent
  readonly since: number
  readonly at: number
  readonly count: number
}

/**
 * The last ten minutes of one pool, in less than 1 MiB: a moment a second, and the events that are no routine. A lease
 * costs it two counts.
 */
export class History implements Watcher {
  private readonly times = new Times()
  private readonly moments = new Moments(span / interval)
  private readonly events = new Groups(maxRows, maxBytes)
  private windows = { waited: new Window(), held: new Window(), connecting: new Window() }
  /** What has come since the latest moment, the latest of each group: texts are made once a second, however many fail. */
  private readonly seen = new Map<string, Seen>()
  private failures = 0
  /** Of the latest moment. */
  stats: PoolStats | undefined = undefined

  constructor(private readonly now: () => number) {}

  readonly acquired = (waited: number): void => this.times.waited.add(waited)
  readonly released = (held: number): void => this.times.held.add(held)
  /** Who was turned away, or gave up, has waited, too. */
  readonly waitLost = (waited: number): void => this.times.waited.add(waited)

  readonly event = (event: PoolEvent): void => {
    if (event._tag === "ConnectionOpened") this.times.connecting.add(Duration.toMillis(event.elapsed))
    if (kindOf(event) === "failure") this.failures += 1
    const group = groupOf(event)
    const before = this.seen.get(group)
    const at = this.now()
    this.seen.set(group, { event, since: before?.since ?? at, at, count: (before?.count ?? 0) + 1 })
  }

  /** The same, from a pool that can only be asked for its events. */
  readonly any = (event: PoolEvent): void => {
    if (event._tag === "Acquired") this.acquired(Duration.toMillis(event.waited))
    else if (event._tag === "Released") this.released(Duration.toMillis(event.held))
    else if (kindOf(event) !== "routine") this.event(event)
  }

  /** Records a moment. */
  record(stats: PoolStats, requests: wire.RequestCounts | undefined): void {
    const now = this.now()
    // The clock was set back: what was recorded lies in the future, and nothing could be drawn.
    if (now < (this.moments.latest ?? now)) this.clear()
    this.stats = stats
    const over = (time: wire.Time): wire.Percentiles | null => {
      const window = this.windows[time]
      window.forget(now - percentileWindow)
      window.add(now, this.times[time].takePacked())
      return window.percentiles()
    }
    this.moments.add({
      at: now,
      counts: stats,
      failures: this.failures,
      lost: wire.lostOf(stats.closedBy),
      times: { waited: over("waited"), held: over("held"), connecting: over("connecting") },
      ongoing: {
        oldestLease: stats.oldestLease === undefined ? null : Duration.toMillis(stats.oldestLease.held),
        longestWait: stats.longestWait === undefined ? null : Duration.toMillis(stats.longestWait)
      },
      requests: requests ?? null
    })
    this.failures = 0
    this.flush()
    this.events.forget(now - span)
  }

  /** What a page gets that is opened now. */
  read(): wire.History {
    const now = this.now()
    this.flush()
    this.events.forget(now - span)
    return {
      moments: this.moments.since(now - span),
      latencies: this.latenciesSince(now - percentileWindow),
      events: this.events.all()
    }
  }

  private latenciesSince(time: number): wire.History["latencies"] {
    const { connecting, held, waited } = this.windows
    return waited
      .times()
      .filter((at) => at > time)
      .map((at) => ({
        at,
        latencies: {
          waited: waited.histogramAt(at),
          held: held.histogramAt(at),
          connecting: connecting.histogramAt(at)
        }
      }))
  }

  private flush(): void {
    for (const { at, count, event, since } of this.seen.values()) this.events.add({ ...rowOf(event, at), since, count })
    this.seen.clear()
  }

  private clear(): void {
    this.moments.clear()
    this.events.forget()
    this.windows = { waited: new Window(), held: new Window(), connecting: new Window() }
  }
}
