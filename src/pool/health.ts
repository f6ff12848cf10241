import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { Link } from "../connection/link.js"
import { Limit } from "../core/limit.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { Hook, Settings } from "../options/decode.js"
import * as defaults from "../options/defaults.js"
import type { AcquireError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Hooks } from "./hooks.js"
import type { Settling } from "./settling.js"
import type { Place, Tasks } from "./tasks.js"

/** Finds out which connections are alive: those that are silent, and those that are about to be leased. */
export class Health {
  /** Those that have been silent for as long as one that was dead, and have yet to answer. */
  private readonly suspects = new Set<Link>()

  constructor(
    private readonly settings: Settings,
    private readonly pool: SlotPool<Link, AcquireError>,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly tasks: Tasks,
    private readonly hooks: Hooks,
    private readonly settling: Settling
  ) {}

  needsCheck({ item }: Place, now: number): boolean {
    const { validateAfterIdle } = this.settings
    // Behind a socket that is not read no answer can be seen.
    if (validateAfterIdle === Number.POSITIVE_INFINITY || item.isPaused) return false
    return item.silentFor(now) > validateAfterIdle
  }

  check(slot: Place): void {
    this.checkWithin(slot, Math.min(Duration.toMillis(defaults.validationTimeout), this.settings.pingTimeout))
  }

  private checkWithin(slot: Place, limit: number): void {
    const { healthCheck } = this.settings
    if (healthCheck === undefined) this.checkByPing(slot, limit)
    else this.checkWith(slot, healthCheck, limit)
  }

  private checkByPing(slot: Place, limit: number): void {
    const link = slot.item
    const onPinged = (exit: Exit.Exit<unknown, unknown>): void => {
      // One that has ended meanwhile is not unhealthy, but lost.
      const isDead = Exit.isFailure(exit) && link.end === undefined
      this.suspects.delete(link)
      if (isDead) this.kill(link)
      this.pool.checked(slot, Exit.isSuccess(exit))
      if (isDead) this.suspectSilent()
    }
    const late = new Limit(this.timers, limit, () => "no answer in time")
    this.tasks.run(slot, Effect.interruptible(link.ping(undefined)), onPinged, late)
  }

  private checkWith(slot: Place, healthCheck: Hook, limit: number): void {
    const link = slot.item
    this.tasks.run(slot, this.hooks.run("healthCheck", link, healthCheck, limit), (exit) => {
      this.suspects.delete(link)
      const isHealthy = this.hooks.isHealthy("healthCheck", exit)
      // One that has ended meanwhile is not unhealthy, but lost, or closed by its hook.
      const isDead = !isHealthy && !link.isEnding
      if (isDead) this.journal.totals.healthCheckFailures += 1
      const isTidy = link.leases === 0 || link.inbox.drop((message) => this.settling.mayDrop(message))
      link.wasChecked()
      this.pool.checked(slot, isHealthy, link.isEnding ? link.closeReason : isTidy ? undefined : "Dirty")
      if (isDead) this.suspectSilent()
    })
  }

  /** One line was dead: those that were as silent are not lent until they have answered. */
  private suspectSilent(): void {
    const now = this.timers.now()
    for (const slot of Array.from(this.pool.slots)) {
      if (slot.state !== "idle" || !this.needsCheck(slot, now)) continue
      this.suspects.add(slot.item)
      this.pool.suspect(slot)
      this.checkWithin(slot, this.settings.pingTimeout)
    }
  }

  /** A suspect that is closed for the place that it takes is not asked for a closing handshake. */
  condemn(link: Link, reason: CloseReason): void {
    if (this.suspects.delete(link) && reason === "Unhealthy") this.kill(link)
  }

  /** A connection has ended: what a check of it comes to is known now. */
  ended(slot: Place, reason: CloseReason): void {
    if (slot.state === "checking") this.pool.checked(slot, false, reason)
    else this.pool.doom(slot, reason)
  }

  onSilent(link: Link): void {
    const { slot } = link
    const { healthCheck } = this.settings
    if (slot.state === "idle" && healthCheck !== undefined) {
      this.pool.checkOut(slot)
      this.checkWith(slot, healthCheck, this.settings.pingTimeout)
    } else link.sendPing()
  }

  onDead(link: Link): void {
    this.kill(link)
    if (link.slot.item === link) this.pool.doom(link.slot, "Unhealthy")
  }

  private kill(link: Link): void {
    this.journal.totals.healthCheckFailures += 1
    link.closeReason ??= "Unhealthy"
    link.destroy()
  }
}
