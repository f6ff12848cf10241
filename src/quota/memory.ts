import { environment, type Fork, interrupt } from "#dialect"
import * as Clock from "#effect/Clock"
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import { makeTimer, type Timer, Timers } from "../core/timers.js"
import type { ConnectionQuota, QuotaMember } from "../values/quota.js"
import type { QuotaStats } from "../values/quotaStats.js"
import { Backoff } from "./backoff.js"
import { Desk, type Engine } from "./desk.js"
import type { Party, Place } from "./line.js"
import { decodeQuota, decodeQuotaLimits, millisOfPause, type QuotaOptions, type QuotaSettings } from "./options.js"
import { Windows } from "./windows.js"

/**
 * A quota of one process. Each pool is a worker: who holds least comes first.
 *
 * Whatever happens ends in `serve`, which grants what may be granted, and asks for what is short.
 */
class MemoryQuota implements ConnectionQuota, Engine {
  private readonly desk: Desk
  private readonly windows: Windows
  private readonly backoff = new Backoff()
  private limit: number
  /** Until when permits that were given back count. */
  private readonly settling: Array<number> = []
  private readonly timer: Timer
  private given = 0
  private ended = 0
  private isServing = false
  private isDue = false
  /** Who said that it has an idle connection, and was not asked whether it still has. */
  private readonly idlers = new Set<Party>()
  readonly backoffOn: ReadonlyArray<number>

  constructor(
    private readonly settings: QuotaSettings,
    private readonly timers: Timers,
    private readonly fork: Fork
  ) {
    this.limit = settings.connections
    this.backoffOn = settings.backoffOn
    this.windows = new Windows(settings.windows)
    this.desk = new Desk(settings.name, timers)
    this.desk.open(this)
    this.timer = makeTimer(() => this.changed())
  }

  // The service

  readonly stats: Effect.Effect<QuotaStats> = Effect.sync(() => this.known())

  readonly local: ConnectionQuota["local"] = Effect.sync(() => {
    const { granted, held, reclaimed, waiting } = this.desk
    return { held, waiting, state: "connected", granted, reclaimed, lapses: 0 }
  })

  readonly resize: ConnectionQuota["resize"] = (limits) =>
    Effect.map(
      Effect.suspend(() => decodeQuotaLimits(limits, this.settings.name)),
      ({ connections, windows }) => {
        if (connections !== undefined) this.limit = connections
        if (windows !== undefined) this.windows.windows = windows
        this.desk.tell(() => ({ _tag: "Resized", quota: this.settings.name, connections: this.limit }))
        this.changed()
      }
    )

  readonly pause: ConnectionQuota["pause"] = (duration) =>
    Effect.sync(() => {
      const millis = millisOfPause(duration)
      this.backoff.pause(this.timers.now(), millis)
      this.paused(millis)
    })

  get events(): ConnectionQuota["events"] {
    return this.desk.events.stream
  }

  readonly join: ConnectionQuota["join"] = (member: QuotaMember) => this.desk.join(member)

  // The engine

  unavailable(): undefined {
    return undefined
  }

  known(): QuotaStats {
    const now = this.timers.now()
    this.settle(now)
    const { held, parties, trying, waiting } = this.desk
    return {
      limit: this.limit,
      used: held + this.settling.length,
      waiting,
      workers: parties.size,
      connects: this.windows.counts(now, trying),
      state: "connected",
      held
    }
  }

  refused(millis: number | undefined): void {
    const now = this.timers.now()
    const before = this.backoff.until
    this.backoff.refused(now, millis, this.desk.hasSucceeded)
    if (this.backoff.until > before) this.paused(this.backoff.until - now)
  }

  private paused(millis: number): void {
    this.desk.tell(() => ({ _tag: "Paused", quota: this.settings.name, duration: Duration.millis(millis) }))
    this.changed()
  }

  /**
   * Not at once: a fiber that has ended a lease often begins the next in the same step, or in its next turn. Were the connection
   * given up in between, each lease of a busy pool would have to open one.
   */
  idle(party: Party): void {
    if (this.desk.waiters === 0) return
    const isLookedFor = this.idlers.size > 0
    this.idlers.add(party)
    if (isLookedFor) return
    this.fork(
      Effect.map(Effect.yieldNow, () => {
        const isIdle = Array.from(this.idlers).some(({ spare }) => spare > 0)
        this.idlers.clear()
        if (isIdle) this.changed()
      }),
      { immediate: false }
    )
  }

  /** Nobody is served sooner, and nothing more is short. */
  left(): void {}

  changed(): void {
    this.isDue = true
    if (this.isServing) return
    this.isServing = true
    try {
      while (this.isDue) {
        this.isDue = false
        this.serve()
      }
    } finally {
      this.isServing = false
    }
  }

  private settle(now: number): void {
    const { desk, settling } = this
    for (; this.ended < desk.tried; this.ended++) this.windows.ended(now)
    for (; this.given < desk.given; this.given++) {
      if (this.settings.settle > 0) settling.push(now + this.settings.settle)
    }
    while (settling.length > 0 && settling[0]! <= now) settling.shift()
  }

  private serve(): void {
    const { desk } = this
    const now = this.timers.now()
    let next = now
    for (;;) {
      this.settle(now)
      if (desk.waiting === 0) break
      next = Math.max(this.backoff.until, this.windows.nextAt(now, desk.trying))
      if (next > now || desk.held + this.settling.length >= this.limit) break
      desk.grant()
    }
    desk.tellQueued()
    if (next <= now) this.reclaim(now)
    this.arm(now, next)
  }

