import * as Duration from "#effect/Duration"
import type { Timer, Timers } from "../core/timers.js"
import type { Log } from "./log.js"

/** How far apart, in milliseconds, the warnings of one episode are. */
const interval = 5 * 60_000

/** How long, in milliseconds, nothing may fail before the next failure begins another episode. */
export const calm = 10_000

/** Who has failed within this many milliseconds is still at it. The pool itself pauses for 10 seconds at most. */
const recent = 30_000

/** A failure: what `Log` is given. */
export interface Failure {
  readonly message: string
  readonly reason: string
}

/** An episode that goes on. */
export interface Ongoing<F> {
  readonly since: number
  readonly failures: number
  readonly latest: F
}

/** The words for a kind of episode. */
export interface Words {
  /** It has gone on for so long, by so many failures. The message of the latest follows. */
  readonly goesOn: (elapsed: string, failures: number) => string
  readonly isOver: (elapsed: string, failures: number) => string
  /** Since when nothing may have failed for a while before a success is believed; undefined if it is believed at once. */
  readonly calmSince?: "failure" | "success"
}

/**
 * Something that goes wrong for a while, told as one however often it fails: a warning when it begins, one every five
 * minutes while it goes on, and a line when it is over. Failures that come soon after the end belong to it, too, so that
 * a server that comes and goes fills no log.
 */
export class Episode<F extends Failure = Failure> implements Timer {
  /** Whether there is one, or the latest has ended too recently for the next failure to begin another. */
  private hasBegun = false
  /** Failures since it began: none yet if it was only foreseen. */
  private failures = 0
  private since = 0
  private latest: F | undefined = undefined
  private failedAt = 0
  /** The first success since the latest failure. */
  private succeededAt: number | undefined = undefined
  /** Whether its end has to be told. */
  private isOpen = false
  private warnedAt = 0
  /** When it may be told again that it goes on. */
  private nextAt = 0

  // Its timer is the next warning, or the end of a success that is not believed yet.
  due = 0
  position = -1

  constructor(
    private readonly words: Words,
    private readonly log: Log,
    private readonly timers: Timers
  ) {}

  /** What goes on now, as of the latest failure. */
  get ongoing(): Ongoing<F> | undefined {
    const { failures, hasBegun, latest, since, succeededAt } = this
    return hasBegun && succeededAt === undefined && latest !== undefined ? { since, failures, latest } : undefined
  }

  /** Whether there is none, and the next failure begins one. */
  get isOver(): boolean {
    return !this.hasBegun
  }

  /** Nothing has failed yet, but something is about to: failures to come belong to the episode that this begins. */
  foreseen(failure: F, since: number): void {
    this.goWrong(failure, since, 0)
  }

  failed(failure: F): void {
    this.goWrong(failure, this.timers.now(), 1)
  }

  private goWrong(failure: F, since: number, failures: number): void {
    const now = this.timers.now()
    const isNew = !this.hasBegun || (this.succeededAt !== undefined && now - this.succeededAt >= calm)
    if (isNew) {
      this.hasBegun = true
      this.since = since
      this.failures = 0
    }
    // Its end was told too early. If it goes on from here that must not stay the last word for minutes.
    if (this.succeededAt !== undefined && !this.isOpen) this.nextAt = Math.min(this.warnedAt + interval, now + calm)
    this.failures += failures
    this.latest = failure
    this.failedAt = now
    this.succeededAt = undefined
    if (isNew) this.warn(now, failure.message)
    else if (now >= this.nextAt) this.goOn(now)
    if (this.isOpen) this.timers.set(this, this.nextAt)
  }

  succeeded(): void {
    if (!this.hasBegun || this.succeededAt !== undefined) return
    const now = this.timers.now()
    this.succeededAt = now
    const { calmSince } = this.words
    const believed = calmSince === undefined ? now : (calmSince === "failure" ? this.failedAt : now) + calm
    if (now >= believed) this.end()
    else this.timers.set(this, believed)
  }

  onDue(): void {
    const now = this.timers.now()
    if (this.succeededAt !== undefined) this.end()
    // Otherwise nobody tries any more, and it is told when somebody does.
    else if (now - this.failedAt < recent) this.goOn(now)
    if (this.isOpen && this.nextAt > now) this.timers.set(this, this.nextAt)
  }

  private goOn(now: number): void {
    const words = this.words.goesOn(shown(now - this.since), this.failures)
    this.warn(now, `${words}. The latest: ${this.latest?.message}`)
  }

  private warn(now: number, message: string): void {
    this.isOpen = true
    this.warnedAt = now
    this.nextAt = now + interval
    this.log.warn(message, { reason: this.latest?.reason })
  }

  private end(): void {
    this.timers.clear(this)
    this.latest = undefined
    if (this.isOpen) {
      this.isOpen = false
      this.log.info(this.words.isOver(shown((this.succeededAt ?? this.since) - this.since), this.failures))
    }
    // It has been calm for long enough already: the next failure is another story.
    if (this.words.calmSince !== undefined) this.hasBegun = false
  }
}

export const shown = (millis: number): string => Duration.format(Duration.millis(millis))

const times = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** The server cannot be reached. It is over with the first connection. */
export const outage: Words = {
  goesOn: (elapsed, failures) => `Connecting has failed for ${elapsed} (${times(failures, "attempt")})`,
  isOver: (elapsed, failures) => `Connected again after ${elapsed} (${times(failures, "failed attempt")})`
}

/** Callers are turned away. There are always some who get a connection. */
export const exhaustion: Words = {
  goesOn: (elapsed, failures) => `The pool has been exhausted for ${elapsed} (${times(failures, "failed get")})`,
  isOver: (elapsed, failures) => `The pool is no longer exhausted, after ${elapsed} (${times(failures, "failed get")})`,
  calmSince: "failure"
}

/** The server ends connections soon after they were opened. It is over when one has lasted. */
export const transience: Words = {
  goesOn: (elapsed, failures) =>
    `The server has ended connections soon after they were opened for ${elapsed} (${times(failures, "connection")})`,
  isOver: (elapsed, failures) =>
    `Connections last again, after ${elapsed} (${times(failures, "connection")} ended early)`,
  calmSince: "success"
}
