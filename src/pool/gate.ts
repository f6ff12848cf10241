import * as Effect from "#effect/Effect"
import { cancellable } from "../core/cancellable.js"
import { makeTimer, type Timer, type Timers } from "../core/timers.js"
import type { ConnectionUnavailableError } from "../values/errors.js"

/** The longest that a server can hold a pool off, in milliseconds. */
const longestHold = 60_000

interface Hold {
  /** Until when. */
  until: number
  /** With what the server has refused. */
  error: ConnectionUnavailableError
  readonly timer: Timer
  readonly waiting: Set<() => void>
}

/** Holds attempts at a host off for as long as its server has asked for, or until one that was under way succeeds. */
export class Gate {
  private readonly holds = new Map<string, Hold>()

  constructor(private readonly timers: Timers) {}

  /** The server of a host asks to come again later. */
  close(host: string, millis: number, error: ConnectionUnavailableError): void {
    const until = this.timers.now() + Math.min(millis, longestHold)
    let hold = this.holds.get(host)
    if (hold === undefined) {
      hold = { until, error, timer: makeTimer(() => this.open(host)), waiting: new Set() }
      this.holds.set(host, hold)
    } else if (until < hold.until) return
    hold.until = until
    hold.error = error
    this.timers.set(hold.timer, until)
  }

  open(host: string): void {
    const hold = this.holds.get(host)
    if (hold === undefined) return
    this.holds.delete(host)
    this.timers.clear(hold.timer)
    for (const resume of hold.waiting) resume()
  }

  /** What holds attempts at a host off, if something does. */
  holdOf(host: string): Readonly<Pick<Hold, "error" | "until">> | undefined {
    return this.holds.get(host)
  }

  /** Waits until attempts at a host may begin. */
  pass(host: string): Effect.Effect<void> {
    return cancellable<void, never>((resume) => {
      const wake = () => resume(Effect.void)
      const hold = this.holds.get(host)
      if (hold === undefined) wake()
      else hold.waiting.add(wake)
      return () => {
        hold?.waiting.delete(wake)
        return undefined
      }
    })
  }
}