  /** Looks again when time alone changes something. */
  private arm(now: number, next: number): void {
    let due = Number.POSITIVE_INFINITY
    if (this.desk.waiting > 0) due = next > now ? next : (this.settling[0] ?? due)
    if (this.desk.waiters > 0 && next <= now) due = Math.min(due, this.turnEnds(now))
    this.timers.set(this.timer, due)
  }

  // Giving up for others

  /** Asks for as many connections as are short, those that are on their way left out. */
  private reclaim(now: number): void {
    const { desk, limit } = this
    const over = Math.max(desk.held - limit, 0)
    if (desk.held + this.settling.length < limit) return
    if (over === 0 && (desk.waiters === 0 || this.settings.reclaim === "none")) return
    const { owed, owedIdle } = desk.debts
    // What comes soon, and what comes when a lease ends.
    let soon = this.settling.length + owedIdle
    let later = owed - owedIdle
    // Those who are short by a lower limit come before those who wait.
    for (let left = over; left > 0; left--) {
      if (soon > 0) soon -= 1
      // Nothing waits for a lease to end while there is an idle one.
      else if (!this.takeIdle(undefined)) {
        if (later > 0) later -= 1
        else if (!this.takeLeased(undefined, now)) return
      }
    }
    if (this.settings.reclaim === "none") return
    let left = desk.waiters
    let mayIdle = true
    for (const first of desk.order()) {
      // The rest of the line gets what is on its way.
      if (left <= soon + (mayIdle ? 0 : later)) return
      left -= 1
      if (soon > 0) soon -= 1
      else {
        // Who was asked in vain once has nothing for those behind, either.
        mayIdle &&= this.takeIdle(first)
        if (mayIdle) continue
        // Those behind hold as much or more: nobody who has too little for the first has enough for them.
        if (!this.mayTakeLeased(first)) return
        if (later > 0) later -= 1
        else if (!this.takeLeased(first, now)) return
      }
    }
  }

  /** Gets an idle connection from somebody, for one who waits or to come below a lower limit. */
  private takeIdle(first: Place | undefined): boolean {
    const { desk } = this
    const asked = new Set<Party>()
    // Who waits although it has idle ones wants a new one: its own go first.
    if (first !== undefined && first.party.spare > 0) {
      if (desk.reclaim(first.party, "idle")) return true
      asked.add(first.party)
    }
    for (;;) {
      const party = desk.richest(({ spare }) => spare, asked)
      if (party === undefined) return false
      if (desk.reclaim(party, "idle")) return true
      asked.add(party)
    }
  }

  /** Whether somebody may have enough leased ones to give one up. */
  private mayTakeLeased({ holding }: Place): boolean {
    if (this.settings.reclaim !== "fair") return false
    if (this.settings.turn !== Number.POSITIVE_INFINITY) return true
    for (const { share } of this.desk.parties) if (share >= holding + 2) return true
    return false
  }

  /** The same of one that is leased, as soon as it is given back. */
  private takeLeased(first: Place | undefined, now: number): boolean {
    const { desk } = this
    const asked = new Set<Party>()
    if (first !== undefined) asked.add(first.party)
    for (;;) {
      const party = desk.richest(({ share }) => share, asked)
      if (party === undefined) return false
      if (first !== undefined && party.share < first.holding + 2 && !this.isTurnOver(first, party, now)) {
        // Another one may have had its turn for long enough, though it is as rich.
        if (this.settings.turn === Number.POSITIVE_INFINITY || first.holding > 0) return false
      } else if (desk.reclaim(party, "leased")) return true
      asked.add(party)
    }
  }

  /** Whether somebody has had a connection for so long that one who has none gets its turn. */
  private isTurnOver({ holding }: Place, party: Party, now: number): boolean {
    if (holding > 0 || party.owed > 0) return false
    const [oldest] = party.granted
    return oldest !== undefined && now - oldest.grantedAt >= this.settings.turn
  }

  private turnEnds(now: number): number {
    const { reclaim, turn } = this.settings
    let ends = Number.POSITIVE_INFINITY
    if (reclaim !== "fair" || turn === ends) return ends
    for (const { granted, owed } of this.desk.parties) {
      const [oldest] = granted
      if (oldest !== undefined && owed === 0 && oldest.grantedAt + turn > now) {
        ends = Math.min(ends, oldest.grantedAt + turn)
      }
    }
    return ends
  }
}

export const make = (options: QuotaOptions): Effect.Effect<ConnectionQuota, Config.ConfigError, Scope.Scope> =>
  Effect.flatMap(decodeQuota(options), (settings) =>
    Effect.flatMap(environment({ isQuiet: true }), ({ fork }) =>
      Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) => {
        const timers = new Timers(clock, (effect) => fork(effect, { immediate: false }), interrupt)
        return Effect.acquireRelease(
          Effect.sync((): ConnectionQuota => new MemoryQuota(settings, timers, fork)),
          () => Effect.sync(() => timers.stop())
        )
      })
    )
  )

export const layer =
  <Self>(tag: Context.Key<Self, ConnectionQuota>) =>
  (options: QuotaOptions): Layer.Layer<Self, Config.ConfigError> =>
    Layer.effect(tag, make(options))
