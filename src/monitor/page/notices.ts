/** What is wrong now, said in a sentence or two above everything else. */
import type { Sample } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatAge, formatClock, formatCount, formatMillis } from "./format.js"
import { changeOver } from "./moments.js"

/** Over how long connections that are lost, and `get`s that are turned away, count as what happens now. */
const recent = 60_000
/** Connections that may be lost in that time without a word. */
const fewLosses = 3
/** A wait, in milliseconds, that is no longer the routine of a busy pool. */
const longWait = 1_000
/** A lease on which nothing has come for so long is more likely stuck than at work. */
const longQuiet = 5_000
/** Without anybody who waits, it is nothing to worry about before this. */
const veryLongQuiet = 60_000
/** Half of the leases lasting longer than this are slow. */
const slow = 1_000

interface Notice {
  readonly kind: "bad" | "odd"
  readonly title: string
  readonly lines: ReadonlyArray<string>
}

const plural = (n: number, noun: string): string => `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`

const outage = ({ now, stats }: Sample): Notice | undefined => {
  const out = stats.outage
  if (out === undefined) return undefined
  const title = `The server cannot be reached since ${formatClock(out.since)}`
  const how = `${plural(out.attempts, "attempt")} failed in ${formatAge(now - out.since)}. The latest: ${out.lastFailure}`
  return { kind: "bad", title, lines: [how] }
}

const losses = ({ stats }: Sample, latestLoss: string | undefined): Notice | undefined => {
  const lost = changeOver(recent, ({ lost }) => lost)
  if (lost < fewLosses) return undefined
  const opened = changeOver(recent, ({ counts }) => counts.opened)
  const title = `Connections do not last: ${plural(lost, "connection")} lost in the last minute`
  const lines = [`${formatCount(opened)} opened meanwhile, ${formatCount(stats.total)} there now.`]
  if (latestLoss !== undefined) lines.push(`The latest loss: ${latestLoss}`)
  return { kind: "bad", title, lines }
}

/** Who holds the leases, if that tells anything. */
const holders = ({ holders, stats }: Sample): string | undefined => {
  const [first, ...others] = holders
  if (first === undefined || (first.span === null && others.length === 0)) return undefined
  if (others.length === 0) return `All of them are held in span ${first.span}.`
  const said = holders.slice(0, 4).map(({ leases, span }) => `${formatCount(leases)} in ${span ?? "no span"}`)
  const rest = holders.length > 4 ? ", …" : ""
  return `Of ${plural(stats.busy, "lease")}, ${said.join(", ")}${rest}.`
}

const whereOf = (span: string | undefined): string => (span === undefined ? "" : ` in span ${span}`)

/** What the leases themselves tell of why none comes free. */
const causeOf = ({ stats }: Sample, median: number | undefined): string | undefined => {
  const { oldestLease } = stats
  if (oldestLease !== undefined && oldestLease.quietFor >= longQuiet) {
    const { connectionId, held, quietFor, span } = oldestLease
    return (
      `The oldest lease, of ${connectionId}${whereOf(span)}, has been held for ${formatAge(held)}, the last ` +
      `${formatAge(quietFor)} without a message: look at what its holder waits for, and at the server.`
    )
  }
  if (median !== undefined && median >= slow) {
    return (
      `Messages come, but leases take long: half of the latest took ${formatMillis(median)} or more. ` +
      "The server is slow, or leases do too much."
    )
  }
  return undefined
}

const exhaustion = (sample: Sample, median: number | undefined): Notice | undefined => {
  const { stats } = sample
  const { longestWait, maxConnections, total, waiting } = stats
  const turnedAway = changeOver(recent, ({ counts }) => counts.exhausted)
  const isStuck = waiting > 0 && total >= maxConnections && (longestWait ?? 0) >= longWait && stats.outage === undefined
  if (!isStuck && turnedAway === 0) return undefined
  const title = isStuck
    ? `Exhausted: ${formatCount(stats.busy)} of ${formatCount(maxConnections)} leased, ${plural(waiting, "get")} waiting`
    : "Exhausted a moment ago"
  const waits = [
    ...(isStuck ? [`The longest wait: ${formatAge(longestWait ?? 0)}.`] : []),
    ...(turnedAway > 0 ? [`${plural(turnedAway, "get")} turned away in the last minute.`] : [])
  ]
  const lines = [waits.join(" "), causeOf(sample, median), holders(sample)]
  return { kind: "bad", title, lines: lines.filter((line) => line !== undefined) }
}

const leak = ({ leakThreshold, stats }: Sample): Notice | undefined => {
  const { oldestLease } = stats
  if (oldestLease === undefined) return undefined
  const { connectionId, held, quietFor, span } = oldestLease
  const isLeak = leakThreshold !== null && held >= leakThreshold
  if (!isLeak && quietFor < veryLongQuiet) return undefined
  const title = `A lease has been held for ${formatAge(held)}${isLeak ? ", longer than leakThreshold" : ""}`
  const what = `${connectionId}${whereOf(span)}, the last ${formatAge(quietFor)} without a message.`
  return { kind: isLeak ? "bad" : "odd", title, lines: [`${what} Is it given back at all?`] }
}

/** Each has a box in the page, so that they always come in the same order. */
type Name = "exhaustion" | "leak" | "losses" | "outage"

const boxOf = (name: Name): HTMLElement => find(byId("notices"), `[data-notice="${name}"]`)

const show = (name: Name, notice: Notice | undefined): void => {
  const box = boxOf(name)
  box.hidden = notice === undefined
  if (notice === undefined) {
    box.replaceChildren()
    return
  }
  if (box.children.length === 0) box.append(element("strong", ""))
  box.dataset.kind = notice.kind
  const [title, ...lines] = [...box.children]
  if (title !== undefined) setText(title, notice.title)
  notice.lines.forEach((line, index) => {
    const p = lines[index] ?? box.appendChild(element("p", ""))
    setText(p, line)
  })
  for (const surplus of lines.slice(notice.lines.length)) surplus.remove()
}

export const showNotices = (sample: Sample, median: number | undefined, latestLoss: string | undefined): void => {
  const isOpen = sample.stats.state !== "closed"
  show("outage", isOpen ? outage(sample) : undefined)
  show("losses", isOpen ? losses(sample, latestLoss) : undefined)
  show("exhaustion", isOpen ? exhaustion(sample, median) : undefined)
  show("leak", isOpen ? leak(sample) : undefined)
}
