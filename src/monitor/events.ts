import * as Duration from "#effect/Duration"
import { isPoolError, type PoolError } from "../values/errors.js"
import type { PoolEvent } from "../values/events.js"
import { type EventKind, type EventRow, losses } from "./wire.js"

/** Characters of an error's message that are shown, and of a connection's id. */
const longestMessage = 400
const longestId = 200

const lossReasons: ReadonlyArray<string> = losses

export const kindOf = (event: PoolEvent): EventKind => {
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

/** Events of one group differ in nothing that tells a cause. */
export const groupOf = (event: PoolEvent): string => {
  if ("error" in event) return `${event._tag} ${event.error.reason}`
  return "reason" in event ? `${event._tag} ${event.reason}` : event._tag
}

export const rowOf = (event: PoolEvent, at: number): EventRow => ({
  at,
  since: at,
  count: 1,
  kind: kindOf(event),
  tag: event._tag,
  connectionId: "connectionId" in event ? shortened(event.connectionId, longestId) : "",
  detail: describe(event),
  group: groupOf(event)
})

/** Only what is known to be fit to be seen: numbers, times, reasons, and errors by what they say of themselves. */
const describe = (event: PoolEvent): string =>
  Object.entries(event)
    .map(([name, value]: [string, unknown]) => {
      if (typeof value === "number") return `${name} ${value}`
      if (Duration.isDuration(value)) return `${name} ${formatDuration(value)}`
      if (name === "reason" && typeof value === "string") return value
      return isPoolError(value) ? describeError(value) : ""
    })
    .filter((part) => part !== "")
    .join(", ")

export const describeError = (error: PoolError): string => {
  const what = "reason" in error ? `${error._tag} (${error.reason})` : error._tag
  return `${what}: ${shortened(error.message, longestMessage)}`
}

/** A text of its own: what is cut out of a long one would keep all of it in memory. */
export const shortened = (text: string, length: number): string =>
  text.length > length ? [...text.slice(0, length), "…"].join("") : text

export const formatDuration = (time: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(time))
  if (millis < 1000) return `${millis} ms`
  return millis < 60_000
    ? `${(millis / 1000).toFixed(1)} s`
    : Duration.format(Duration.seconds(Math.round(millis / 1000)))
}
