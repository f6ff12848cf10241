import type { Desk } from "../desk.js"
import type { Party } from "../line.js"
import type { Answer, Report } from "./report.js"

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

  /**
   * An engine that counts less than it was told has forgotten, and counts on from there. Only what this very report has told shows
   * that: an ask may have overtaken its answer, and counts still.
   */
  follow(told: Report, { askedIdle, askedLeased }: Answer): void {
    if (askedIdle < told.askedIdle) this.idle = Math.min(this.idle, askedIdle)
    if (askedLeased < told.askedLeased) this.leased = Math.min(this.leased, askedLeased)
  }

  /** Meets what is new, and says whether all of it could be met. */
  meet(idle: number, leased: number): boolean {
    const newIdle = Math.max(idle - this.idle, 0)
    const newLeased = Math.max(leased - this.leased, 0)
    this.idle += newIdle
    this.leased += newLeased
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
