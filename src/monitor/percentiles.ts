import type { Histogram, Percentiles } from "./wire.js"

/** The least value that half, and 99 of 100, of what was timed do not exceed. */
export const percentiles = (histograms: Iterable<Histogram>): Percentiles | null => {
  const counts = new Map<number, number>()
  let all = 0
  for (const histogram of histograms) {
    for (const [millis, count] of histogram) {
      counts.set(millis, (counts.get(millis) ?? 0) + count)
      all += count
    }
  }
  if (all === 0) return null
  const sorted = [...counts].sort(([a], [b]) => a - b)
  const at = (part: number): number => {
    let rest = Math.ceil(part * all)
    for (const [millis, count] of sorted) {
      rest -= count
      if (rest <= 0) return millis
    }
    return 0
  }
  return { p50: at(0.5), p99: at(0.99) }
}
