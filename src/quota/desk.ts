import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type { Timers } from "../core/timers.js"
import type { QuotaUnavailableError } from "../values/errors.js"
import type { QuotaMember, QuotaPermit, QuotaShare, QuotaUrgency } from "../values/quota.js"
import type { QuotaEvent } from "../values/quotaEvents.js"
import type { QuotaStats } from "../values/quotaStats.js"
import { Broadcast } from "./broadcast.js"
import { Line, Party, type Place, type Take } from "./line.js"

/** A permit that was granted. */
export class Permit implements QuotaPermit {
  private isTrying = true
  private isRefused = false
  private isHeld = true
  /** When its attempt had ended, and the number of refusals by then. */
  openedAt = 0
  refusalsBefore = 0

  constructor(
    private readonly desk: Desk,
    readonly party: Party,
    readonly grantedAt: number
  ) {}

  readonly opened = (): void => {
    if (!this.isTrying) return
    this.isTrying = false
    this.desk.attempted(this, this.isRefused)
  }

  readonly refused = (retryAfter?: Duration.Duration): void => {
    if (this.isRefused || !this.isHeld) return
    this.isRefused = true
    this.desk.refused(retryAfter === undefined ? undefined : Duration.toMillis(retryAfter))
  }

  readonly release = (): void => {
    this.opened()
    if (!this.isHeld) return
    this.isHeld = false
    this.desk.released(this, this.isRefused)
  }
}

/** What decides at the desk when permits are granted. */
export interface Engine {
  /** Somebody waits, or a permit was given back, or an attempt has ended. */
  readonly changed: () => void
  /** Somebody does not wait any more. */
  readonly left: () => void
  /** A server has refused an attempt, and asked to be left alone for so many milliseconds. */
  readonly refused: (millis: number | undefined) => void
  /** A pool has an idle connection, and nobody there waits. */
  readonly idle: (party: Party) => void
  readonly unavailable: () => QuotaUnavailableError | undefined
  readonly known: () => QuotaStats | undefined
  readonly backoffOn: ReadonlyArray<number>
}

/**
 * Where the pools of one process take their permits and give them back. It knows who waits here and who is first; when
 * something is granted is up to the engine behind it. All of it is synchronous.
 */
export class Desk {
  readonly events = new Broadcast()
  readonly parties = new Set<Party>()
  private readonly line = new Line()
  held = 0
  /** Attempts under way; and, since the start: attempts that ended, permits given back, grants. */
  trying = 0
  tried = 0
  given = 0
  granted = 0
  reclaimed = 0
  /** Attempts that were refused since the start, and those that went well since the latest of these. */
  refusals = 0
  private well = 0
  private turns = 0
  /** Who waits, and was not told so yet. */
  private readonly untold = new Set<Take>()
  private engine!: Engine

  constructor(
    readonly name: string,
    private readonly timers: Timers
  ) {}

  open(engine: Engine): void {
    this.engine = engine
  }

  get waiters(): number {
    return this.line.waiters
  }

  get background(): number {
    return this.line.background
  }

  get waiting(): number {
    return this.waiters + this.background
  }

  /** What was asked for, promised, and is not back yet. */
  get debts(): { readonly owed: number; readonly owedIdle: number } {
    let owed = 0
    let owedIdle = 0
    for (const party of this.parties) {
      owed += party.owed
      owedIdle += party.owedIdle
    }
    return { owed, owedIdle }
  }

  /** How many permits were granted at that time or before. */
  grantedBefore(time: number): number {
    let count = 0
    for (const { granted } of this.parties) {
      for (const { grantedAt } of granted) {
        if (grantedAt > time) break
        count += 1
      }
    }
    return count
  }

  // Members

