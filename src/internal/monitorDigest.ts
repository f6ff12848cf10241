import * as Duration from "effect/Duration"
import { isPoolError, type PoolError } from "../PoolError.js"
import type { PoolEvent } from "../PoolEvent.js"

/** Events that are shown, of the routine of leases and of everything else, so that it hides no failure. */
const eventsKept = 100

/** Characters of an error's message that are shown. */
const longestMessage = 400

type EventKind = "routine" | "failure" | "other"

/** A line of the table of events. */
export interface EventRow {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly kind: EventKind
  readonly tag: PoolEvent["_tag"]
  readonly connectionId: string
  readonly detail: string
}

/** How often something took so many milliseconds. */
type Histogram = ReadonlyArray<readonly [millis: number, count: number]>

export interface Latencies {
  readonly waited: Histogram
  readonly held: Histogram
  readonly connecting: Histogram
}

export interface Summary {
  readonly latencies: Latencies
  /** The latest hundred of the routine, and of everything else; the oldest first. */
  readonly events: ReadonlyArray<EventRow>
  /** How many events told of a failure, those that are not among `events` included. */
  readonly failures: number
}

/**
 * Sums up the events between two looks at them. It stays small however many there are and however long nobody
 * looks: of rows it keeps the latest, and times are counted by their first two digits.
 */
export class Digest {
  private readonly waited = new Map<number, number>()
  private readonly held = new Map<number, number>()
  private readonly connecting = new Map<number, number>()
  private readonly routine: Array<Seen> = []
  private readonly others: Array<Seen> = []
  private failures = 0
  private seen = 0

  add(event: PoolEvent, at: number): void {
    if (event._tag === "Acquired") count(this.waited, event.waited)
    else if (event._tag === "Released") count(this.held, event.held)
    else if (event._tag === "ConnectionOpened") count(this.connecting, event.elapsed)
    this.seen += 1
    const kind = kindOf(event)
    if (kind === "failure") this.failures += 1
    const rows = kind === "routine" ? this.routine : this.others
    rows.push({ event, at, nth: this.seen })
    if (rows.length > eventsKept) rows.shift()
  }

  /** What has come since the last time. */
  take(): Summary {
    const { connecting, failures, held, others, routine, waited } = this
    const latencies = { waited: Array.from(waited), held: Array.from(held), connecting: Array.from(connecting) }
    const events = [...routine, ...others].sort((a, b) => a.nth - b.nth).map(toRow)
    for (const times of [waited, held, connecting]) times.clear()
    for (const rows of [routine, others]) rows.length = 0
    this.failures = 0
    return { latencies, events, failures }
  }
}

interface Seen {
  readonly event: PoolEvent
  readonly at: number
  readonly nth: number
}

const count = (times: Map<number, number>, time: Duration.Duration): void => {
  const millis = rounded(Duration.toMillis(time))
  times.set(millis, (times.get(millis) ?? 0) + 1)
}

/** Exact below 100, then to two digits: a few hundred different values in all. */
const rounded = (millis: number): number => {
  if (!(millis > 0)) return 0
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(millis)) - 1)
  return Math.round(millis / unit) * unit
}

const toRow = ({ at, event }: Seen): EventRow => ({
  at,
  kind: kindOf(event),
  tag: event._tag,
  connectionId: "connectionId" in event ? event.connectionId : "",
  detail: describe(event)
})

const lossReasons: ReadonlyArray<string> = ["Remote", "Unhealthy", "Protocol", "DrainTimeout"]

const kindOf = (event: PoolEvent): EventKind => {
  switch (event._tag) {
    case "Acquired":
    case "Released":
    case "DrainStarted":
    case "DrainCompleted":
    case "MessageDropped":
      return "routine"
    case "ConnectionClosed":
      return lossReasons.includes(event.reason) ? "failure" : "other"
    case "ConnectFailed":
    case "Exhausted":
    case "LeaseLeakSuspected":
      return "failure"
    default:
      return "other"
  }
}

/** Only what is known to be fit to be seen: numbers, times, reasons, and errors by what they say of themselves. */
const describe = (event: PoolEvent): string =>
  Object.entries(event)
    .map(([name, value]: [string, unknown]) => {
      if (typeof value === "number") return `${name} ${value}`
      if (Duration.isDuration(value)) return `${name} ${formatTime(value)}`
      if (name === "reason" && typeof value === "string") return value
      return isPoolError(value) ? describeError(value) : ""
    })
    .filter((part) => part !== "")
    .join(", ")

const describeError = (error: PoolError): string => {
  const what = "reason" in error ? `${error._tag} (${error.reason})` : error._tag
  const { message } = error
  return `${what}: ${message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message}`
}

const formatTime = (time: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(time))
  if (millis < 1000) return `${millis} ms`
  return millis < 60_000
    ? `${(millis / 1000).toFixed(1)} s`
    : Duration.format(Duration.seconds(Math.round(millis / 1000)))
}
