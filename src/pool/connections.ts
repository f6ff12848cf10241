import type { Fork } from "#dialect"
import type * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Scope from "#effect/Scope"
import type { Link } from "../connection/link.js"
import type { Demand, Driver, LostWait } from "../core/driver.js"
import type { Outcome, SlotState, Waiter } from "../core/slot.js"
import { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import { shortestLife } from "../core/upkeep.js"
import type { Journal } from "../observe/journal.js"
import type { Settings } from "../options/decode.js"
import * as defaults from "../options/defaults.js"
import type { WebSocketTransport } from "../transport/seam.js"
import type { AcquireError, ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { ConnectionQuota, QuotaMember, QuotaShare } from "../values/quota.js"
import type { PoolStats } from "../values/stats.js"
import { Health } from "./health.js"
import { Hooks } from "./hooks.js"
import { LongWaits } from "./longWaits.js"
import { Opening, type OpeningHost } from "./opening.js"
import { memberOf, Permits } from "./permits.js"
import { Refusals } from "./refusals.js"
import { Settling } from "./settling.js"
import { type Place, Tasks } from "./tasks.js"

/** Ends that the pool or a holder has brought about: they say nothing of the server. */
const renewals: ReadonlySet<CloseReason> = new Set([
  "Expired",
  "Refreshed",
  "Evicted",
  "Reclaimed",
  "Discarded",
  "Closed"
])

/** What its owner is told. */
export interface Owner {
  /** A connection is open, or keeping `minConnections` has failed for now. */
  readonly onReady: (failure?: ConnectionUnavailableError) => void
  /** A snapshot. */
  readonly snapshot: () => PoolStats
  /** The pool is closing, and something has ended. */
  readonly onVacated: () => void
}

/**
 * Drives the generic core: makes connections, keeps them healthy and fit for the next lease, and closes them.
 *
 * Who owns what: the core owns the slots and the line; a link owns its socket; this class starts the fibers, at
 * most one task for each slot, and those that close the scopes of `onConnect`; the service waits for their end.
 */
export class Connections implements Driver<Link, AcquireError>, OpeningHost {
  readonly pool: SlotPool<Link, AcquireError>
  readonly pingInterval: number
  readonly pingTimeout: number
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly closeTimeout: number
  readonly hasHealthCheck: boolean
  permits: Permits | undefined = undefined
  /** What is known of its quota without asking anybody, if it has one. */
  quota: (Pick<ConnectionQuota, "local"> & Pick<QuotaShare, "known">) | undefined = undefined
  // Only a pool with a quota tells them.
  demand: ((demand: Demand) => void) | undefined = undefined
  unbegun: (() => Place | undefined) | undefined = undefined

  readonly opening: Opening
  readonly refusals: Refusals
  private readonly tasks: Tasks
  private readonly health: Health
  private readonly settling: Settling
  /** Those whose readers have something to read, and an array for those of the next turn: both keep what they have grown to. */
  private awaited: Array<Link | undefined> = []
  private awaitedBefore: Array<Link | undefined> = []
  private awaiting = 0
  private readonly defer: WebSocketTransport["defer"]
  private readonly longWaits: LongWaits

  constructor(
    readonly settings: Settings,
    readonly transport: WebSocketTransport,
    readonly timers: Timers,
    readonly journal: Journal,
    readonly random: () => number,
    readonly fork: Fork,
    private readonly owner: Owner
  ) {
    this.defer = transport.defer
    this.pingInterval = settings.pingInterval
    this.pingTimeout = settings.pingTimeout
    this.receiveBuffer = settings.receiveBuffer
    this.sendBuffer = settings.sendBuffer
    this.closeTimeout = settings.closeTimeout
    this.hasHealthCheck = settings.healthCheck !== undefined
    this.pool = new SlotPool<Link, AcquireError>(
      {
        min: settings.minConnections,
        max: settings.maxConnections,
        concurrency: 1,
        targetUtilization: 1,
        idleTimeout: settings.idleTimeout,
        maxWaiters: settings.maxWaiters,
        isRenewal: (reason, lasted) => renewals.has(reason) && lasted >= shortestLife
      },
      this,
      timers
    )
    this.longWaits = new LongWaits(settings, timers, journal, () => ({
      waitingSince: this.pool.waitingSince,
      isFull: this.pool.slots.size >= this.pool.max,
      stats: () => owner.snapshot(),
      lastFailure: this.opening.lastFailure
    }))
    const warn = (message: string, cause?: Cause.Cause<unknown>): void => this.warn(message, cause)
    const hooks = new Hooks(fork, timers, warn)
    this.tasks = new Tasks(fork)
    this.opening = new Opening(this, this.tasks)
    this.refusals = new Refusals(
      settings,
      this.pool,
      timers,
      journal,
      this.opening,
      () => this.permits,
      () => owner.snapshot()
    )
    this.settling = new Settling(settings, this.pool, timers, journal, this.tasks, hooks, warn)
    this.health = new Health(settings, this.pool, timers, journal, this.tasks, hooks, this.settling)
  }

  // The quota

  /** The pool as a member of its quota. */
  get member(): QuotaMember {
    return memberOf(this.settings.name, this.pool, () => this.permits)
  }

  /** From now on every attempt needs a permit. */
  joinQuota(quota: ConnectionQuota): Effect.Effect<void, never, Scope.Scope> {
    return Effect.map(quota.join(this.member), (share) => {
      this.quota = { local: quota.local, known: () => share.known() }
      this.limitBy(share)
    })
  }

  private limitBy(share: QuotaShare): void {
    const { journal, pool, settings, timers } = this
    const withdraw = (slot: Place): void => this.opening.withdraw(slot)
    const permits = new Permits(share, pool, timers, journal, settings.shutdownTimeout, withdraw)
    this.permits = permits
    this.demand = (demand) => permits.demand(demand)
    this.unbegun = () => permits.unbegun()
  }

  // Opening

  create(slot: Place): void {
    this.opening.create(slot)
  }

  abort(slot: Place): void {
    this.opening.abort(slot)
  }

  onReady(failure?: ConnectionUnavailableError): void {
    this.owner.onReady(failure)
  }

  // Refusing

  refusal(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> | undefined {
    return this.refusals.refusal(waiter)
  }

  timedOut(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> {
    return this.refusals.timedOut(waiter)
  }

  tooManyWaiters(): Outcome<Link, AcquireError> {
    return this.refusals.tooManyWaiters()
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return this.refusals.poolClosed()
  }

  // Between two leases

  released(slot: Place): "Reuse" | "Settle" | CloseReason {
    const link = slot.item
    // The holder of one that the server has ended fails most often, too: that does not count as discarded.
    if (!link.isOpen) return link.closeReason ?? "Remote"
    if (link.isUnfit) return "Discarded"
    // A doomed one will be closed whatever is said here.
    if (slot.doom !== undefined) return "Reuse"
    return this.settings.onRelease === undefined ? this.settling.tidy(link) : "Settle"
  }

  refused({ item }: Place): "Reuse" | CloseReason {
    if (item.isOpen) return "Reuse"
    item.inbox.drop()
    return item.closeReason ?? "Remote"
  }

  settle(slot: Place): void {
    this.settling.settle(slot)
  }

  onStray(link: Link, message: Message, bytes: number): void {
    this.settling.onStray(link, message, bytes)
  }

  wakeLater(link: Link): void {
    if (this.defer === undefined) {
      link.inbox.wake()
      return
    }
    // Fibers that run one after the other share much of what it costs to run one.
    if (this.awaiting === 0) this.defer(this.wakeAll)
    this.awaited[this.awaiting++] = link
  }

  /** What comes in one turn of the event loop, on whichever connection, comes at the same time. */
  receivedAt(): number {
    return this.awaiting === 0 ? this.timers.now() : this.awaited[0]!.messageAt
  }

  private readonly wakeAll = (): void => {
    const { awaited, awaiting } = this
    this.awaited = this.awaitedBefore
    this.awaitedBefore = awaited
    this.awaiting = 0
    for (let index = 0; index < awaiting; index++) {
      const link = awaited[index]!
      awaited[index] = undefined
      link.inbox.wake()
    }
  }

  onDropped(link: Link, bytes: number): void {
    this.journal.dropped(link, bytes)
  }

  // Health

  isUsable({ item }: Place): boolean {
    return item.isOpen
  }

  needsCheck(slot: Place, now: number): boolean {
    return this.health.needsCheck(slot, now)
  }

  check(slot: Place): void {
    this.health.check(slot)
  }

  onSilent(link: Link): void {
    this.health.onSilent(link)
  }

  onDead(link: Link): void {
    this.health.onDead(link)
  }

  // Closing

  retire({ item }: Place, reason: CloseReason): void {
    // What is lost retires no more: its holder learns of it by other means.
    if (item.isEnding) return
    if (!item.hasRetired) {
      item.hasRetired = true
      this.journal.retiring(item, reason)
    }
    item.retire(reason)
  }

  retirementOf(link: Link): CloseReason | undefined {
    return link.isEnding || link.slot.item !== link ? undefined : this.pool.retirement(link.slot)
  }

  /** One that was granted just now is held by nobody yet. */
  heldSince({ item }: Place): number {
    return item.lease?.since ?? Number.POSITIVE_INFINITY
  }

  destroy(slot: Place, reason: CloseReason): void {
    const link = slot.item
    // What it waits for is a hook that has been lent the connection.
    if (this.tasks.interrupt(slot)) link.endLease()
    this.health.condemn(link, reason)
    this.settling.undrained(link, reason)
    if (reason === "Discarded" && link.closeReason === undefined) this.journal.discarded()
    link.closeReason ??= reason
    if (link.isGone) {
      // Unless that was told just now.
      if (slot.state === "closing") this.pool.closed(slot)
      return
    }
    this.journal.closing(link, reason)
    const code = reason === "Shutdown" || this.permits?.hasLapsed(slot) === true ? 1001 : 1000
    link.close(code, "", "Pool", reason)
    // The holder of a lease that outlives the pool may still read what has arrived.
    if (link.lease === undefined) link.inbox.drop()
  }

  /** Ends what is still there, whoever it waits for. */
  destroyAll(): void {
    for (const link of this.links()) link.destroy()
  }

  /** Whether there is a socket that is not gone. */
  get hasSockets(): boolean {
    return this.links().some(({ isGone, socket }) => socket !== undefined && !isGone)
  }

  /** Every connection there is, those that are still being made included. */
  links(): ReadonlyArray<Link> {
    return Array.from(this.pool.slots, (slot) => this.opening.creationOf(slot)?.link ?? slot.item).filter(
      (link) => link !== undefined
    )
  }

  lifetime(): number {
    const { connectionTTL } = this.settings
    if (connectionTTL === Number.POSITIVE_INFINITY) return connectionTTL
    return connectionTTL * (1 - defaults.connectionTTLJitter * this.random())
  }

  onEnded(link: Link): void {
    if (link.slot.item === link) this.health.ended(link.slot, link.closeReason ?? "Remote")
  }

  onGone(link: Link): void {
    const { scope, slot } = link
    if (scope !== undefined) {
      const close = Effect.catchCause(Scope.close(scope, Exit.void), (cause) =>
        Effect.logWarning("What onConnect acquired could not be released", cause)
      )
      this.fork(close)
    }
    if (slot.item === link) this.gone(link)
    // Of one that is being opened the attempt is over when its fiber says so.
    if (this.opening.creationOf(slot)?.link !== link) this.permits?.release(link)
    if (this.pool.state !== "open") this.owner.onVacated()
  }

  /** The socket of one that the pool has is gone. */
  gone(link: Link): void {
    const { slot } = link
    // Who was granted it, and has not begun, still gets what it holds.
    if (link.lease === undefined && (slot.leases === 0 || slot.state === "checking")) link.inbox.drop()
    this.journal.closed(link, link.openedAt, link.end?.code ?? 1006, link.closeReason ?? "Remote")
    this.settling.undrained(link, link.closeReason ?? "Remote")
    // Nobody needs the outcome of a hook any more.
    this.tasks.interrupt(slot)
    if (slot.state === "closing") this.pool.closed(slot)
    else this.pool.lose(slot)
    // It may have been the last for which somebody who is held off could wait.
    if (this.opening.heldOff() !== undefined) this.pool.refuse()
  }

  vacated(): void {
    this.owner.onVacated()
  }

  // To be counted

  moved(from: SlotState | undefined, to: SlotState): void {
    this.journal.metrics.moved(from, to)
  }

  waits(change: 1 | -1): void {
    this.journal.metrics.waits(change)
    if (change === 1 && this.pool.slots.size >= this.pool.max) this.longWaits.onWait()
  }

  waitLost({ request }: Waiter<Link, AcquireError>, how: LostWait): void {
    this.journal.waitLost(this.timers.now() - request.since, how)
  }

  onSent(bytes: number): void {
    this.journal.metrics.sent(bytes)
  }

  onReceived(bytes: number): void {
    this.journal.metrics.received(bytes)
  }

  warn(message: string, cause?: Cause.Cause<unknown>): void {
    const log = cause === undefined ? Effect.logWarning(message) : Effect.logWarning(message, cause)
    this.fork(Effect.annotateLogs(log, "pool", this.settings.name), { immediate: false })
  }
}
