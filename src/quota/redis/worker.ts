import { type Fork, turn } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import { makeTimer, type Timer, type Timers } from "../../core/timers.js"
import { QuotaUnavailableError } from "../../values/errors.js"
import type { ConnectionQuota } from "../../values/quota.js"
import type { QuotaState, QuotaStats } from "../../values/quotaStats.js"
import { Desk, type Engine } from "../desk.js"
import { decodeQuotaLimits, millisOfPause } from "../options.js"
import { Askers, Wishes } from "./askers.js"
import { Asks } from "./asks.js"
import { Attempts } from "./attempts.js"
import type { EngineLink } from "./link.js"
import { News } from "./news.js"
import type { RedisQuotaSettings } from "./options.js"
import { type Answer, errorIn, type Report, shownWindows } from "./report.js"

/** Pauses between reports to an engine that does not answer, in milliseconds: doubled, up to the last. */
const firstRetry = 100
const lastRetry = 1_000

/** How long a connection is idle before the engine hears of it, in milliseconds: busy pools have none for longer. */
const idleDelay = 10

/** Who is not first in line looks again so much later, in milliseconds, that not all of them do at once. */
const rankDelay = 20
const longestRankDelay = 1_000

/**
 * A process as a worker of the engine. It reports what is, one report at a time, and takes from each answer what it may
 * open: the allotment less what that very report said it held. Whatever is lost is made good by the next report.
 */
export class Worker implements ConnectionQuota, Engine {
  private readonly desk: Desk
  private state: QuotaState = "unreachable"
  private error: QuotaUnavailableError | undefined
  private answer: Answer | undefined
  /** Whether the engine has forgotten what it was told before. */
  private isForgotten = false
  private readonly asks: Asks
  private readonly attempts = new Attempts()
  private readonly news: News
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
  private readonly askers = new Askers()

