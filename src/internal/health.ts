import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AcquireError } from "../PoolError.js"
import * as defaults from "./defaults.js"
import type { Hooks } from "./hooks.js"
import type { Journal } from "./journal.js"
import type { Link } from "./link.js"
import type { Hook, Settings } from "./options.js"
import type { Settling } from "./settling.js"
import type { SlotPool } from "./slotPool.js"
import type { Place, Tasks } from "./tasks.js"
import type { Timers } from "./timers.js"
import { Limit } from "./within.js"

/** Finds out which connections are alive: those that are silent, and those that are about to be leased. */
export class Health {
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
    const link = slot.item
    const limit = Math.min(Duration.toMillis(defaults.validationTimeout), this.settings.pingTimeout)
    const { healthCheck } = this.settings
    if (healthCheck !== undefined) {
      this.checkWith(slot, healthCheck, limit)
      return
    }
    const onPinged = (exit: Exit.Exit<unknown, unknown>): void => {
      // One that has ended meanwhile is not unhealthy, but lost.
      const isDead = Exit.isFailure(exit) && link.end === undefined
      if (isDead) this.kill(link)
      this.pool.checked(slot, Exit.isSuccess(exit))
      if (isDead) this.checkSilent()
    }
    const late = new Limit(this.timers, limit, () => "no answer in time")
    this.tasks.run(slot, Effect.interruptible(link.ping(undefined)), onPinged, late)
  }

  private checkWith(slot: Place, healthCheck: Hook, limit: number): void {
    const link = slot.item
    this.tasks.run(slot, this.hooks.run(link, healthCheck, limit), (exit) => {
      const isHealthy = this.hooks.isHealthy("healthCheck", exit)
      if (!isHealthy && link.end === undefined) this.journal.totals.healthCheckFailures += 1
      if (link.leases > 0 && !link.drop((message) => this.settling.mayDrop(message))) this.pool.doom(slot, "Dirty")
      link.wasChecked()
      this.pool.checked(slot, isHealthy)
      if (!isHealthy) this.checkSilent()
    })
  }

  /** One line was dead: look at those that were as silent. */
  private checkSilent(): void {
    const now = this.timers.now()
    for (const slot of Array.from(this.pool.slots)) {
      if (slot.state === "idle" && this.needsCheck(slot, now)) this.onSilent(slot.item)
    }
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
