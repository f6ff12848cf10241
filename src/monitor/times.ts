import { percentiles } from "./percentiles.js"
import type { Histogram, Latencies, Percentiles } from "./wire.js"

/** Times below this many milliseconds have a count each; longer ones share one if their first two digits are equal. */
const exact = 100
/** Counts for each power of ten from there on: 10 to 99. */
const perDecade = 90
/** Up to 10^8 ms, a bit more than a day; what takes longer counts as that long. */
const decades = 6
const size = exact + perDecade * decades

const indexOf = (millis: number): number => {
  if (millis < exact - 0.5) return millis > 0 ? (millis + 0.5) | 0 : 0
  return indexOfLong(millis)
}

const indexOfLong = (millis: number): number => {
  if (!(millis < Number.POSITIVE_INFINITY)) return millis > 0 ? size - 1 : 0
  let decade = Math.floor(Math.log10(millis)) - 2
  let digits = Math.round(millis / 10 ** (decade + 1))
  // 99.6 has become 100.
  if (digits >= 100) {
    decade += 1
    digits = 10
  }
  return Math.min(exact + Math.max(0, decade) * perDecade + digits - 10, size - 1)
}

const millisOf = (index: number): number => {
  if (index < exact) return index
  const decade = Math.floor((index - exact) / perDecade)
  return (((index - exact) % perDecade) + 10) * 10 ** (decade + 1)
}

/** A histogram as pairs of an index and a count: a tenth of what it takes as arrays in an array. */
type Packed = Uint32Array

const nothing: Packed = new Uint32Array(0)

const pack = (counts: Uint32Array): Packed => {
  const packed: Array<number> = []
  for (let index = 0; index < size; index += 1) {
    const count = counts[index]!
    if (count > 0) packed.push(index, count)
  }
  return Uint32Array.from(packed)
}

const unpack = (packed: Packed): Histogram =>
  Array.from({ length: packed.length / 2 }, (_, nth) => [millisOf(packed[2 * nth]!), packed[2 * nth + 1]!] as const)

/** How often something took how long. To add a time costs as much as to count it. */
export class Counter {
  private readonly counts = new Uint32Array(size)
  private any = false

  add(millis: number): void {
    this.counts[indexOf(millis)]! += 1
    this.any = true
  }

  /** What has been added since the last time; shortest first. */
  take(): Histogram {
    return unpack(this.takePacked())
  }

  takePacked(): Packed {
    if (!this.any) return nothing
    const packed = pack(this.counts)
    this.counts.fill(0)
    this.any = false
    return packed
  }
}

/** What has been counted lately, and the sum of it. */
export class Window {
  private readonly sums = new Uint32Array(size)
  private parts: ReadonlyArray<{ readonly at: number; readonly packed: Packed }> = []

  add(at: number, packed: Packed): void {
    this.parts = [...this.parts, { at, packed }]
    for (let nth = 0; nth < packed.length; nth += 2) this.sums[packed[nth]!]! += packed[nth + 1]!
  }

  /** Drops what is not later than a time. */
  forget(until: number): void {
    for (const { at, packed } of this.parts) {
      if (at > until) continue
      for (let nth = 0; nth < packed.length; nth += 2) this.sums[packed[nth]!]! -= packed[nth + 1]!
    }
    this.parts = this.parts.filter(({ at }) => at > until)
  }

  percentiles(): Percentiles | null {
    return percentiles(unpack(pack(this.sums)))
  }

  histogramAt(time: number): Histogram {
    return unpack(this.parts.find(({ at }) => at === time)?.packed ?? nothing)
  }

  times(): ReadonlyArray<number> {
    return this.parts.map(({ at }) => at)
  }
}

/** What is timed in a pool. */
export class Times {
  readonly waited = new Counter()
  readonly held = new Counter()
  readonly connecting = new Counter()

  take(): Latencies {
    return { waited: this.waited.take(), held: this.held.take(), connecting: this.connecting.take() }
  }
}