  private epoch = ""
  private version = 0
  /** When the latest report was sent that was answered. */
  private heardAt = 0
  private retryAfter: number | undefined
  private wells = 0

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
    this.asks = new Asks(this.desk)
    this.news = new News(this.desk)
    this.heartbeat = makeTimer(() => this.report())
    this.again = makeTimer(() => this.report())
    this.lapse = makeTimer(() => this.onLapse())
    this.idling = makeTimer(() => {
      if (this.spare > 0 && (this.reported?.spare ?? 0) === 0) this.report()
    })
  }

  readonly start = (): void => this.report()

  /** Tells the engine that this worker is over. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isOver = true
      for (const timer of [this.heartbeat, this.again, this.lapse, this.idling]) this.timers.clear(timer)
      this.seq += 1
      const last = Effect.suspend(() => this.link.exchange({ ...this.present(new Wishes()), isLast: true }))
      // A turn later: a report of this very moment would come after it, and the engine would know this worker again.
      return Effect.ignore(Effect.andThen(turn, last))
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
    Effect.flatMap(decodeQuotaLimits(limits, this.settings.name), ({ connections, windows }) =>
      Effect.asVoid(this.ask({ limit: connections, windows }))
    )

  readonly pause: ConnectionQuota["pause"] = (duration) =>
    Effect.asVoid(Effect.suspend(() => this.ask({ pause: millisOfPause(duration) })))

  get events(): ConnectionQuota["events"] {
    return this.desk.events.stream
  }

  readonly join: ConnectionQuota["join"] = (member) => this.desk.join(member)

  private ask(wish: Parameters<Askers["ask"]>[0]): Effect.Effect<Answer, QuotaUnavailableError> {
    return this.askers.ask(wish, () => {
      if (this.isOver) return this.unreachable
      this.report()
      return undefined
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

  readonly left = (): void => this.changed()

  /** Reports, if what was reported is not so any more. */
  changed(): void {
    this.attempts.note(this.desk.tried, this.timers.now())
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
      (!this.hasWindows || reported.tried === this.desk.tried) &&
      (!reported.isUnable || this.asks.isUnable)
    if (!isTold) this.report()
  }

  private get hasWindows(): boolean {
    return (this.answer?.windows ?? shownWindows(this.settings.windows)) !== ""
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
      // A turn later: who gives back, and takes again at once, has one report for both.
      Effect.map(turn, () => {
        this.isScheduled = false
        if (!this.isInFlight && !this.isOver) this.send()
      }),
      { immediate: false }
    )
  }

  private present(wishes: Wishes): Report {
    const { background, given, granted, held, refusals, tried, trying, waiters } = this.desk
    const now = this.timers.now()
    const { owed, owedIdle } = this.desk.debts
    const ages = this.attempts.ages(now)
    // Whoever has forgotten the attempts does not know of a pause, either.
    const pause = this.isForgotten ? this.news.pausedUntil - now : 0
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
      askedIdle: this.asks.idle,
      askedLeased: this.asks.leased,
      owed,
      owedIdle,
      isUnable: this.asks.isUnable,
      old: Math.max(this.desk.grantedBefore(now - this.settings.turn) - owed, 0),
      refused: refusals,
      retryAfter: this.retryAfter,
      well: this.wells,
      epoch: this.epoch,
      version: this.version,
      ages,
      isLast: false,
      latest: this.answer,
      limit: wishes.limit,
      windows: wishes.windows,
      pause: Math.max(wishes.pause, pause),
      counts: !wishes.isEmpty
    }
  }

  private send(): void {
    const wishes = this.askers.take()
    this.seq += 1
    this.sentAt = this.timers.now()
    this.isInFlight = true
    this.isDue = false
    this.grantedSince = 0
    const report = this.present(wishes)
    this.reported = report
    const toldFrom = this.attempts.told()
    const wasForgotten = this.isForgotten
    this.isForgotten = false
    this.timers.clear(this.again)
    this.timers.clear(this.idling)
    this.link.start(report, (outcome) => {
      this.isInFlight = false
      if (this.isOver) {
        wishes.tell(outcome)
        return
      }
      if (Exit.isSuccess(outcome)) this.answered(report, outcome.value)
      else {
        this.attempts.tellFrom(toldFrom)
        this.isForgotten ||= wasForgotten
        this.failed(errorIn(this.settings.name, outcome.cause))
      }
      wishes.tell(outcome)
      if (this.isDue || !this.askers.isEmpty) this.report()
    })
  }

  private failed(error: QuotaUnavailableError): void {
    this.error = error
    if (this.isReached) {
      this.state = "unreachable"
      this.news.unreachable(error)
    }
    this.failures += 1
    const pause = Math.min(firstRetry * 2 ** (this.failures - 1), lastRetry) * (0.8 + 0.4 * this.random())
    this.isDue = !this.askers.isEmpty
    this.timers.set(this.again, this.timers.now() + pause)
    this.grantAlone()
  }

  private answered(report: Report, answer: Answer): void {
    const { ttl } = this.settings
    const now = this.timers.now()
    const before = this.answer
    const isBack = !this.isReached && this.error !== undefined
    this.failures = 0
    this.heardAt = this.sentAt
    this.state = answer.recovering > 0 ? "recovering" : "connected"
    this.error = undefined
    this.news.answered(answer, now, isBack)
    if (answer.epoch !== this.epoch) {
      // It has begun anew: it has to be told what only the workers know.
      const hasEnded = this.attempts.tellFrom(Number.NEGATIVE_INFINITY)
      this.isForgotten = this.epoch !== "" && this.news.pausedUntil > now
      // Had the report been sent again, it would not say what was granted for it before.
      this.isDue ||= hasEnded || this.isForgotten || this.grantedSince > 0
      this.epoch = answer.epoch
      this.version = answer.version
    } else this.version = Math.max(this.version, answer.version)
    this.answer = { ...answer, connects: answer.connects ?? before?.connects }
    this.timers.set(this.lapse, this.sentAt + ttl)
    this.timers.set(this.heartbeat, now + (ttl / 3) * (0.9 + 0.1 * this.random()))
    const isTaken = answer.seq === this.seq && !this.isLate
    if (isTaken) {
      this.asks.follow(report, answer)
      this.asked(answer.askedIdle, answer.askedLeased)
      this.allotted(answer.allotment)
    } else this.timers.set(this.again, now + firstRetry)
    this.desk.tellQueued()
    if (isTaken && this.desk.waiting > 0 && answer.wait > 0) {
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
    // One that is about an older report was answered by a later one.
    if (kind === "g" && Number(first) === this.seq && !this.isLate) this.allotted(Number(second))
  }

  /** Whether what was granted for the latest report may have been given to others: the engine may have forgotten it. */
  private get isLate(): boolean {
    return this.timers.now() - this.sentAt >= this.settings.ttl
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

  /** What it does not get here, the engine asks somebody else for. */
  private asked(idle: number, leased: number): void {
    if (!this.asks.meet(idle, leased)) this.report()
  }

  private onLapse(): void {
    const { name: quota, onLapse } = this.settings
    this.lapses += 1
    this.state = "lapsed"
    // The engine may have forgotten this worker, and with it when its attempts ended.
    this.attempts.tellFrom(this.heardAt)
    this.desk.tell(() => ({ _tag: "Lapsed", quota }))
    if (onLapse === "keep") return
    for (const { member } of this.desk.parties) member.close(onLapse === "idle" ? "idle" : "all")
  }
}
