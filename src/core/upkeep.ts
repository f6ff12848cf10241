import { makeTimer, type Timer, type Timers } from "./timers.js"

/** The pauses between two tries to keep `min`, in milliseconds: doubled each time, up to the last. */
export const firstPause = 100
export const longestPause = 10_000

/** What is replaced at once has to last this long, in milliseconds, or its end is that of a failure. */
export const shortestLife = 1_000

/** When to try again to keep `min`: later each time, up to a limit, and never at the same moment as everybody else. */
export class Upkeep {
  /** Failures since a success, and losses of items that did not live long, in a row. */
  private failures = 0
  private losses = 0
  /** When the latest of these losses was. */
  private lostAt = 0
  /** How many items are to be replaced at once, whatever the pause is for. */
  private renewals = 0
  private readonly pause: Timer
  /** Whether the pause is one after a failure, and not only after a loss. */
  private hasFailed = false

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

  /** Asks for one more. What is replaced at once waits for no pause, but for that after a failure. */
  mayStart(): boolean {
    if (this.isPausing && (this.renewals === 0 || this.hasFailed)) return false
    if (this.renewals > 0) this.renewals -= 1
    return true
  }

  /** Nothing is missing. */
  satisfied(): void {
    this.renewals = 0
  }

  succeeded(): void {
    this.failures = 0
  }

  /** What fails before the next try belongs to the same one. */
  failed(): void {
    if (this.isPausing && this.hasFailed) return
    this.hasFailed = true
    this.failures += 1
    this.wait(this.failures)
  }

  renewed(): void {
    this.renewals += 1
  }

  /**
   * Something ended that was to stay. What ends within `longestPause` doubles the pause, until something that was made
   * after it has lasted that long. Those that end before the next try belong to the same loss.
   */
  lost(now: number, lasted: number, hasLasting: (since: number) => boolean): void {
    if (this.isPausing) return
    this.hasFailed = false
    if (this.losses > 0 && hasLasting(this.lostAt)) this.losses = 0
    // The first is counted, however long it had lasted: what ends shortly after it is the second.
    if (lasted < longestPause || this.losses === 0) {
      this.losses += 1
      this.lostAt = now
    }
    this.wait(this.losses)
  }

  stop(): void {
    this.timers.clear(this.pause)
  }

  private wait(times: number): void {
    const jitter = 0.8 + 0.4 * this.random()
    const pause = Math.min(Math.min(firstPause * 2 ** (times - 1), longestPause) * jitter, longestPause)
    const due = this.timers.now() + Math.round(pause)
    // A failure in the pause after a loss does not shorten it.
    if (!this.isPausing || this.pause.due < due) this.timers.set(this.pause, due)
  }
}
