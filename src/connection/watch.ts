import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import { cancellable } from "../core/cancellable.js"
import type { Timer, Timers } from "../core/timers.js"
import type { TransportSocket } from "../transport/seam.js"
import type { ConnectionError } from "../values/errors.js"

/** What is watched, and told. */
export interface Line {
  readonly isOpen: boolean
  /** Whether it is not read. */
  readonly isPaused: boolean
  readonly socket: TransportSocket | undefined
  /** Whether nobody holds it, and a `healthCheck` stands in for its pings. */
  readonly isChecked: boolean
  /** When the latest lease ended. */
  readonly leasedUntil: number
  /** It is to be pinged, or checked: nothing was heard for `pingInterval`, or for nearly as long when another line is silent. */
  readonly onSilent: () => void
  /** Nothing moved for `pingTimeout` after a ping. */
  readonly onDead: () => void
}

/** How it is watched; times are in milliseconds. */
export interface Rules {
  readonly timers: Timers
  readonly pingInterval: number
  readonly pingTimeout: number
}

interface Pinger {
  readonly lease: object | undefined
  readonly since: number
  readonly resume: (effect: Effect.Effect<Duration.Duration, ConnectionError>) => void
}

/** How often a line is looked at while a ping is out: the part of `pingTimeout` by which its end may be noticed late. */
const looks = 4

/** The part of `pingInterval` by which a ping may come early, in company of another line's. */
const leewayOfSilence = 0.01

/** Pings a line, and watches whether it lives. Its timer is the next look. */
export class Watch implements Timer {
  due = 0
  position = -1

  heardAt = 0
  /** By how much the wall clock was known to have jumped ahead then. */
  heardJumps = 0
  private checkedAt = 0
  private pings = 0
  private pingers: Map<number, Pinger> | undefined = undefined
  /** Whether the line is watched since a ping went out, when it last moved since, and whether it has yet to answer. */
  private isWatched = false
  private movedAt = 0
  private isAwaiting = false
  /** Whether the line was given more time already, since the program was held up. */
  private isExcused = false
  /** By how much a look was late since the ping, at most. */
  private late = 0
  private progress = 0

  constructor(
    private readonly line: Line,
    private readonly rules: Rules
  ) {}

  // What happens on the line

  opened(now: number): void {
    this.heardAt = now
    this.heardJumps = this.rules.timers.wallJumps
    this.rest()
  }

  heard(now: number): void {
    this.heardAt = now
    this.heardJumps = this.rules.timers.wallJumps
    if (!this.isAwaiting) return
    this.isAwaiting = false
    this.unwatch()
  }

  ponged(payload: string, now: number): void {
    this.heard(now)
    const { pingers } = this
    if (pingers === undefined) return
    // A server may answer only the latest of several pings.
    const answered = Number(payload)
    for (const [id, pinger] of pingers) {
      if (id > answered) break
      pingers.delete(id)
      pinger.resume(Effect.succeed(Duration.millis(this.rules.timers.exactly() - pinger.since)))
    }
    this.unwatch()
  }

  /** Once it has answered all, it is left alone until it has been silent again. */
  private unwatch(): void {
    if (!this.isWatched || this.isAwaited) return
    this.isWatched = false
    this.rest()
  }

  private get isAwaited(): boolean {
    return this.isAwaiting || (this.pingers !== undefined && this.pingers.size > 0)
  }

  /** It is read again: what was silent while it was not says nothing. */
  resumed(): void {
    this.heardAt = this.movedAt = this.rules.timers.now()
    this.heardJumps = this.rules.timers.wallJumps
    this.isWatched = false
    if (this.pingers !== undefined && this.pingers.size > 0) this.sendPing()
    if (!this.isWatched) this.rest()
  }

  /** A health check has come to its end. */
  checked(): void {
    this.checkedAt = this.rules.timers.now()
    this.rest()
  }

  /** It may be that a check is due earlier than what the timer is set for. */
  idle(): void {
    if (!this.isWatched) this.rest()
  }

  stop(): void {
    this.isWatched = false
    this.rules.timers.clear(this)
  }

