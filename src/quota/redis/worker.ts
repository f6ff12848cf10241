import { callback, type Fork } from "#dialect"
import * as Cause from "#effect/Cause"
import type * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import { makeTimer, type Timer, type Timers } from "../../core/timers.js"
import { QuotaUnavailableError } from "../../values/errors.js"
import type { ConnectionQuota } from "../../values/quota.js"
import type { QuotaState, QuotaStats } from "../../values/quotaStats.js"
import { Desk, type Engine, type Party } from "../desk.js"
import { decodeQuotaLimits, millisOfPause, type Window } from "../options.js"
import type { EngineLink, Outcome } from "./link.js"
import type { RedisQuotaSettings } from "./options.js"
import { type Answer, type Report, unavailable } from "./report.js"

/** Pauses between reports to an engine that does not answer, in milliseconds: doubled, up to the last. */
const firstRetry = 100
const lastRetry = 1_000

/** How long a connection is idle before the engine hears of it, in milliseconds: busy pools have none for longer. */
const idleDelay = 10

/** Who is not first in line looks again so much later, in milliseconds, that not all of them do at once. */
const rankDelay = 20
const longestRankDelay = 1_000

/** Who waits for the outcome of a report, and what that report asks for besides. */
interface Asker {
  readonly limit?: number | undefined
  readonly windows?: ReadonlyArray<Window> | undefined
  readonly pause?: number | undefined
  readonly onOutcome: (outcome: Outcome) => void
}

/**
 * A process as a worker of the engine. It reports what is, one report at a time, and takes from each answer what it may
 * open: the allotment less what that very report said it held. Whatever is lost is made good by the next report.
 */
export class Worker implements ConnectionQuota, Engine {
  private readonly desk: Desk
  private state: QuotaState = "unreachable"
  private error: QuotaUnavailableError | undefined
  private answer: Answer | undefined
  private pausedUntil = 0
  private lapses = 0
  private isOver = false

  /** The latest report: its number, what it said, when it was sent, and what was granted since. */
  private seq = 0
  private reported: Report | undefined
  private sentAt = 0
  private grantedSince = 0
  private isInFlight = false
  private isScheduled = false
  /** Whether there is something to say besides what is. */
  private isDue = false
  private failures = 0
  private askers: Array<Asker> = []

  private epoch = ""
  private version = 0
  /** Whether the engine has forgotten when attempts ended. */
  private hasForgotten = false
  private askedIdle = 0
  private askedLeased = 0
  private retryAfter: number | undefined
  private wells = 0
  /** When attempts ended that may still count. */
  private ends: Array<number> = []
  private tried = 0

  private readonly heartbeat: Timer
  private readonly lapse: Timer
  private readonly again: Timer
  private readonly idling: Timer
  readonly backoffOn: ReadonlyArray<number>

  constructor(
    private readonly id: string,
    private readonly settings: RedisQuotaSettings,
    private readonly link: EngineLink,
    private readonly timers: Timers,
    private readonly fork: Fork,
    private readonly random: () => number
  ) {
    this.backoffOn = settings.backoffOn
    this.desk = new Desk(settings.name, timers)
    this.desk.open(this)
    this.heartbeat = makeTimer(() => this.report())
    this.again = makeTimer(() => this.report())
    this.lapse = makeTimer(() => this.onLapse())
    this.idling = makeTimer(() => {
      if (this.spare > 0 && (this.reported?.spare ?? 0) === 0) this.report()
    })
  }

  start(): void {
    this.report()
  }

