import { merged, percentiles } from "../percentiles.js"
import {
  type Counts,
  counts,
  type History,
  type Latencies,
  lostOf,
  type Moment,
  type Sample,
  type Time
} from "../wire.js"

/** The most that is kept, and may be shown, in milliseconds. */
const longest = 600_000

/** What percentiles are taken of. */
const window = 30_000
const rateWindow = 5_000

/** Moments further apart are not joined: nobody recorded in between. */
const gap = 3_000

let moments: ReadonlyArray<Moment> = []
let latencies: ReadonlyArray<{ readonly at: number; readonly latencies: Latencies }> = []
let span = 120_000

/** How far back the charts go, in milliseconds. */
export const shownSpan = (): number => span

export const showSpan = (millis: number): void => {
  span = millis
}

/** What the charts show; the oldest first. */
export const shown = (): ReadonlyArray<Moment> => {
  const last = moments.at(-1)
  return last === undefined ? [] : moments.filter(({ at }) => last.at - at <= span)
}

/** The moments without interruption, one after the other. */
export const runs = (all: ReadonlyArray<Moment>): ReadonlyArray<ReadonlyArray<Moment>> => {
  const found: Array<Array<Moment>> = []
  let before: Moment | undefined
  for (const moment of all) {
    if (before === undefined || moment.at - before.at > gap) found.push([])
    found.at(-1)?.push(moment)
    before = moment
  }
  return found
}

export const forget = (): void => {
  moments = []
  latencies = []
}

/**
 * Takes over what was recorded, but keeps what this page has seen before that began, of a server that is gone, say.
 * Gives when it began.
 */
export const recall = (history: History, now: number): number => {
  const since = history.moments[0]?.at ?? now
  moments = [...moments.filter(({ at }) => at < since), ...history.moments.filter(({ at }) => at < now)]
  latencies = history.latencies
  return since
}

export const add = (sample: Sample): void => {
  const { failures, now, stats } = sample
  latencies = [...latencies.filter(({ at }) => now - at < window), { at: now, latencies: sample.latencies }]
  const over = (time: Time) => percentiles(merged(latencies.map(({ latencies }) => latencies[time])))
  const moment: Moment = {
    at: now,
    counts: Object.fromEntries(counts.map((count) => [count, stats[count]])) as Counts,
    failures,
    lost: lostOf(stats.closedBy),
    times: { waited: over("waited"), held: over("held"), connecting: over("connecting") },
    ongoing: { oldestLease: stats.oldestLease?.held ?? null, longestWait: stats.longestWait ?? null },
    requests: sample.requests ?? null
  }
  moments = [...moments.filter(({ at }) => now - at <= longest), moment]
}

/** By how much something that only grows has grown lately. */
export const changeOver = (millis: number, read: (moment: Moment) => number): number => {
  const last = moments.at(-1)
  const first = last && moments.find(({ at }) => last.at - at <= millis)
  return first === undefined || last === undefined ? 0 : Math.max(0, read(last) - read(first))
}

/** The median of a time, as of the latest moment. */
export const medianOf = (time: Time): number | undefined => moments.at(-1)?.times[time]?.p50

/** `undefined` before there are two moments to compare. */
export const leasesPerSecond = (): number | undefined => {
  const last = moments.at(-1)
  const first = last && moments.find(({ at }) => last.at - at <= rateWindow)
  if (first === undefined || last === undefined || first === last) return undefined
  return (Math.max(0, last.counts.acquired - first.counts.acquired) * 1000) / (last.at - first.at)
}
