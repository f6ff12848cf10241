import { Groups } from "../groups.js"
import type { EventRow } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatCount, formatTime } from "./format.js"

/** Lines that are shown. */
const shownRows = 100

/** Lines that are kept, so that a filter finds more than what is shown. */
const keptRows = 500

const routine = new Groups(shownRows)
const others = new Groups(keptRows)
let isPaused = false
let anyRoutine = false
/** What the table shows is that of this many changes. */
let changes = 0
let shownAt = -1

const withRoutine = find<HTMLInputElement>(document, "#with-routine")
const filter = find<HTMLInputElement>(document, "#filter")

export const keepEvents = (events: ReadonlyArray<EventRow>): void => {
  if (events.length > 0) changes += 1
  for (const event of events) {
    const isRoutine = event.kind === "routine"
    if (isRoutine) anyRoutine = true
    ;(isRoutine ? routine : others).add(event)
  }
}

/** What was recorded takes the place of what this page has seen since that began. */
export const recallEvents = (events: ReadonlyArray<EventRow>, since: number): void => {
  const before = others.all().filter(({ at }) => at < since)
  others.forget()
  for (const event of [...before, ...events]) others.add(event)
  changes += 1
}

/** What the latest loss of a connection was like, if there was one. */
export const latestLoss = (): string | undefined =>
  others
    .all()
    .filter(({ kind, tag }) => kind === "failure" && tag === "ConnectionClosed")
    .reduce<EventRow | undefined>(
      (latest, row) => (latest !== undefined && latest.at > row.at ? latest : row),
      undefined
    )?.detail

export const forgetEvents = (): void => {
  routine.forget()
  others.forget()
  anyRoutine = false
  changes += 1
}

const matches = ({ connectionId, detail, tag }: EventRow, words: ReadonlyArray<string>): boolean => {
  const text = `${tag} ${connectionId} ${detail}`.toLowerCase()
  return words.every((word) => text.includes(word))
}

const line = ({ at, connectionId, count, detail, kind, since, tag }: EventRow): HTMLElement => {
  const times = element("b", "times", `×${formatCount(count)}`)
  times.title = `since ${formatTime(since)}`
  const what = element("td", "", ...(count > 1 ? [times, " "] : []), detail)
  return element("tr", kind, ...[formatTime(at), tag, connectionId].map((text) => element("td", "", text)), what)
}

const whyNone = (): string => {
  if (filter.value.trim() !== "") return "None that matches the filter."
  if (!anyRoutine || withRoutine.checked) return "None since this page was opened."
  return "Nothing but leases and drains since this page was opened."
}

export const showEvents = (): void => {
  if (isPaused || shownAt === changes) return
  shownAt = changes
  const words = filter.value.toLowerCase().split(/\s+/)
  const all = withRoutine.checked ? [...routine.all(), ...others.all()].sort((a, b) => a.at - b.at) : others.all()
  const events = all.filter((event) => matches(event, words)).slice(-shownRows)
  byId("no-events").hidden = events.length > 0
  setText(byId("no-events"), whyNone())
  find(byId("events"), "tbody").replaceChildren(...events.reverse().map(line))
}

const showAnew = (): void => {
  changes += 1
  showEvents()
}

export const listenToControls = (): void => {
  withRoutine.addEventListener("change", showAnew)
  filter.addEventListener("input", showAnew)
  byId("pause").addEventListener("click", () => {
    isPaused = !isPaused
    byId("pause").setAttribute("aria-pressed", String(isPaused))
    setText(byId("pause"), isPaused ? "Go on" : "Pause")
    showEvents()
  })
}