  /** Tells the engine that this worker is over. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isOver = true
      for (const timer of [this.heartbeat, this.again, this.lapse, this.idling]) this.timers.clear(timer)
      this.seq += 1
      return Effect.ignore(this.link.exchange({ ...this.present([]), isLast: true }))
    })
  }

  // The service

  readonly stats: ConnectionQuota["stats"] = Effect.flatMap(
    Effect.suspend(() => this.ask({})),
    (answer) => Effect.sync(() => this.statsOf(answer))
  )

  readonly local: ConnectionQuota["local"] = Effect.sync(() => {
    const { lapses, state } = this
    const { granted, held, reclaimed, waiting } = this.desk
    return { held, waiting, state, granted, reclaimed, lapses }
  })

  readonly resize: ConnectionQuota["resize"] = (limits) =>
    Effect.flatMap(
      Effect.suspend(
        (): Effect.Effect<
          { readonly connections?: number; readonly windows?: ReadonlyArray<Window> },
          Config.ConfigError
        > => decodeQuotaLimits(limits, this.settings.name)
      ),
      ({ connections, windows }) => Effect.asVoid(this.ask({ limit: connections, windows }))
    )

  readonly pause: ConnectionQuota["pause"] = (duration) =>
    Effect.asVoid(Effect.suspend(() => this.ask({ pause: millisOfPause(duration) })))

  get events(): ConnectionQuota["events"] {
    return this.desk.events.stream
  }

  readonly join: ConnectionQuota["join"] = (member) => this.desk.join(member)

  private ask(what: Omit<Asker, "onOutcome">): Effect.Effect<Answer, QuotaUnavailableError> {
    return callback((resume) => {
      if (this.isOver) return resume(Effect.fail(this.unreachable))
      const asker: Asker = {
        ...what,
        onOutcome: (outcome) => {
          if (Exit.isSuccess(outcome)) resume(Effect.succeed(outcome.value))
          else resume(Effect.fail(this.errorOf(outcome.cause)))
        }
      }
      this.askers.push(asker)
      this.report()
    })
  }

  private statsOf(answer: Answer): QuotaStats {
    const { connects, limit, used, waiting, workers } = answer
    return { limit, used, waiting, workers, connects: connects ?? [], state: this.state, held: this.desk.held }
  }

  // The engine, for the desk

  known(): QuotaStats | undefined {
    return this.answer === undefined ? undefined : this.statsOf(this.answer)
  }

  unavailable(): QuotaUnavailableError | undefined {
    return this.isReached ? undefined : this.unreachable
  }

  private get unreachable(): QuotaUnavailableError {
    const { name: quota } = this.settings
    const cause = new Error("The client still connects")
    return this.error ?? new QuotaUnavailableError({ quota, reason: "Timeout", cause })
  }

  private get isReached(): boolean {
    return this.state === "connected" || this.state === "recovering"
  }

  refused(millis: number | undefined): void {
    this.retryAfter = millis
    if (this.desk.hasSucceeded) this.wells += 1
    this.changed()
  }

  idle(): void {
    if (this.reported !== undefined && this.reported.spare === 0 && this.idling.position === -1) {
      this.timers.set(this.idling, this.timers.now() + idleDelay)
    }
  }

  /** Reports, if what was reported is not so any more. */
  changed(): void {
    const now = this.timers.now()
    for (; this.tried < this.desk.tried; this.tried++) this.ends.push(now)
    if (this.ends.length > 2 * longestMemory) this.ends = this.ends.slice(-longestMemory)
    this.grantAlone()
    if (this.isOver) return
    const { reported } = this
    if (reported === undefined) return
    const { background, given, held, refusals, waiters } = this.desk
    const isTold =
      reported.held + this.grantedSince === held &&
      reported.given === given &&
      reported.refused === refusals &&
      reported.want + reported.back === waiters + background + this.grantedSince &&
      (this.settings.windows.length === 0 || reported.tried === this.desk.tried)
    if (!isTold) this.report()
  }

  /** What this process may open while nobody can be asked. */
  private grantAlone(): void {
    if (this.isReached || this.error === undefined) return
    while (this.desk.held < this.settings.unreachable && this.desk.waiting > 0) {
      this.grantedSince += 1
      this.desk.grant()
    }
    this.desk.tellQueued()
  }

  // Reporting

  private get spare(): number {
    let spare = 0
    for (const party of this.desk.parties) spare += party.spare
    return spare
  }

