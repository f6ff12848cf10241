import type { QuotaMember, QuotaPermit, QuotaUrgency } from "../values/quota.js"

/** A pool at the desk: what it holds, and what it waits for. */
export class Party {
  held = 0
  /** Connections that it was asked for, and has promised, whose permits are not back yet; and those that were idle. */
  owed = 0
  owedIdle = 0
  readonly waiters: Array<Take> = []
  readonly background: Array<Take> = []
  /** When each of its permits was granted, the oldest first. */
  readonly granted = new Set<QuotaPermit & { readonly grantedAt: number }>()

  constructor(readonly member: QuotaMember) {}

  /** Idle ones that it was not asked for yet. Those that were asked for are idle no more. */
  get spare(): number {
    return this.member.spare()
  }

  /** What it holds once it has given what it owes. */
  get share(): number {
    return this.held - this.owed
  }
}

/** One that waits for a permit. */
export interface Take {
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

/**
 * Who waits, in order: who holds least, among equals who waits longest; background opening after every `get`. Thousands of pools
 * may wait while somebody comes or goes at any moment: nothing here looks at all of them but the order, asked to its end.
 */
export class Line {
  waiters = 0
  background = 0
  /** Those with a `get` in line, by what they hold; and those with anything else. */
  private readonly levels: Array<Set<Party>> = []
  private readonly inNoHurry = new Set<Party>()

  enter(take: Take): void {
    const { party } = take
    if (take.urgency === "background") {
      this.background += 1
      party.background.push(take)
      this.inNoHurry.add(party)
      return
    }
    this.waiters += 1
    party.waiters.push(take)
    this.level(party.held).add(party)
  }

  /** Says whether it was in line. */
  leave(take: Take): boolean {
    const { party } = take
    const isUrgent = take.urgency === "waiter"
    const takes = isUrgent ? party.waiters : party.background
    const index = takes.indexOf(take)
    if (index < 0) return false
    takes.splice(index, 1)
    if (isUrgent) this.waiters -= 1
    else this.background -= 1
    if (takes.length === 0) (isUrgent ? this.level(party.held) : this.inNoHurry).delete(party)
    return true
  }

  /** A party holds so many more, or less. */
  hold(party: Party, change: 1 | -1): void {
    const before = party.held
    party.held += change
    if (party.waiters.length === 0) return
    this.level(before).delete(party)
    this.level(party.held).add(party)
  }

  private level(held: number): Set<Party> {
    while (this.levels.length <= held) this.levels.push(new Set())
    return this.levels[held]!
  }

  get first(): Take | undefined {
    let first: Take | undefined
    if (this.waiters > 0) {
      for (const { waiters } of this.levels.find(({ size }) => size > 0)!) {
        if (first === undefined || waiters[0]!.turn < first.turn) first = waiters[0]
      }
      return first
    }
    for (const { background } of this.inNoHurry) {
      if (first === undefined || isBefore(background[0]!, first)) first = background[0]
    }
    return first
  }

  /** Those who are no background, in the order in which they come next. */
  *order(): Generator<Place> {
    // Most often nothing can be done for the first, and so for nobody: the others are put in order only when asked for.
    const first = this.waiters === 0 ? undefined : this.first
    if (first === undefined) return
    const least = first.party.held
    yield { party: first.party, holding: least }
    // What they hold may change while they are looked at.
    let those: ReadonlyArray<{ readonly party: Party; readonly held: number }> = []
    for (let holding = least; holding < this.levels.length || those.length > 0; holding++) {
      const equals = Array.from(this.levels[holding] ?? [], (party) => ({ party, held: holding }))
      those = [...those, ...equals].filter(({ held, party }) => party.waiters.length > holding - held)
      const takes = those.map(({ held, party }) => party.waiters[holding - held]!)
      for (const take of takes.sort((one, other) => one.turn - other.turn)) {
        if (take !== first) yield { party: take.party, holding }
      }
    }
  }
}

const isBefore = (one: Take, other: Take): boolean =>
  one.party.held === other.party.held ? one.turn < other.turn : one.party.held < other.party.held
