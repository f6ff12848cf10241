import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type { Timers } from "../core/timers.js"
import type { QuotaUnavailableError } from "../values/errors.js"
import type { QuotaMember, QuotaPermit, QuotaShare, QuotaUrgency } from "../values/quota.js"
import type { QuotaEvent } from "../values/quotaEvents.js"
import type { QuotaStats } from "../values/quotaStats.js"
import { Broadcast } from "./broadcast.js"

/** A pool at the desk: what it holds, and what it waits for. */
export class Party {
  held = 0
  /** Connections that it was asked for, and has promised, whose permits are not back yet; and those that were idle. */
  owed = 0
  owedIdle = 0
  readonly waiters: Array<Take> = []
  readonly background: Array<Take> = []
  /** When each of its permits was granted, the oldest first. */
  readonly granted = new Set<Permit>()

  constructor(readonly member: QuotaMember) {}

  /** Idle ones that it was not asked for yet. Those that were asked for are idle no more. */
  get spare(): number {
    return this.member.spare()
  }

  /** What it holds once it has given what it owes. */
  get share(): number {
    return this.held - this.owed
  }

  get first(): Take | undefined {
    return this.waiters[0] ?? this.background[0]
  }
}

/** One that waits for a permit. */
interface Take {
  readonly party: Party
  readonly urgency: QuotaUrgency
  /** Its number: a lower one has waited longer. */
  readonly turn: number
  readonly since: number
  readonly onGrant: (permit: QuotaPermit) => void
  /** Whether it was told that it has to wait. */
  isQueued: boolean
}

/** A place in the line, and what its party holds before. */
export interface Place {
  readonly party: Party
  readonly holding: number
}

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
  /** Somebody waits, or has left, or a permit was given back. */
  readonly changed: () => void
  /** A server has refused an attempt, and asked to be left alone for so many milliseconds. */
  readonly refused: (millis: number | undefined) => void
  /** A pool has an idle connection, and nobody there waits. */
  readonly idle: () => void
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
  held = 0
  waiters = 0
  background = 0
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
  private readonly wanting = new Set<Party>()
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
      idle: () => engine.idle(),
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
    if (urgency === "waiter") {
      party.waiters.push(take)
      this.waiters += 1
    } else {
      party.background.push(take)
      this.background += 1
    }
    this.wanting.add(party)
    this.untold.add(take)
    this.engine.changed()
    return () => {
      if (this.cancel(take)) this.engine.changed()
    }
  }

  private cancel(take: Take): boolean {
    const { party } = take
    const line = take.urgency === "waiter" ? party.waiters : party.background
    const index = line.indexOf(take)
    if (index < 0) return false
    line.splice(index, 1)
    this.untold.delete(take)
    if (take.urgency === "waiter") this.waiters -= 1
    else this.background -= 1
    if (party.first === undefined) this.wanting.delete(party)
    return true
  }

  /** Those who wait and were not told so yet learn it. */
  tellQueued(): void {
    for (const take of this.untold) {
      take.isQueued = true
      this.events.tell(() => ({ _tag: "Queued", quota: this.name }))
    }
    this.untold.clear()
  }

  /** Who comes next: who holds least, among equals who waits longest; background opening after every `get`. */
  private get next(): Take | undefined {
    let first: Take | undefined
    for (const { first: take } of this.wanting) {
      if (take !== undefined && (first === undefined || isBefore(take, first))) first = take
    }
    return first
  }

  /** Those of the line who are no background, in the order in which they come next. */
  *order(): Generator<Place> {
    // Most often nothing can be done for the first, and so for nobody: the others are put in order only when asked for.
    let first: Take | undefined
    for (const { waiters } of this.wanting) {
      const [take] = waiters
      if (take !== undefined && (first === undefined || isBefore(take, first))) first = take
    }
    if (first === undefined) return
    yield { party: first.party, holding: first.party.held }
    const others: Array<Place & { readonly turn: number }> = []
    for (const party of this.wanting) {
      party.waiters.forEach((take, index) => {
        if (take !== first) others.push({ party, holding: party.held + index, turn: take.turn })
      })
    }
    yield* others.sort((a, b) => a.holding - b.holding || a.turn - b.turn)
  }

  /** Grants a permit to who comes next, if anybody waits. */
  grant(): boolean {
    const take = this.next
    if (take === undefined) return false
    const { party } = take
    this.cancel(take)
    const now = this.timers.now()
    const permit = new Permit(this, party, now)
    party.held += 1
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
    party.held -= 1
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
    for (const party of this.parties) {
      if (except.has(party) || measure(party) <= 0) continue
      if (found === undefined || compare(measure(party) - measure(found), party.share - found.share) > 0) found = party
    }
    return found
  }

  tell(event: () => QuotaEvent): void {
    this.events.tell(event)
  }
}

type QuotaEventFrom = "idle" | "leased"

const isBefore = (one: Take, other: Take): boolean => {
  const isUrgent = Number(one.urgency === "background") - Number(other.urgency === "background")
  return compare(isUrgent, one.party.held - other.party.held, one.turn - other.turn) < 0
}

const compare = (...differences: ReadonlyArray<number>): number => differences.find((one) => one !== 0) ?? 0
