/** A worker of a quota, as a pool would be one: what it holds, what it waits for, and what it gives up when asked. */
import type { ConnectionQuota } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"

type Urgency = ConnectionQuota.QuotaUrgency

export interface Take {
  readonly urgency: Urgency
  /** Its number: a lower one has waited longer. */
  readonly turn: number
  cancel: () => void
}

/** A permit, and the attempt or the socket for which it is. */
export interface Held {
  readonly permit: ConnectionQuota.QuotaPermit
  readonly urgency: Urgency
  readonly from: number
  /** When its attempt has ended. */
  to: number
  state: "trying" | "leased" | "idle" | "closing" | "gone"
  /** When it was given back. */
  goneAt: number
  /** Whether it closes because it was asked for; and whether it was idle then. */
  isAsked: boolean
  isAskedIdle: boolean
  /** Whether it went with its process: nobody has given it back. */
  isLost: boolean
  /** Granted while nobody could be asked. */
  readonly isAlone: boolean
}

/** What a hand tells of itself. */
export interface Watcher {
  readonly now: () => number
  readonly after: (millis: number, f: () => void) => void
  readonly closingTakes: () => number
  /** Whether the engine tells of a grant in this moment. */
  readonly isTold: boolean
  readonly granted: (hand: Hand, take: Take) => void
  readonly asked: (hand: Hand, from: "idle" | "leased") => void
  readonly gone: (hand: Hand, held: Held) => void
}

export class Hand {
  readonly takes: Array<Take> = []
  readonly all: Array<Held> = []
  /** Leases whose connections are given up when they end. */
  promised = 0
  /** What it was asked for, as far as its quota can know: whatever comes back pays for it, whichever socket it was. */
  private owed = 0
  private owedIdle = 0
  isAlive = true
  served = 0
  private turns = 0
  private share!: ConnectionQuota.QuotaShare
  quota!: ConnectionQuota.ConnectionQuota
  scope!: Scope.Closeable

  constructor(
    readonly name: string,
    private readonly watcher: Watcher,
    private readonly nextTurn: () => number
  ) {}

  join(quota: ConnectionQuota.ConnectionQuota): Effect.Effect<void, never, Scope.Scope> {
    this.quota = quota
    const member: ConnectionQuota.QuotaMember = {
      name: this.name,
      spare: () => this.those("idle").length,
      yield: (count, from) => this.giveUp(count, from),
      close: (which) => {
        for (const held of this.those("idle")) this.close(held)
        if (which === "all") for (const held of this.those("leased")) this.close(held)
      }
    }
    return Effect.map(quota.join(member), (share) => {
      this.share = share
    })
  }

  those(state: Held["state"]): ReadonlyArray<Held> {
    return this.all.filter((held) => held.state === state)
  }

  get held(): number {
    return this.all.reduce((sum, { state }) => sum + (state === "gone" ? 0 : 1), 0)
  }

  /**
   * How many are given up already, as far as its quota can know. A lease that was promised, has ended and is closing looks like
   * one that lasts, so an idle one may take its place; and what had closed before anybody asked counts as given up for it.
   */
  coming(from: "idle" | "leased"): number {
    const closing = this.those("closing")
    const idle = Math.min(closing.filter(({ isAskedIdle }) => isAskedIdle).length, this.owedIdle)
    if (from === "idle") return idle
    return Math.min(closing.filter(({ isAsked }) => isAsked).length + this.promised, this.owed)
  }

  get waiters(): number {
    return this.takes.reduce((sum, { urgency }) => sum + (urgency === "waiter" ? 1 : 0), 0)
  }

  /** Who comes first of those who wait here. */
  get first(): Take | undefined {
    return this.takes.find(({ urgency }) => urgency === "waiter") ?? this.takes[0]
  }

  want(urgency: Urgency): void {
    this.turns += 1
    const take: Take = { urgency, turn: this.nextTurn(), cancel: () => undefined }
    this.takes.push(take)
    take.cancel = this.share.take(urgency, (permit) => {
      const isAlone = !this.watcher.isTold && Effect.runSync(this.quota.local).state in { unreachable: 1, lapsed: 1 }
      this.takes.splice(this.takes.indexOf(take), 1)
      const from = this.watcher.now()
      const infinity = Number.POSITIVE_INFINITY
      this.all.push({
        permit,
        urgency,
        from,
        to: infinity,
        state: "trying",
        goneAt: infinity,
        isAsked: false,
        isAskedIdle: false,
        isLost: false,
        isAlone
      })
      this.served += 1
      this.watcher.granted(this, take)
    })
  }

  cancel(take: Take | undefined): void {
    if (take === undefined) return
    this.takes.splice(this.takes.indexOf(take), 1)
    take.cancel()
  }

  end(held: Held | undefined, how: "well" | "failed" | "refused" | "heldOff"): void {
    if (held === undefined) return
    held.to = this.watcher.now()
    if (how === "well") {
      held.state = held.urgency === "waiter" ? "leased" : "idle"
      held.permit.opened()
      if (held.state === "idle") this.share.idle()
      return
    }
    if (how === "refused") held.permit.refused()
    if (how === "heldOff") held.permit.refused(Duration.millis(1500))
    this.settled(held)
  }

  /** A lease ends. What was promised is closed; else it goes to who waits here, or idles. */
  release(held: Held | undefined, how: "idle" | "close"): void {
    if (held === undefined) return
    const next = this.takes.find(({ urgency }) => urgency === "waiter")
    if (how === "close" || this.promised > 0) this.close(held)
    else if (next !== undefined) this.cancel(next)
    else {
      held.state = "idle"
      this.share.idle()
    }
  }

  close(held: Held): void {
    // Whatever closes first is what was promised.
    if (this.promised > 0) {
      this.promised -= 1
      held.isAsked = true
    }
    held.state = "closing"
    this.watcher.after(this.watcher.closingTakes(), () => this.settled(held))
  }

  private settled(held: Held, isCareless = false): void {
    if (held.state === "gone") return
    held.to = Math.min(held.to, this.watcher.now())
    held.state = "gone"
    held.goneAt = this.watcher.now()
    this.watcher.gone(this, held)
    this.paid()
    if (!isCareless) held.permit.release()
  }

  private paid(): void {
    this.owed = Math.max(this.owed - 1, 0)
    this.owedIdle = Math.min(Math.max(this.owedIdle - 1, 0), this.owed)
  }

  private giveUp(count: number, from: "idle" | "leased"): number {
    const given =
      from === "idle"
        ? this.those("idle").slice(0, count)
        : this.those("leased").slice(0, Math.max(0, Math.min(count, this.those("leased").length - this.promised)))
    for (const held of given) {
      this.watcher.asked(this, from)
      if (from === "leased") {
        this.promised += 1
        this.owed += 1
      } else {
        this.owed = Math.max(this.owed, this.owedIdle + 1)
        this.owedIdle += 1
        this.close(held)
        held.isAsked = held.isAskedIdle = true
      }
    }
    return given.length
  }

  /** All of its sockets are gone in this moment. */
  drop(): void {
    const now = this.watcher.now()
    for (const held of this.all) {
      if (held.state === "gone") continue
      held.to = Math.min(held.to, now)
      held.state = "gone"
      held.goneAt = now
      held.isLost = true
    }
    this.takes.length = 0
    this.isAlive = false
  }

  /** It ends regularly: nobody waits, and its sockets are gone. Where it is careless, its quota has to take the permits back. */
  leave(isCareless: boolean): void {
    for (const take of this.takes.splice(0)) take.cancel()
    for (const held of this.all) this.settled(held, isCareless)
    this.isAlive = false
  }
}
