import * as Duration from "#effect/Duration"
import type { QuotaUnavailableError } from "../../values/errors.js"
import type { Desk } from "../desk.js"
import type { Answer } from "./report.js"

/** Two readings of how much is left of the same pause differ by what answers take, in milliseconds. */
const pauseNoise = 100

/** Tells the events that follow from an answer of the engine, and from one that does not come. */
export class News {
  /** Until when the fleet opens nothing, as far as it is known. */
  pausedUntil = 0
  private isRecovering = false
  private limit: number | undefined

  constructor(private readonly desk: Desk) {}

  unreachable(error: QuotaUnavailableError): void {
    this.isRecovering = false
    this.desk.tell(() => ({ _tag: "Unreachable", quota: this.desk.name, error }))
  }

  answered({ limit, paused, recovering }: Answer, now: number, isBack: boolean): void {
    const { desk } = this
    const { name: quota } = desk
    if (isBack) desk.tell(() => ({ _tag: "Reachable", quota }))
    if (recovering > 0 && !this.isRecovering) {
      desk.tell(() => ({ _tag: "Recovering", quota, duration: Duration.millis(recovering) }))
    }
    this.isRecovering = recovering > 0
    if (this.limit !== undefined && this.limit !== limit) {
      desk.tell(() => ({ _tag: "Resized", quota, connections: limit }))
    }
    this.limit = limit
    if (paused > 0 && paused + now > this.pausedUntil + pauseNoise) {
      this.pausedUntil = paused + now
      desk.tell(() => ({ _tag: "Paused", quota, duration: Duration.millis(paused) }))
    }
  }
}
