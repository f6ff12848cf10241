import * as Duration from "#effect/Duration"
import type { PoolEvent } from "../values/events.js"
import { kindOf, rowOf } from "./events.js"
import { Times } from "./times.js"
import type { EventRow, Latencies } from "./wire.js"

/** Events that are kept between two looks, of the routine of leases and of everything else, so that it hides no failure. */
const eventsKept = 100

interface Summary {
  readonly latencies: Latencies
  readonly events: ReadonlyArray<EventRow>
  readonly failures: number
}

interface Seen {
  readonly event: PoolEvent
  readonly at: number
  readonly nth: number
}

/**
 * Sums up the events between two looks at them. It stays small however many there are and however long nobody
 * looks: it keeps the latest events, and counts times by their first two digits.
 */
export class Digest {
  private readonly times = new Times()
  private readonly routine: Array<Seen> = []
  private readonly others: Array<Seen> = []
  private failures = 0
  private seen = 0

  add(event: PoolEvent, at: number): void {
    if (event._tag === "Acquired") this.times.waited.add(Duration.toMillis(event.waited))
    else if (event._tag === "Released") this.times.held.add(Duration.toMillis(event.held))
    else if (event._tag === "ConnectionOpened") this.times.connecting.add(Duration.toMillis(event.elapsed))
    this.seen += 1
    const kind = kindOf(event)
    if (kind === "failure") this.failures += 1
    const rows = kind === "routine" ? this.routine : this.others
    rows.push({ event, at, nth: this.seen })
    if (rows.length > eventsKept) rows.shift()
  }

  /** What has come since the last time. */
  take(): Summary {
    const { failures, others, routine } = this
    const latencies = this.times.take()
    const events = [...routine, ...others].sort((a, b) => a.nth - b.nth).map(({ at, event }) => rowOf(event, at))
    for (const rows of [routine, others]) rows.length = 0
    this.failures = 0
    return { latencies, events, failures }
  }
}
