import { makeTimer, type Timer, type Timers } from "./timers.js"

/** The pauses between two tries to keep `min`, in milliseconds: doubled each time, up to the last. */
export const firstPause = 100
export const longestPause = 10_000

/** When to try again to keep `min`: later each time, up to a limit, and never at the same moment as everybody else. */
export class Upkeep {
  /** Failures since a success, and losses of items that did not live long, in a row. */
  private failures = 0
  private losses = 0
  private readonly pause: Timer

  constructor(
    private readonly timers: Timers,
    private readonly random: () => number,
    resume: () => void
  ) {
    this.pause = makeTimer(resume)
  }

  get isPausing(): boolean {
    return this.pause.position !== -1
  }

  succeeded(): void {
    this.failures = 0
  }

  /** What fails before the next try belongs to the same one. */
  failed(): void {
    if (this.isPausing) return
    this.failures += 1
    this.wait(this.failures)
  }

  /** What loses its items quickly waits longer each time to replace them. */
  lost(createdAt: number): void {
    if (this.isPausing) return
    this.losses = this.timers.now() - createdAt < longestPause ? this.losses + 1 : 1
    this.wait(this.losses)
  }

  stop(): void {
    this.timers.clear(this.pause)
  }

  private wait(times: number): void {
    const jitter = 0.8 + 0.4 * this.random()
    const pause = Math.min(Math.min(firstPause * 2 ** (times - 1), longestPause) * jitter, longestPause)
    this.timers.set(this.pause, this.timers.now() + pause)
  }
}
