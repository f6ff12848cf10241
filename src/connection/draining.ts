import { makeTimer, type Timer, type Timers } from "../core/timers.js"
import type { Message } from "../values/message.js"

/** When a line counts as quiet; times are in milliseconds. */
export interface DrainSettings {
  readonly quietPeriod: number
  readonly timeout: number
  readonly condition: (message: Message) => boolean
}

/**
 * The wait of one connection to fall quiet after a lease.
 */
export class Draining {
  /** Messages that came and were dropped. */
  dropped = 0
  private quietAt = 0
  /** By how much the timer was late so far, at most. */
  private late = 0
  private readonly quiet: Timer
  private readonly overdue: Timer

  constructor(
    /** When it began. */
    readonly since: number,
    private readonly settings: DrainSettings,
    private readonly timers: Timers,
    onQuiet: () => void,
    onOverdue: () => void
  ) {
    this.quiet = makeTimer(() => {
      // Messages only move the time; the timer follows when it is due. A program that was held up has yet to read
      // what has arrived meanwhile: it gets as much time again, until it is held up no more.
      const late = timers.now() - this.quietAt
      if (late >= this.late + 1) {
        this.late = late
        this.quietAt += 2 * late
      }
      if (this.quietAt > timers.now()) timers.set(this.quiet, this.quietAt)
      else onQuiet()
    })
    let isExcused = false
    this.overdue = makeTimer(() => {
      const late = timers.now() - this.overdue.due
      if (late < 1 || isExcused) {
        onOverdue()
        return
      }
      isExcused = true
      timers.set(this.overdue, timers.now() + Math.min(2 * late, settings.timeout))
    })
  }

  start(): void {
    this.quietAt = this.timers.now() + this.settings.quietPeriod
    this.timers.set(this.quiet, this.quietAt)
    this.timers.set(this.overdue, this.since + this.settings.timeout)
  }

  onMessage(): void {
    this.dropped += 1
    this.quietAt = this.timers.now() + this.settings.quietPeriod
  }

  stop(): void {
    this.timers.clear(this.quiet)
    this.timers.clear(this.overdue)
  }
}
