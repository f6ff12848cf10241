import {
  type Counts,
  counts,
  type Moment,
  type Ongoing,
  ongoing,
  type Percentiles,
  type RequestCounts,
  requestCounts,
  type Time,
  times
} from "./wire.js"

/** When, the counts, the failures, the losses, two percentiles of each time, what was not over, and requests. */
const firstTime = 1 + counts.length + 2
const firstOngoing = firstTime + 2 * times.length
const firstRequest = firstOngoing + ongoing.length
const width = firstRequest + requestCounts.length

/** The latest moments as plain numbers: what they take is fixed, and nothing of it is for the garbage collector. */
export class Moments {
  private readonly numbers: Float64Array
  private length = 0
  /** Where the next one goes. */
  private next = 0

  constructor(private readonly capacity: number) {
    this.numbers = new Float64Array(capacity * width)
  }

  /** When the latest was, if there is one. */
  get latest(): number | undefined {
    return this.length === 0 ? undefined : this.numbers[((this.next + this.capacity - 1) % this.capacity) * width]
  }

  add(moment: Moment): void {
    const row = [
      moment.at,
      ...counts.map((count) => moment.counts[count]),
      moment.failures,
      moment.lost,
      ...times.flatMap((time) => [moment.times[time]?.p50 ?? Number.NaN, moment.times[time]?.p99 ?? Number.NaN]),
      ...ongoing.map((what) => moment.ongoing[what] ?? Number.NaN),
      ...requestCounts.map((count) => moment.requests?.[count] ?? Number.NaN)
    ]
    this.numbers.set(row, this.next * width)
    this.next = (this.next + 1) % this.capacity
    this.length = Math.min(this.length + 1, this.capacity)
  }

  /** Those since a time, the oldest first. */
  since(time: number): ReadonlyArray<Moment> {
    const first = this.next - this.length + this.capacity
    return Array.from({ length: this.length }, (_, index) => this.read((first + index) % this.capacity)).filter(
      ({ at }) => at >= time
    )
  }

  clear(): void {
    this.length = 0
  }

  private read(index: number): Moment {
    const row = this.numbers.subarray(index * width, (index + 1) * width)
    const percentiles = (time: Time): Percentiles | null => {
      const at = firstTime + 2 * times.indexOf(time)
      return Number.isNaN(row[at]) ? null : { p50: row[at]!, p99: row[at + 1]! }
    }
    const age = (what: Ongoing): number | null => {
      const millis = row[firstOngoing + ongoing.indexOf(what)]!
      return Number.isNaN(millis) ? null : millis
    }
    return {
      at: row[0]!,
      counts: Object.fromEntries(counts.map((count, nth) => [count, row[1 + nth]!])) as Counts,
      failures: row[1 + counts.length]!,
      lost: row[2 + counts.length]!,
      times: {
        waited: percentiles("waited"),
        held: percentiles("held"),
        connecting: percentiles("connecting")
      },
      ongoing: { oldestLease: age("oldestLease"), longestWait: age("longestWait") },
      requests: Number.isNaN(row[firstRequest])
        ? null
        : (Object.fromEntries(requestCounts.map((count, nth) => [count, row[firstRequest + nth]!])) as RequestCounts)
    }
  }
}