  /** Soon, and all that happens until then in one. */
  private report(): void {
    this.isDue = true
    if (this.isScheduled || this.isInFlight || this.isOver) return
    this.isScheduled = true
    this.fork(
      Effect.sync(() => {
        this.isScheduled = false
        if (!this.isInFlight && !this.isOver) this.send()
      }),
      { immediate: false }
    )
  }

  private present(askers: ReadonlyArray<Asker>): Report {
    const { background, given, granted, held, parties, refusals, tried, trying, waiters } = this.desk
    const now = this.timers.now()
    let owed = 0
    let old = 0
    for (const party of parties) {
      owed += party.owed
      for (const { grantedAt } of party.granted) {
        if (now - grantedAt >= this.settings.turn) old += 1
        else break
      }
    }
    const latest = <A>(read: (asker: Asker) => A | undefined): A | undefined =>
      askers.reduce<A | undefined>((found, asker) => read(asker) ?? found, undefined)
    return {
      worker: this.id,
      seq: this.seq,
      held,
      want: waiters,
      back: background,
      spare: this.spare,
      trying,
      tried,
      given,
      granted,
      askedIdle: this.askedIdle,
      askedLeased: this.askedLeased,
      owed,
      old: Math.max(old - owed, 0),
      refused: refusals,
      retryAfter: this.retryAfter,
      well: this.wells,
      epoch: this.epoch,
      version: this.version,
      ages: this.hasForgotten ? this.ends.map((end) => now - end) : [],
      isLast: false,
      limit: latest(({ limit }) => limit),
      windows: latest(({ windows }) => windows),
      pause: Math.max(0, ...askers.map(({ pause = 0 }) => pause)),
      counts: askers.length > 0
    }
  }

  private send(): void {
    const { askers } = this
    this.askers = []
    this.seq += 1
    this.sentAt = this.timers.now()
    this.isInFlight = true
    this.isDue = false
    this.grantedSince = 0
    const report = this.present(askers)
    this.reported = report
    this.hasForgotten = false
    this.timers.clear(this.again)
    this.timers.clear(this.idling)
    this.link.start(report, (outcome) => {
      this.isInFlight = false
      if (this.isOver) {
        for (const { onOutcome } of askers) onOutcome(outcome)
        return
      }
      if (Exit.isSuccess(outcome)) this.answered(outcome.value)
      else this.failed(this.errorOf(outcome.cause), report.ages.length > 0)
      for (const { onOutcome } of askers) onOutcome(outcome)
      if (this.isDue || this.askers.length > 0) this.report()
    })
  }

  private errorOf(cause: Cause.Cause<QuotaUnavailableError>): QuotaUnavailableError {
    const failure = Cause.findErrorOption(cause)
    return failure._tag === "Some" ? failure.value : unavailable(this.settings.name, Cause.squash(cause))
  }

  private failed(error: QuotaUnavailableError, hadAges: boolean): void {
    const { name: quota } = this.settings
    if (hadAges) this.hasForgotten = true
    this.error = error
    if (this.isReached) {
      this.state = "unreachable"
      this.desk.tell(() => ({ _tag: "Unreachable", quota, error }))
    }
    this.failures += 1
    const pause = Math.min(firstRetry * 2 ** (this.failures - 1), lastRetry) * (0.8 + 0.4 * this.random())
    this.isDue = this.askers.length > 0
    this.timers.set(this.again, this.timers.now() + pause)
    this.grantAlone()
  }

