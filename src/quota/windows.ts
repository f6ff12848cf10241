import type { Window } from "./options.js"

/**
 * How many attempts may begin in sliding windows. An attempt counts while it is under way, and for `millis` after it has
 * ended: only so the server, which may see it late, never sees more than `limit` in any span.
 */
export class Windows {
  /** When attempts ended, the latest last. */
  private ends: Array<number> = []

  constructor(public windows: ReadonlyArray<Window>) {}

  ended(now: number): void {
    if (this.windows.length === 0) return
    this.ends.push(now)
    const most = Math.max(...this.windows.map(({ limit }) => limit))
    // More than the largest limit can never count.
    if (this.ends.length > 2 * most) this.ends = this.ends.slice(-most)
  }

  /** When one more attempt may begin, with so many under way: now, later, or not before one of these has ended. */
  nextAt(now: number, trying: number): number {
    let at = now
    for (const { limit, millis } of this.windows) {
      if (trying >= limit) return Number.POSITIVE_INFINITY
      // The one that has to be over before there is room.
      const end = this.ends[this.ends.length - (limit - trying)]
      if (end !== undefined && end + millis > at) at = end + millis
    }
    return at
  }

  /** How many count now, for each window. */
  counts(now: number, trying: number): ReadonlyArray<number> {
    return this.windows.map(({ millis }) => trying + this.ends.filter((end) => end + millis > now).length)
  }
}
