import type { ByReason, Sample } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatAge, formatCount } from "./format.js"
import { leasesPerSecond, shown, shownSpan } from "./moments.js"

export const showNumbers = ({ failedBy, lostGetsBy, options, pool, stats }: Sample): void => {
  const name = pool ?? "WebSocket pool"
  setText(byId("name"), name)
  document.title = name + (pool === null ? "" : " – WebSocket pool")
  const limits = `keeps ${formatCount(stats.minConnections)} to ${formatCount(stats.maxConnections)} connections`
  setText(byId("limits"), limits)
  setText(byId("busy"), formatCount(stats.busy))
  setText(byId("of"), `of ${formatCount(stats.maxConnections)}`)
  setText(byId("waiting"), formatCount(stats.waiting))
  const { longestWait, oldestLease } = stats
  setText(byId("oldest"), oldestLease === undefined ? "" : `the oldest for ${formatAge(oldestLease.held)}`)
  setText(byId("longest"), longestWait === undefined ? "" : `the longest for ${formatAge(longestWait)}`)
  const rate = stats.state === "closed" ? undefined : leasesPerSecond()
  setText(byId("rate"), rate === undefined ? "–" : rate === 0 || rate >= 9.95 ? formatCount(rate) : rate.toFixed(1))
  const failures = shown().reduce((sum, moment) => sum + moment.failures, 0)
  setText(byId("failures"), formatCount(failures))
  setText(byId("failures-title"), `Failures in ${shownSpan() / 60_000} minutes`)
  byId("trouble").dataset.any = String(failures > 0)
  const totals: Readonly<Record<string, unknown>> = { ...stats }
  for (const total of document.querySelectorAll<HTMLElement>("[data-total]")) {
    const value = totals[total.dataset.total ?? ""]
    setText(total, typeof value === "number" ? formatCount(value) : "–")
  }
  setText(byId("closed-by"), sayReasons(stats.closedBy))
  setText(byId("failed-by"), sayReasons(failedBy))
  setText(byId("lost-gets-by"), sayReasons(lostGetsBy))
  showOptions(options)
}

const sayReasons = (byReason: ByReason | undefined): string => {
  const counted = Object.entries(byReason ?? {}).filter(([, count]) => count > 0)
  const said = counted.sort(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${formatCount(count)}`)
  return said.length === 0 ? "none" : said.join(", ")
}

let optionsShown = ""

const showOptions = (options: Sample["options"]): void => {
  const said = JSON.stringify(options)
  if (said === optionsShown) return
  optionsShown = said
  const entries = Object.entries(options)
  byId("options").hidden = entries.length === 0
  find(byId("options"), "dl").replaceChildren(
    ...entries.map(([name, value]) => element("div", "", element("dt", "", name), element("dd", "", value)))
  )
}