  private answered(answer: Answer): void {
    const { name: quota, ttl } = this.settings
    const now = this.timers.now()
    const before = this.answer
    const wasReached = this.isReached
    const wasRecovering = this.state === "recovering"
    this.failures = 0
    this.state = answer.recovering > 0 ? "recovering" : "connected"
    if (!wasReached && this.error !== undefined) this.desk.tell(() => ({ _tag: "Reachable", quota }))
    this.error = undefined
    if (answer.recovering > 0 && !wasRecovering) {
      this.desk.tell(() => ({ _tag: "Recovering", quota, duration: Duration.millis(answer.recovering) }))
    }
    if (before !== undefined && before.limit !== answer.limit) {
      this.desk.tell(() => ({ _tag: "Resized", quota, connections: answer.limit }))
    }
    // As a time that is over, give or take what an answer takes.
    if (answer.paused > 0 && answer.paused + now > this.pausedUntil + 100) {
      this.pausedUntil = answer.paused + now
      this.desk.tell(() => ({ _tag: "Paused", quota, duration: Duration.millis(answer.paused) }))
    }
    if (answer.epoch !== this.epoch) {
      this.hasForgotten = this.ends.length > 0
      this.isDue ||= this.hasForgotten
      this.epoch = answer.epoch
      this.version = answer.version
    } else this.version = Math.max(this.version, answer.version)
    this.answer = { ...answer, connects: answer.connects ?? before?.connects }
    this.timers.set(this.lapse, this.sentAt + ttl)
    this.timers.set(this.heartbeat, now + (ttl / 3) * (0.9 + 0.1 * this.random()))
    if (answer.seq === this.seq) {
      this.asked(answer.askedIdle, answer.askedLeased)
      this.allotted(answer.allotment)
    }
    this.desk.tellQueued()
    if (this.desk.waiting > 0 && answer.wait > 0) {
      const delay = answer.rank > 0 ? Math.min(answer.rank * rankDelay, longestRankDelay) : 0
      this.timers.set(this.again, now + answer.wait + 1 + delay)
    }
  }

  /** What the engine tells between two reports: a grant, or that it asks for connections back. */
  onMessage(message: string): void {
    const [kind, epoch, first, second] = message.split(" ")
    if (epoch !== this.epoch || this.isOver) return
    if (kind === "r") {
      this.asked(Number(first), Number(second))
      return
    }
    // One that is about an older report was answered by a later one; one that is too old may have been given to others.
    const isLate = this.timers.now() - this.sentAt >= this.settings.ttl
    if (kind === "g" && Number(first) === this.seq && !isLate) this.allotted(Number(second))
  }

  private allotted(allotment: number): void {
    const base = this.reported?.held ?? 0
    while (allotment - base > this.grantedSince) {
      // Nobody wants it any more: the next report says so.
      if (this.desk.waiting === 0) {
        this.report()
        return
      }
      // Counted before: whoever is granted one looks at what was told.
      this.grantedSince += 1
      this.desk.grant()
    }
  }

  // Giving up for others

  /** The engine counts what it has ever asked for, so that no ask is lost, and none is met twice. */
  private asked(idle: number, leased: number): void {
    const newIdle = idle - this.askedIdle
    const newLeased = leased - this.askedLeased
    if (newIdle <= 0 && newLeased <= 0) {
      // It has begun anew, and counts from what it was told.
      this.askedIdle = Math.min(this.askedIdle, idle)
      this.askedLeased = Math.min(this.askedLeased, leased)
      return
    }
    this.askedIdle = idle
    this.askedLeased = leased
    let given = 0
    for (let count = newIdle; count > 0; count--) if (this.giveUp(({ spare }) => spare, "idle")) given += 1
    for (let count = newLeased; count > 0; count--) if (this.giveUp(({ share }) => share, "leased")) given += 1
    // What it does not get, it asks somebody else for.
    if (given < newIdle + newLeased) this.report()
  }

  private giveUp(measure: (party: Party) => number, from: "idle" | "leased"): boolean {
    const asked = new Set<Party>()
    for (;;) {
      const party = this.desk.richest(measure, asked)
      if (party === undefined) return false
      if (this.desk.reclaim(party, from)) return true
      asked.add(party)
    }
  }

  private onLapse(): void {
    const { name: quota, onLapse } = this.settings
    this.lapses += 1
    this.state = "lapsed"
    this.desk.tell(() => ({ _tag: "Lapsed", quota }))
    if (onLapse === "keep") return
    for (const { member } of this.desk.parties) member.close(onLapse === "idle" ? "idle" : "all")
  }
}

/** Attempts whose end is remembered, for an engine that has forgotten them. */
const longestMemory = 1_000
