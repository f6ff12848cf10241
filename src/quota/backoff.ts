/** The first pause after a refusal, and the longest, in milliseconds. */
export const firstPause = 1_000
export const longestPause = 60_000

/** How long the fleet opens nothing, after refusals or by request. */
export class Backoff {
  /** Until when nothing is opened. */
  until = 0
  /** Until when the latest refusals have it so. */
  private refusedUntil = 0
  /** Pauses since an attempt has succeeded. */
  private level = 0

  /** A shorter pause later does not shorten it. */
  pause(now: number, millis: number): void {
    this.until = Math.max(this.until, now + millis)
  }

  /** An attempt was refused. Those that were under way when a pause began belong to the refusal that began it. */
  refused(now: number, millis: number | undefined, hasSucceeded: boolean): void {
    if (hasSucceeded) this.level = 0
    if (millis === undefined) {
      if (now < this.refusedUntil) return
      this.refusedUntil = now + Math.min(firstPause * 2 ** this.level, longestPause)
      this.level += 1
    } else this.refusedUntil = Math.max(this.refusedUntil, now + millis)
    this.until = Math.max(this.until, this.refusedUntil)
  }
}
