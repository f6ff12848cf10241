import type { Shelf } from "./shelf.js"
import type { Slot } from "./slot.js"
import { makeTimer, type Timer, type Timers } from "./timers.js"
import { firstPause } from "./upkeep.js"

/** Closes what has been idle for too long, the one that has been for longest first. */
export class Idling<A, E> {
  private readonly timer: Timer

  constructor(
    private readonly shelf: Shelf<A, E>,
    private readonly timers: Timers,
    private readonly idleTimeout: number,
    /** Whether this one is idle indeed. */
    private readonly isIdle: (slot: Slot<A, E>) => boolean,
    /** Whether one may go; `"Later"` if it would be made again at once. */
    private readonly mayClose: () => boolean | "Later",
    private readonly close: (slot: Slot<A, E>) => void
  ) {
    this.timer = makeTimer(() => this.look())
  }

  /** Something is idle since then. An armed timer is due no later than anything idle: it looks again when it is. */
  arm(since: number): void {
    const due = since + this.idleTimeout
    if (this.timer.position === -1 || due < this.timer.due) this.timers.set(this.timer, due)
  }

  stop(): void {
    this.timers.clear(this.timer)
  }

  private get oldest(): Slot<A, E> | undefined {
    return this.shelf.oldest(this.isIdle)
  }

  private look(): void {
    for (let oldest = this.oldest; oldest !== undefined; oldest = this.oldest) {
      const mayClose = this.mayClose()
      if (mayClose === false) return
      const now = this.timers.now()
      const due = oldest.idleSince + this.idleTimeout
      if (due > now) this.timers.set(this.timer, due)
      else if (mayClose === "Later") this.timers.set(this.timer, now + Math.max(this.idleTimeout, firstPause))
      else {
        this.close(oldest)
        continue
      }
      return
    }
  }
}
