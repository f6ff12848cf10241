import type { Histogram, Percentiles } from "./wire.js"

/** The least time that half, and 99 of 100, of what was timed do not exceed; `null` if nothing was. Shortest first. */
export const percentiles = (histogram: Histogram): Percentiles | null => {
  const all = histogram.reduce((sum, [, count]) => sum + count, 0)
  if (all === 0) return null
  const at = (part: number): number => {
    let rest = Math.ceil(part * all)
    for (const [millis, count] of histogram) {
      rest -= count
      if (rest <= 0) return millis
    }
    return 0
  }
  return { p50: at(0.5), p99: at(0.99) }
}

/** Several as one. */
export const merged = (histograms: Iterable<Histogram>): Histogram => {
  const counts = new Map<number, number>()
  for (const histogram of histograms) {
    for (const [millis, count] of histogram) counts.set(millis, (counts.get(millis) ?? 0) + count)
  }
  return [...counts].sort(([a], [b]) => a - b)
}