  // Pings

  ping(
    lease: object | undefined,
    refuse: () => Effect.Effect<never, ConnectionError> | undefined
  ): Effect.Effect<Duration.Duration, ConnectionError> {
    return cancellable((resume) => {
      const refusal = refuse()
      if (refusal !== undefined) {
        resume(refusal)
        return () => undefined
      }
      const id = this.pings + 1
      this.pingers ??= new Map()
      this.pingers.set(id, { lease, since: this.rules.timers.exactly(), resume })
      this.sendPing()
      return () => {
        this.pingers?.delete(id)
        return undefined
      }
    })
  }

  /** Pings the line, and watches it until it answers. */
  sendPing(): void {
    this.pings += 1
    const { isOpen, isPaused, socket } = this.line
    // Behind a socket that is not read no answer can be seen.
    if (isPaused || !isOpen || socket === undefined) return
    const now = this.rules.timers.now()
    if (!this.isAwaiting) {
      this.isAwaiting = true
      this.isExcused = false
      this.late = 0
      this.movedAt = now
      // Before the ping, whose own bytes are no backlog that could leave.
      this.progress = socket.progress
    }
    socket.ping(String(this.pings))
    if (this.isWatched) return
    this.isWatched = true
    this.rules.timers.set(this, now + this.lookAfter)
  }

  /** All who wait for an answer fail. */
  fail(error: () => Effect.Effect<never, ConnectionError>): void {
    const { pingers } = this
    this.pingers = undefined
    if (pingers !== undefined) for (const pinger of pingers.values()) pinger.resume(error())
  }

  /** Those of a lease fail; the pool's own go on. */
  endLease(error: () => Effect.Effect<never, ConnectionError>): void {
    const { pingers } = this
    if (pingers === undefined) return
    for (const [id, pinger] of pingers) {
      if (pinger.lease === undefined) continue
      pingers.delete(id)
      pinger.resume(error())
    }
  }

  // Looking

  /** Lines that fall silent at about the same time are told of together. */
  onDue(): boolean {
    return !this.line.isPaused && this.look()
  }

  /** Says whether it has told that the line is silent. */
  private look(): boolean {
    const { pingTimeout, timers } = this.rules
    const now = timers.now()
    const { socket } = this.line
    if (this.isWatched && this.isAwaited && pingTimeout !== Number.POSITIVE_INFINITY && socket !== undefined) {
      const { progress } = socket
      if (progress !== this.progress) {
        this.progress = progress
        this.movedAt = now
      }
      this.late = Math.max(this.late, now - this.due)
      let deadAt = Math.max(this.movedAt, this.heardAt) + pingTimeout
      // A program that was held up, however shortly, has not read what came meanwhile: then the line gets the time
      // that was lost again, once.
      if (now >= deadAt && this.late >= 1 && !this.isExcused) {
        this.isExcused = true
        deadAt = now + Math.min(2 * this.late, pingTimeout)
        this.movedAt = deadAt - pingTimeout
      }
      if (now >= deadAt) this.line.onDead()
      else timers.set(this, Math.min(deadAt, now + this.lookAfter))
      return false
    }
    this.isWatched = false
    const isEarly = this.due > now
    const isSilent = this.silentAt - now <= (isEarly ? this.leeway : 0)
    if (isSilent) this.line.onSilent()
    else this.rest()
    return isSilent
  }

  get leeway(): number {
    return this.isWatched ? 0 : this.rules.pingInterval * leewayOfSilence
  }

  /** How long until the next look at a line that has yet to answer. */
  private get lookAfter(): number {
    const { pingInterval, pingTimeout } = this.rules
    return Math.min(pingTimeout / looks, Math.max(pingInterval, 1))
  }

  /** When the line will have been silent for `pingInterval`; or unused, where it is checked, however much it says. */
  private get silentAt(): number {
    const since = this.line.isChecked ? this.line.leasedUntil : this.heardAt
    return Math.max(since, this.checkedAt) + Math.max(this.rules.pingInterval, 1)
  }

  private rest(): void {
    this.rules.timers.set(this, this.silentAt)
  }
}
