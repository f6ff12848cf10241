import type { Desk } from "../desk.js"
import type { Party } from "../line.js"

/**
 * What the engine asks this process to give up. The engine counts what it has ever asked for, so that no ask is lost, and
 * none is met twice.
 */
export class Asks {
  idle = 0
  leased = 0
  /** What had ended here when there was no lease left to promise: until something else ends, there is none. */
  private unableAt = -1

  constructor(private readonly desk: Desk) {}

  /** Whether it is of no use to ask for another lease. */
  get isUnable(): boolean {
    return this.unableAt === this.ended
  }

  private get ended(): number {
    return this.desk.tried + this.desk.given
  }

  /** Meets what is new, and says whether all of it could be met. */
  meet(idle: number, leased: number): boolean {
    const newIdle = idle - this.idle
    const newLeased = leased - this.leased
    if (newIdle <= 0 && newLeased <= 0) {
      // The engine has begun anew, and counts from what it was told.
      this.idle = Math.min(this.idle, idle)
      this.leased = Math.min(this.leased, leased)
      return true
    }
    this.idle = idle
    this.leased = leased
    let short = 0
    for (let count = newIdle; count > 0; count--) if (!this.giveUp(({ spare }) => spare, "idle")) short += 1
    for (let count = newLeased; count > 0; count--) {
      if (this.giveUp(({ share }) => share, "leased")) continue
      this.unableAt = this.ended
      short += 1
    }
    return short === 0
  }

  private giveUp(measure: (party: Party) => number, from: "idle" | "leased"): boolean {
    const asked = new Set<Party>()
    for (;;) {
      const party = this.desk.richest(measure, asked)
      if (party === undefined) return false
      if (this.desk.reclaim(party, from)) return true
      asked.add(party)
    }
  }
}