  join(member: QuotaMember): Effect.Effect<QuotaShare, never, Scope.Scope> {
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const party = new Party(member)
          this.parties.add(party)
          this.engine.changed()
          return party
        }),
        (party) => Effect.sync(() => this.leave(party))
      ),
      (party) => this.shareOf(party)
    )
  }

  private leave(party: Party): void {
    for (const take of [...party.waiters, ...party.background]) this.cancel(take)
    for (const permit of Array.from(party.granted)) permit.release()
    this.parties.delete(party)
    this.engine.changed()
  }

  private shareOf(party: Party): QuotaShare {
    const { engine } = this
    return {
      take: (urgency, onGrant) => this.take(party, urgency, onGrant),
      idle: () => engine.idle(party),
      unavailable: () => engine.unavailable(),
      known: () => engine.known(),
      backoffOn: engine.backoffOn
    }
  }

  // The line

  private take(party: Party, urgency: QuotaUrgency, onGrant: (permit: QuotaPermit) => void): () => void {
    this.turns += 1
    const since = this.timers.now()
    const take: Take = { party, urgency, turn: this.turns, since, onGrant, isQueued: false }
    this.line.enter(take)
    this.untold.add(take)
    this.engine.changed()
    return () => {
      if (this.cancel(take)) this.engine.left()
    }
  }

  private cancel(take: Take): boolean {
    this.untold.delete(take)
    return this.line.leave(take)
  }

  /** Those who wait and were not told so yet learn it. */
  tellQueued(): void {
    for (const take of this.untold) {
      take.isQueued = true
      this.events.tell(() => ({ _tag: "Queued", quota: this.name }))
    }
    this.untold.clear()
  }

  /** Those of the line who are no background, in the order in which they come next. */
  order(): Iterable<Place> {
    return this.line.order()
  }

  /** Grants a permit to who comes next, if anybody waits. */
  grant(): boolean {
    const take = this.line.first
    if (take === undefined) return false
    const { party } = take
    this.cancel(take)
    const now = this.timers.now()
    const permit = new Permit(this, party, now)
    this.line.hold(party, 1)
    party.granted.add(permit)
    this.held += 1
    this.trying += 1
    this.granted += 1
    if (take.isQueued) {
      this.events.tell(() => ({ _tag: "Granted", quota: this.name, waited: Duration.millis(now - take.since) }))
    }
    take.onGrant(permit)
    return true
  }

  // Permits

  attempted(permit: Permit, isRefused: boolean): void {
    this.trying -= 1
    this.tried += 1
    permit.openedAt = this.timers.now()
    permit.refusalsBefore = this.refusals
    if (!isRefused) this.well += 1
    this.engine.changed()
  }

  released(permit: Permit, isRefused: boolean): void {
    const { party } = permit
    party.granted.delete(permit)
    this.line.hold(party, -1)
    this.paid(party)
    this.held -= 1
    this.given += 1
    // Over in the moment in which its attempt was: it has failed in another way.
    const hasFailed = !isRefused && permit.openedAt === this.timers.now()
    if (hasFailed && permit.refusalsBefore === this.refusals) this.well -= 1
    this.engine.changed()
  }

  private paid(party: Party): void {
    party.owed = Math.max(party.owed - 1, 0)
    party.owedIdle = Math.min(Math.max(party.owedIdle - 1, 0), party.owed)
  }

  refused(millis: number | undefined): void {
    this.engine.refused(millis)
    this.refusals += 1
    this.well = 0
  }

  /** Whether an attempt went well since the latest one that was refused. */
  get hasSucceeded(): boolean {
    return this.well > 0
  }

  // Giving up for others

  /**
   * Asks a pool for a connection back, and says whether it gives one up. Whatever a pool closes first is what it had
   * promised: so an idle one takes the place of a lease that has not ended yet.
   */
  reclaim(party: Party, from: QuotaEventFrom): boolean {
    // Counted before: it may come back inside of the call.
    const { owed, owedIdle } = party
    if (from === "idle") party.owedIdle += 1
    if (from === "leased" || owed === owedIdle) party.owed += 1
    if (party.member.yield(1, from) < 1) {
      party.owed = owed
      party.owedIdle = owedIdle
      return false
    }
    this.reclaimed += 1
    this.events.tell(() => ({ _tag: "Reclaimed", quota: this.name, count: 1, from }))
    return true
  }

  /** Who has most of what is asked for, those excepted. */
  richest(measure: (party: Party) => number, except: ReadonlySet<Party>): Party | undefined {
    let found: Party | undefined
    let most = 0
    for (const party of this.parties) {
      const measured = measure(party)
      if (measured === 0 || measured < most || except.has(party)) continue
      if (found !== undefined && measured === most && party.share <= found.share) continue
      found = party
      most = measured
    }
    return found
  }

  tell(event: () => QuotaEvent): void {
    this.events.tell(event)
  }
}

type QuotaEventFrom = "idle" | "leased"
