/** The part of the page's script that listens to the stream and fills the numbers and the tables. */
export const view = `
/** What the percentiles are taken of. */
const WINDOW = 30000
const RATE_WINDOW = 5000
const KEPT = 100
const STATES = ["busy", "draining", "connecting", "closing", "idle"]
const TIMES = ["waited", "held", "connecting"]
const RECONNECT = 5000

// Charts

const peak = (read) => samples.reduce((most, sample) => Math.max(most, read(sample) ?? 0), 0)

const topOfStates = () => {
  const most = peak((sample) => sample.stats.total)
  const limit = peak((sample) => sample.stats.maxConnections)
  return niceAbove(Math.max(2, limit > 8 * most ? most * 1.5 : Math.max(limit, most)))
}

addChart({
  id: "states",
  series: [...STATES.map((state) => [state, state, (sample) => sample.stats[state]]),
    ["limit", "limit", (sample) => sample.stats.maxConnections]],
  stacked: true,
  top: topOfStates,
  limit: (sample) => sample.stats.maxConnections,
  format: formatCount
})

addChart({
  id: "waiters",
  series: [["waiting", "waiting", (sample) => sample.stats.waiting]],
  stacked: true,
  top: () => niceAbove(Math.max(4, peak((sample) => sample.stats.waiting))),
  format: formatCount
})

for (const time of TIMES) {
  addChart({
    id: time,
    series: [["median", "p50", (sample) => sample.times[time]?.p50 ?? null],
      ["tail", "p99", (sample) => sample.times[time]?.p99 ?? null]],
    top: () => niceAbove(Math.max(10, peak((sample) => sample.times[time]?.p99 ?? null))),
    format: formatMillis,
    timeClass: true
  })
}

// Percentiles

let histograms = []

/** Of everything in the window: sorted values with how often there were, then the first that enough lie below. */
const percentiles = (time) => {
  const counts = new Map()
  let all = 0
  for (const { latencies } of histograms) {
    for (const [millis, count] of latencies[time]) {
      counts.set(millis, (counts.get(millis) ?? 0) + count)
      all += count
    }
  }
  if (all === 0) return null
  const sorted = [...counts].sort(([a], [b]) => a - b)
  const at = (part) => {
    let rest = Math.ceil(part * all)
    for (const [millis, count] of sorted) {
      rest -= count
      if (rest <= 0) return millis
    }
  }
  return { p50: at(0.5), p99: at(0.99) }
}

// Numbers

const formatBytes = (n) => {
  if (n < 1000) return n + " B"
  const power = Math.min(4, Math.floor(Math.log10(n) / 3))
  const value = n / 1000 ** power
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + " " + ["", "kB", "MB", "GB", "TB"][power]
}

const two = (n) => String(n).padStart(2, "0")

const formatAge = (millis) => {
  const seconds = Math.max(0, millis) / 1000
  if (seconds < 60) return seconds.toFixed(1) + " s"
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return minutes + " m " + two(Math.floor(seconds % 60)) + " s"
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return hours + " h " + two(minutes % 60) + " m"
  return Math.floor(hours / 24) + " d " + two(hours % 24) + " h"
}

const formatTime = (at) => {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":") +
    "." + String(date.getMilliseconds()).padStart(3, "0")
}

const leasesPerSecond = () => {
  const last = samples[samples.length - 1]
  const first = samples.find((sample) => last.t - sample.t <= RATE_WINDOW)
  if (first === last || last.stats.state === "closed") return "–"
  const leases = Math.max(0, last.stats.acquired - first.stats.acquired)
  const rate = (leases * 1000) / (last.t - first.t)
  return rate === 0 || rate >= 9.95 ? formatCount(rate) : rate.toFixed(1)
}

const showNumbers = ({ pool, stats }) => {
  const name = pool ?? "WebSocket pool"
  setText(byId("name"), name)
  document.title = name + (pool === null ? "" : " – WebSocket pool")
  setText(byId("limits"), "keeps " + formatCount(stats.minConnections) + " to " +
    formatCount(stats.maxConnections) + " connections")
  setText(byId("busy"), formatCount(stats.busy))
  setText(byId("of"), "of " + formatCount(stats.maxConnections))
  setText(byId("waiting"), formatCount(stats.waiting))
  setText(byId("rate"), leasesPerSecond())
  const failures = samples.reduce((sum, sample) => sum + sample.failures, 0)
  setText(byId("failures"), formatCount(failures))
  byId("trouble").dataset.any = failures > 0
  for (const total of document.querySelectorAll("[data-total]")) {
    setText(total, formatCount(stats[total.dataset.total]))
  }
}

// Connections

const rows = new Map()
let sorting = { key: "id", descending: false }
const inOrder = new Intl.Collator("en", { numeric: true }).compare

/** Times are shown as how long ago they were, so that is how they are sorted. */
const isTime = (key) => key === "openedAt" || key === "lastActivityAt"

const compare = (a, b) => {
  const { descending, key } = sorting
  const order = key === "id" ? 0 : key === "state" ? STATES.indexOf(a.state) - STATES.indexOf(b.state) :
    isTime(key) ? b[key] - a[key] : a[key] - b[key]
  return (descending ? -1 : 1) * (order || (key === "id" ? inOrder(a.id, b.id) : 0)) || inOrder(a.id, b.id)
}

const columns = [...document.querySelectorAll("[data-sort]")].map((button) => button.dataset.sort)

const cellText = (connection, column, now) => {
  const value = connection[column]
  if (column === "id") return value
  if (isTime(column)) return connection.openedAt === 0 ? "–" : formatAge(now - value)
  return column.startsWith("bytes") ? formatBytes(value) : formatCount(value)
}

const makeRow = () => {
  const row = element("tr")
  const cells = columns.map((column) => {
    const isState = column === "state"
    const cell = element("td", column === "id" || isState ? "" : "number")
    const text = isState ? element("span") : cell
    const badge = isState ? element("span", "state", element("i"), text) : undefined
    if (badge) cell.append(badge)
    row.append(cell)
    return { column, cell, text, badge }
  })
  return { row, cells }
}

const showConnections = ({ connections, connectionsLeftOut, now }) => {
  const body = byId("connections").querySelector("tbody")
  const sorted = [...(connections ?? [])].sort(compare)
  const gone = new Set(rows.keys())
  sorted.forEach((connection, index) => {
    gone.delete(connection.id)
    if (!rows.has(connection.id)) rows.set(connection.id, makeRow())
    const { cells, row } = rows.get(connection.id)
    for (const { badge, cell, column, text } of cells) {
      if (badge === undefined) setText(text, cellText(connection, column, now))
      else if (badge.dataset.state !== connection.state) {
        badge.dataset.state = connection.state
        badge.className = "state " + connection.state
        setText(text, connection.state)
      }
      if (column === "id") cell.title = connection.id
    }
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null)
  })
  for (const id of gone) {
    rows.get(id).row.remove()
    rows.delete(id)
  }
  byId("no-connections").hidden = sorted.length > 0
  setText(byId("no-connections"), connections === null ? "This pool does not list them." : "None at the moment.")
  setText(byId("connection-count"), connectionsLeftOut === 0 ? formatCount(sorted.length) :
    formatCount(sorted.length) + " of " + formatCount(sorted.length + connectionsLeftOut))
}

const showSorting = () => {
  for (const button of document.querySelectorAll("[data-sort]")) {
    const heading = button.closest("th")
    if (button.dataset.sort !== sorting.key) heading.removeAttribute("aria-sort")
    else heading.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending")
  }
}

byId("connections").addEventListener("click", ({ target }) => {
  const key = target.dataset.sort
  if (key === undefined) return
  const isText = key === "id" || key === "state"
  sorting = { key, descending: key === sorting.key ? !sorting.descending : !isText }
  showSorting()
  if (latest) showConnections(latest)
})

// Events

let routineEvents = []
let otherEvents = []
let nth = 0
let anyRoutine = false
let isPaused = false

const keepEvents = (events) => {
  for (const event of events) {
    nth += 1
    const isRoutine = event.kind === "routine"
    if (isRoutine) anyRoutine = true
    ;(isRoutine ? routineEvents : otherEvents).push({ ...event, nth })
  }
  routineEvents = routineEvents.slice(-KEPT)
  otherEvents = otherEvents.slice(-KEPT)
}

let shownUpTo = -1

const showEvents = () => {
  if (isPaused) return
  const withRoutine = byId("with-routine").checked
  const events = withRoutine ? [...routineEvents, ...otherEvents].sort((a, b) => a.nth - b.nth).slice(-KEPT) : otherEvents
  byId("no-events").hidden = events.length > 0
  setText(byId("no-events"), !anyRoutine || withRoutine ? "None since this page was opened." :
    "Nothing but leases and drains since this page was opened.")
  const newest = events.length === 0 ? 0 : events[events.length - 1].nth
  if (newest === shownUpTo) return
  shownUpTo = newest
  const lines = events.reverse().map(({ at, connectionId, detail, kind, tag }) =>
    element("tr", kind, ...[formatTime(at), tag, connectionId, detail].map((text) => element("td", "", text))))
  byId("events").querySelector("tbody").replaceChildren(...lines)
}

byId("with-routine").addEventListener("change", () => {
  shownUpTo = -1
  showEvents()
})

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused
  byId("pause").setAttribute("aria-pressed", isPaused)
  setText(byId("pause"), isPaused ? "Go on" : "Pause")
  showEvents()
})

// The stream

let latest
let source

const say = (state, text) => {
  byId("status").dataset.state = state
  setText(byId("status-text"), text)
}

const sayState = ({ state }) => {
  if (state === "open") say("live", "Live")
  else if (state === "closing") say("closing", "The pool is closing")
  else say("closed", "The pool is closed")
}

const show = () => {
  if (document.hidden || latest === undefined) return
  showNumbers(latest)
  showConnections(latest)
  showEvents()
  drawAll()
}

const onSample = (sample) => {
  const { events, failures, latencies, now, stats } = sample
  // Asked again, a closed pool says the same again.
  if (stats.state === "closed" && latest?.stats.state === "closed") return
  if (latest !== undefined && now < latest.now) samples = histograms = []
  latest = sample
  keepEvents(events)
  histograms = [...histograms.filter(({ t }) => now - t <= WINDOW), { t: now, latencies }]
  const times = Object.fromEntries(TIMES.map((time) => [time, percentiles(time)]))
  samples = [...samples.filter(({ t }) => now - t <= SPAN), { t: now, stats, times, failures }]
  sayState(stats)
  show()
}

const listen = () => {
  source?.close()
  // Under whatever path the page is, with or without a slash at its end.
  source = new EventSource(location.origin + location.pathname.replace(/[/]+$/, "") + "/events" + location.search)
  source.addEventListener("message", ({ data }) => onSample(JSON.parse(data)))
  source.addEventListener("error", () => {
    const wasClosed = latest?.stats.state === "closed"
    if (!wasClosed) say("lost", "No connection to the monitor, trying again")
    // It tries again by itself after what it takes for an accident, but not after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT)
  })
}

document.addEventListener("visibilitychange", show)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours()
  drawAll()
})
readColours()
showSorting()
drawAll()
listen()
`
