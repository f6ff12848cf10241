import type * as Cause from "#effect/Cause"
import { Draining } from "../connection/draining.js"
import type { Link } from "../connection/link.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { Settings } from "../options/decode.js"
import type { AcquireError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { Hooks } from "./hooks.js"
import type { Place, Tasks } from "./tasks.js"
import { Verdict } from "./verdict.js"

/** Makes connections fit for the next lease: `onRelease`, then what one lease has left unread. */
export class Settling {
  private readonly drops: Verdict<Message> | undefined

  constructor(
    private readonly settings: Settings,
    private readonly pool: SlotPool<Link, AcquireError>,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly tasks: Tasks,
    private readonly hooks: Hooks,
    warn: (message: string, cause?: Cause.Cause<unknown>) => void
  ) {
    const condition = settings.drain?.condition
    if (condition !== undefined) {
      this.drops = new Verdict(condition, "drain.condition", false, "the connection is closed", warn)
    }
  }

  settle(slot: Place): void {
    const { onRelease } = this.settings
    if (onRelease === undefined) {
      slot.item.draining?.start()
      return
    }
    const hook = this.hooks.run("onRelease", slot.item, onRelease, this.settings.closeTimeout)
    this.tasks.run(slot, hook, (exit) => {
      if (slot.state !== "releasing") return
      const isHealthy = this.hooks.isHealthy("onRelease", exit)
      const { closeReason, isEnding } = slot.item
      if (isEnding || !isHealthy) {
        this.pool.doom(slot, closeReason ?? "Unhealthy")
        return
      }
      const verdict = this.tidy(slot.item)
      if (verdict === "Reuse") this.settled(slot)
      else if (verdict === "Settle") slot.item.draining?.start()
      else this.pool.doom(slot, verdict)
    })
  }

  /** Deals with what has arrived already, and says whether to wait for more. */
  tidy(link: Link): "Reuse" | "Settle" | "Dirty" {
    const { drain } = this.settings
    if (drain === undefined) return link.inbox.isRead ? "Reuse" : "Dirty"
    const { slot } = link
    const draining = new Draining(
      this.timers.now(),
      drain,
      this.timers,
      () => {
        this.drained(link, draining)
        this.settled(slot)
      },
      () => {
        this.journal.totals.drainTimeouts += 1
        this.pool.doom(slot, "DrainTimeout")
      }
    )
    link.draining = draining
    this.journal.drainStarted(link)
    const unread = link.inbox.length
    if (!link.inbox.drop((message) => this.mayDrop(message))) return "Dirty"
    draining.dropped = unread
    if (drain.quietPeriod > 0) return "Settle"
    this.drained(link, draining)
    return "Reuse"
  }

  private settled(slot: Place): void {
    this.pool.settled(slot)
    if (slot.state === "idle") slot.item.isIdle()
  }

  private drained(link: Link, draining: Draining): void {
    draining.stop()
    link.draining = undefined
    this.journal.drainCompleted(link, draining.since, draining.dropped)
  }

  /** The connection ends instead of falling quiet. */
  undrained(link: Link, reason: CloseReason): void {
    const { draining } = link
    if (draining === undefined) return
    draining.stop()
    link.draining = undefined
    this.journal.drainEnded(link, draining.since, draining.dropped, reason)
  }

  mayDrop(message: Message): boolean {
    return this.drops?.on(message) ?? false
  }

  onStray(link: Link, message: Message, bytes: number): void {
    this.journal.dropped(link, bytes)
    if (link.isEnding) return
    if (!this.mayDrop(message)) this.pool.doom(link.slot, "Dirty")
    else link.draining?.onMessage()
  }
}
