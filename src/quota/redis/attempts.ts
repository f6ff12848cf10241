/** Attempts whose end is remembered. */
const longestMemory = 1_000

/** When attempts of this process ended that may still count: for an engine that does not know, or has forgotten. */
export class Attempts {
  private ends: Array<number> = []
  private noted = 0
  /** The next report tells of what has ended since then. */
  private tellsFrom = Number.POSITIVE_INFINITY

  /** So many have ended since the start. */
  note(tried: number, now: number): void {
    for (; this.noted < tried; this.noted++) this.ends.push(now)
    if (this.ends.length > 2 * longestMemory) this.ends = this.ends.slice(-longestMemory)
  }

  /** The engine may not know of those that have ended since; says whether there are any. */
  tellFrom(time: number): boolean {
    this.tellsFrom = Math.min(this.tellsFrom, time)
    return this.untold.length > 0
  }

  /** Those to be told of. */
  private get untold(): ReadonlyArray<number> {
    return this.ends.filter((end) => end >= this.tellsFrom)
  }

  ages(now: number): ReadonlyArray<number> {
    return this.untold.map((end) => now - end)
  }

  /** A report is on its way; says what to give to `tellFrom` if it is not answered. */
  told(): number {
    const from = this.tellsFrom
    this.tellsFrom = Number.POSITIVE_INFINITY
    return from
  }
}
