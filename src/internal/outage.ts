import * as Duration from "effect/Duration"
import type { ConnectionUnavailableError } from "../PoolError.js"
import type { Log } from "./log.js"
import type { Timers } from "./timers.js"

/** How far apart, in milliseconds, two outages are told, so that a server that comes and goes fills no log. */
const restraint = 10_000

/** Tells that the server cannot be reached, once, and that it can be again, whatever happens in between. */
export class Outage {
  /** Failed attempts since the last success. */
  private failures = 0
  private since = 0
  private isTold = false
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly log: Log,
    private readonly timers: Timers
  ) {}

  failed({ message, reason }: ConnectionUnavailableError): void {
    const now = this.timers.now()
    if (this.failures === 0) this.since = now
    this.failures += 1
    if (this.isTold || now - this.toldAt < restraint) return
    this.isTold = true
    this.toldAt = now
    this.log.warn(message, { reason })
  }

  succeeded(): void {
    const { failures } = this
    if (failures === 0) return
    this.failures = 0
    if (!this.isTold) return
    this.isTold = false
    const elapsed = Duration.format(Duration.millis(this.timers.now() - this.since))
    this.log.info(`Connected again after ${elapsed} (${failures} failed attempt${failures === 1 ? "" : "s"})`)
  }
}
