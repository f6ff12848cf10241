import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type { Link } from "../connection/link.js"
import { cancellable } from "../core/cancellable.js"
import type { Demand } from "../core/driver.js"
import type { SlotPool } from "../core/slotPool.js"
import { makeTimer, type Timer, type Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { AcquireError, ConnectionUnavailableError } from "../values/errors.js"
import type { QuotaMember, QuotaPermit, QuotaShare, QuotaUrgency } from "../values/quota.js"
import type { Place } from "./tasks.js"

/** A connection that is being opened, as far as its permit is concerned. */
export interface Applicant {
  readonly slot: Place
  /** For its next attempt. */
  permit: QuotaPermit | undefined
}

/** One that waits for its permit. */
class Application {
  isOver = false
  /** Whether it was in line before it was granted. */
  isQueued = false
  private cancel: (() => void) | undefined

  constructor(
    readonly applicant: Applicant,
    public urgency: QuotaUrgency,
    private readonly since: number,
    private readonly onGrant: (permit: QuotaPermit, application: Application) => void
  ) {}

  waited(now: number): Duration.Duration {
    return Duration.millis(now - this.since)
  }

  apply(share: QuotaShare, urgency: QuotaUrgency = this.urgency): void {
    this.urgency = urgency
    const cancel = this.cancel
    this.cancel = undefined
    cancel?.()
    const leave = share.take(urgency, (permit) => {
      // Nothing was in the way of the grant, and nobody is left to take it.
      if (this.isOver) permit.release()
      else {
        this.isOver = true
        this.onGrant(permit, this)
      }
    })
    if (!this.isOver) this.cancel = leave
  }

  leave(): void {
    this.isOver = true
    this.cancel?.()
  }
}

/** The statuses that an engine wants to hear of, unless it says so itself. */
const defaultBackoff: ReadonlyArray<number> = [429]

/**
 * The permits of a pool with a quota: a connection waits for one before each attempt, and gives it back once its socket
 * is gone. The pool says how many it needs, and whoever is not needed any more leaves the line.
 */
export class Permits {
  private readonly line = new Set<Application>()
  private readonly held = new Map<Link, QuotaPermit>()
  /** What was closed because the quota has lapsed. */
  private readonly lapsed = new WeakSet<Place>()
  private readonly severance: Timer

  constructor(
    readonly share: QuotaShare,
    private readonly pool: SlotPool<Link, AcquireError>,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly shutdownTimeout: number,
    /** Ends a creation that nobody needs. */
    private readonly withdraw: (slot: Place) => void
  ) {
    this.severance = makeTimer(() => {
      for (const slot of Array.from(pool.slots)) if (this.lapsed.has(slot)) pool.cut(slot)
    })
  }

  /** How many wait. */
  get queued(): number {
    return this.line.size
  }

  isQueued(slot: Place): boolean {
    for (const { applicant } of this.line) if (applicant.slot === slot) return true
    return false
  }

  /** One that waits, and is held for nobody: first of all one that is in no hurry. */
  unbegun(): Place | undefined {
    let found: Application | undefined
    for (const application of this.line) {
      if (application.applicant.slot.heldFor !== undefined) continue
      if (application.urgency === "background") return application.applicant.slot
      found ??= application
    }
    return found?.applicant.slot
  }

  // Taking

  /** Waits for a permit for the next attempt. Whatever interrupts it, what was granted is the applicant's. */
  await(applicant: Applicant): Effect.Effect<void> {
    return cancellable<void, never>((resume) => {
      const urgency = applicant.slot.background ? "background" : "waiter"
      const application = new Application(applicant, urgency, this.timers.now(), (permit, granted) => {
        this.line.delete(granted)
        applicant.permit = permit
        if (granted.isQueued) this.journal.permitted(granted.waited(this.timers.now()))
        resume(Effect.void)
      })
      this.line.add(application)
      application.apply(this.share)
      if (!application.isOver) {
        application.isQueued = true
        this.journal.queued()
      }
      return () => {
        this.leave(application)
        return undefined
      }
    })
  }

  private leave(application: Application): void {
    if (!this.line.delete(application)) return
    application.leave()
    if (application.isQueued) this.journal.unqueued()
  }

  /** An attempt begins on the permit that was taken for it. */
  begin(applicant: Applicant, link: Link): void {
    if (applicant.permit !== undefined) this.held.set(link, applicant.permit)
    applicant.permit = undefined
  }

  // Giving back

  /** The attempt went well. */
  opened(link: Link): void {
    this.held.get(link)?.opened()
  }

  /** The attempt has failed, and left no socket. */
  failed(link: Link, error?: ConnectionUnavailableError): void {
    const { backoffOn = defaultBackoff } = this.share
    const status = error?.status
    if (status !== undefined && backoffOn.includes(status)) this.held.get(link)?.refused(error?.retryAfter)
    if (this.held.has(link)) this.pool.settleDebt()
    this.release(link)
  }

  /** What was taken, and has been used for no attempt. */
  giveBack(applicant: Applicant): void {
    const { permit } = applicant
    applicant.permit = undefined
    permit?.opened()
    permit?.release()
  }

  /** Its socket is gone. */
  release(link: Link): void {
    const permit = this.held.get(link)
    if (permit === undefined) return
    this.held.delete(link)
    permit.opened()
    permit.release()
  }

  // What is needed

  /** Lets those leave whom nobody needs any more, and makes as many hurry as there are waiters. */
  demand({ creating, idle, surplus, waiting }: Demand): void {
    if (this.line.size > 0) {
      const shared = Array.from(this.line).filter(({ applicant }) => applicant.slot.heldFor === undefined)
      // Those in a hurry stay, and of these who came first.
      const needed = shared.length - Math.min(surplus, shared.length)
      const ordered = [...shared.filter(isUrgent), ...shared.filter((application) => !isUrgent(application))]
      for (const { applicant } of ordered.slice(needed)) this.withdraw(applicant.slot)
      const urgent = waiting - (creating - shared.length)
      for (const [index, application] of ordered.slice(0, needed).entries()) this.hurry(application, index < urgent)
      for (const application of Array.from(this.line)) {
        if (application.applicant.slot.heldFor !== undefined) this.hurry(application, true)
      }
    }
    if (idle > 0) this.share.idle()
  }

  private hurry(application: Application, isNeeded: boolean): void {
    const urgency = isNeeded ? "waiter" : "background"
    if (!application.isOver && application.urgency !== urgency) application.apply(this.share, urgency)
  }

  /** A creation is withdrawn: it leaves the line at once. */
  leaveAs(applicant: Applicant): void {
    for (const application of this.line) if (application.applicant === applicant) this.leave(application)
  }

  // What the quota asks for

  /** Whether a connection is closed because the quota has lapsed. */
  hasLapsed(slot: Place): boolean {
    return this.lapsed.has(slot)
  }

  lapse(which: "idle" | "all"): void {
    this.pool.abandonAll(which === "all", (slot) => this.lapsed.add(slot))
    if (which === "all") this.timers.set(this.severance, this.timers.now() + this.shutdownTimeout)
  }
}

const isUrgent = ({ urgency }: Application): boolean => urgency === "waiter"

/** A pool as the member of its quota. */
export const memberOf = (
  name: string,
  pool: SlotPool<Link, AcquireError>,
  permits: () => Permits | undefined
): QuotaMember => ({
  name,
  spare: () => pool.count.idle,
  yield: (count, from) => (from === "idle" ? pool.reclaim(count) : pool.owe(count)),
  close: (which) => permits()?.lapse(which)
})
