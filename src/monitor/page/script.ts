/** The page: it listens to the stream of the pool that is chosen, and shows what comes. */
import type { Sample, Stats } from "../wire.js"
import { drawAll, readColours } from "./charts.js"
import { listenToHeadings, showConnections } from "./connections.js"
import { byId, setText } from "./dom.js"
import { forgetEvents, keepEvents, latestLoss, listenToControls, recallEvents, showEvents } from "./events.js"
import { showLeases } from "./leases.js"
import { add, forget, medianOf, recall, shownSpan, showSpan } from "./moments.js"
import { showNotices } from "./notices.js"
import { showNumbers } from "./numbers.js"
import { showPools } from "./pools.js"
import { showQuota } from "./quota.js"
import { showRequests } from "./requests.js"
import { addCharts } from "./series.js"

const reconnectMillis = 5_000

let latest: Sample | undefined
let source: EventSource | undefined
/** Whether the reader has said how far back the charts shall go. */
let isSpanChosen = false

const say = (state: string, text: string): void => {
  byId("status").dataset.state = state
  setText(byId("status-text"), text)
}

const sayState = ({ state }: Stats): void => {
  if (state === "open") say("live", "Live")
  else if (state === "closing") say("closing", "The pool is closing")
  else say("closed", "The pool is closed")
}

const show = (): void => {
  if (document.hidden || latest === undefined) return
  showPools(latest.pools, changePool)
  showNotices(latest, medianOf("held"), latestLoss())
  showNumbers(latest)
  showQuota(latest)
  showRequests(latest)
  showLeases(latest)
  showConnections(latest)
  showEvents()
  drawAll()
}

const chooseSpan = (millis: number): void => {
  showSpan(millis)
  for (const button of document.querySelectorAll<HTMLElement>("[data-minutes]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.minutes) * 60_000 === millis))
  }
}

const onSample = (sample: Sample): void => {
  const { events, history, now, stats } = sample
  // Asked again, a closed pool says the same again.
  if (stats.state === "closed" && latest?.stats.state === "closed") return
  if (latest !== undefined && now < latest.now) forget()
  latest = sample
  if (history !== undefined) {
    const since = recall(history, now)
    recallEvents(history.events, since)
    if (!isSpanChosen && now - since > shownSpan()) chooseSpan(600_000)
  }
  keepEvents(events)
  add(sample)
  sayState(stats)
  show()
}

const listen = (): void => {
  source?.close()
  // Under whatever path the page is, with or without a slash at its end.
  const stream = new EventSource(`${location.origin}${location.pathname.replace(/[/]+$/, "")}/events${location.search}`)
  source = stream
  stream.addEventListener("message", ({ data }) => onSample(JSON.parse(data)))
  stream.addEventListener("error", () => {
    if (latest?.stats.state !== "closed") say("lost", "No connection to the monitor, trying again")
    // It tries again by itself after what it takes for an accident, but not after an answer that is no stream.
    if (stream.readyState !== EventSource.CLOSED) return
    setTimeout(() => {
      if (source === stream) listen()
    }, reconnectMillis)
  })
}

const changePool = (): void => {
  latest = undefined
  forget()
  forgetEvents()
  say("waiting", "Connecting to the monitor")
  listen()
}

for (const button of document.querySelectorAll<HTMLElement>("[data-minutes]")) {
  button.addEventListener("click", () => {
    isSpanChosen = true
    chooseSpan(Number(button.dataset.minutes) * 60_000)
    show()
  })
}
document.addEventListener("visibilitychange", show)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours()
  drawAll()
})
addCharts()
listenToHeadings()
listenToControls()
readColours()
drawAll()
listen()
