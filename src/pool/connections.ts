import type { Fork } from "#dialect"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
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
import { oldestLeaseOf } from "../observe/oldestLease.js"
import type { Settings } from "../options/decode.js"
import * as defaults from "../options/defaults.js"
import { BadHeaders, decodeHeaders } from "../options/headers.js"
import * as url from "../options/url.js"
import type { ConnectRequest, WebSocketTransport } from "../transport/seam.js"
import { type AcquireError, ConnectionUnavailableError, PoolClosedError, PoolExhaustedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { QuotaMember, QuotaShare } from "../values/quota.js"
import type { PoolStats } from "../values/stats.js"
import {
  abandon,
  begin,
  type ConnectorHost,
  Creation,
  closedEarly,
  recover,
  requestTo,
  unavailable,
  wait
} from "./connector.js"
import { Gate } from "./gate.js"
import { Health } from "./health.js"
import { Hooks } from "./hooks.js"
import { LongWaits } from "./longWaits.js"
import { memberOf, Permits } from "./permits.js"
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

/** With these a `Retry-After` is a wish of the server, and not of somebody who has redirected the request. */
const holdingStatuses: ReadonlySet<number> = new Set([408, 425, 429, 503])

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
export class Connections implements Driver<Link, AcquireError>, ConnectorHost {
  readonly pool: SlotPool<Link, AcquireError>
  readonly pingInterval: number
  readonly pingTimeout: number
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly closeTimeout: number
  readonly hasHealthCheck: boolean
  lastFailure: ConnectionUnavailableError | undefined
  permits: Permits | undefined = undefined
  // Only a pool with a quota tells them.
  demand: ((demand: Demand) => void) | undefined = undefined
  unbegun: (() => Place | undefined) | undefined = undefined

  private readonly creations = new Map<Place, Creation>()
  private readonly tasks: Tasks
  private readonly health: Health
  private readonly settling: Settling
  readonly request: ConnectRequest | undefined
  /** The URL as it may be shown, if it does not have to be computed. */
  private readonly knownUrl: string
  private readonly knownHost: string | undefined
  readonly gate: Gate
  private ids = 0
  /** Those whose readers have something to read. */
  private awaited: Array<Link> = []
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
    const target = Effect.isEffect(settings.url) ? url.unknown : url.parse(settings.url)
    const headers = Effect.isEffect(settings.headers) ? undefined : decodeHeaders(settings.headers)
    this.knownUrl = typeof target === "string" ? target : url.redact(target)
    this.knownHost = typeof target === "string" ? undefined : target.host
    this.gate = new Gate(timers)
    this.request =
      typeof target === "string" || headers === undefined || headers instanceof BadHeaders
        ? undefined
        : requestTo(settings, target, headers)
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
      lastFailure: this.lastFailure
    }))
    const warn = (message: string, cause?: Cause.Cause<unknown>): void => this.warn(message, cause)
    const hooks = new Hooks(fork, timers, warn)
    this.tasks = new Tasks(fork)
    this.settling = new Settling(settings, this.pool, timers, journal, this.tasks, hooks, warn)
    this.health = new Health(settings, this.pool, timers, journal, this.tasks, hooks, this.settling)
  }

  // The quota

  /** The pool as a member of its quota. */
  get member(): QuotaMember {
    return memberOf(this.settings.name, this.pool, () => this.permits)
  }

  /** From now on every attempt needs a permit. */
  limitBy(share: QuotaShare): void {
    const { journal, pool, settings, timers } = this
    const withdraw = (slot: Place): void => this.withdraw(slot)
    const permits = new Permits(share, pool, timers, journal, settings.shutdownTimeout, withdraw)
    this.permits = permits
    this.demand = (demand) => permits.demand(demand)
    this.unbegun = () => permits.unbegun()
  }

  private withdraw(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isWithdrawn = true
    this.permits?.leaveAs(creation)
    this.creations.delete(slot)
    this.tasks.interrupt(slot)
    this.pool.withdraw(slot)
  }

  // Connecting

  create(slot: Place): void {
    const creation = new Creation(slot, this.timers.now(), this.knownUrl, this.request)
    this.creations.set(slot, creation)
    const { tracing } = this.journal
    tracing.connecting(creation, (slot.starter ?? slot.heldFor)?.request.span)
    const isHeld = creation.host !== undefined && this.gate.holdOf(creation.host) !== undefined
    if (isHeld || this.permits !== undefined) {
      this.tasks.run(slot, wait(this, creation), (exit) => this.established(creation, exit))
      return
    }
    const attempt = begin(this, creation)
    // Most often it is the only one: then its fiber is, too.
    const onAttempted = (exit: Exit.Exit<void, unknown>): void => {
      if (Exit.isFailure(exit)) {
        this.tasks.run(slot, recover(this, creation, attempt, exit.cause), (exit) => this.established(creation, exit))
        return
      }
      tracing.attempted(creation, attempt.span, Exit.void)
      this.established(creation, Exit.succeed(attempt.link))
    }
    this.tasks.run(slot, Effect.interruptible(attempt.open), onAttempted, attempt.limit)
  }

  private established(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    this.journal.tracing.connected(creation, exit)
    if (creation.isWithdrawn) return
    if (Exit.isFailure(exit) || creation.isAborted) this.unopened(creation, exit)
    else if (exit.value.isOpen || this.settings.onConnect === undefined) this.opened(creation, exit.value)
    else {
      const error = unavailable(this, creation, Cause.fail(closedEarly(exit.value)))
      this.onAttemptFailed(creation, error)
      this.unopened(creation, Exit.fail(error))
    }
  }

  private opened({ attempts, host, slot, startedAt }: Creation, link: Link): void {
    this.creations.delete(slot)
    if (host !== undefined) this.gate.open(host)
    this.lastFailure = undefined
    this.permits?.opened(link)
    this.journal.opened(link, startedAt, attempts)
    // A server may greet, or say why it will not, and close at once: that is for the holder to see.
    const wasGone = link.isGone
    this.pool.created(slot, link, !link.isOpen)
    if (wasGone) {
      this.gone(link)
      this.permits?.release(link)
    } else if (link.end !== undefined) this.onEnded(link)
    this.owner.onReady()
  }

  private unopened(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    const { link, slot } = creation
    const failed = (): void => {
      this.creations.delete(slot)
      link?.inbox.drop()
      // What was granted in the step in which it was interrupted.
      this.permits?.giveBack(creation)
      if (link !== undefined) this.permits?.failed(link)
      if (creation.isAborted || Exit.isSuccess(exit)) {
        this.pool.failed(slot, this.poolClosed())
        return
      }
      const failure = Cause.findErrorOption(exit.cause)
      const error = failure._tag === "Some" ? failure.value : unavailable(this, creation, exit.cause)
      this.pool.failed(slot, Effect.fail(error))
      if (slot.background) this.owner.onReady(error)
    }
    if (link === undefined || link.isGone || link.socket === undefined) failed()
    else this.tasks.run(slot, abandon(link, false), failed)
  }

  abort(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isAborted = true
    this.tasks.interrupt(slot)
  }

  nextId(): string {
    this.ids += 1
    // One string, where a template would keep its parts.
    return [this.settings.name, this.ids].join("-")
  }

  isWanted({ slot }: Creation): boolean {
    return slot.background || this.pool.waiting > 0
  }

  onAttemptFailed({ host }: Creation, error: ConnectionUnavailableError): void {
    this.lastFailure = error
    this.journal.connectFailed(error)
    const { retryAfter, status } = error
    if (host === undefined || retryAfter === undefined || status === undefined || !holdingStatuses.has(status)) return
    this.gate.close(host, Duration.toMillis(retryAfter), error)
    this.onHeld()
  }

  onHeld(): void {
    this.pool.refuse()
    const error = this.heldOff()
    if (error !== undefined) this.owner.onReady(error)
  }

  /** With what the server holds off what is to be opened, if it does. */
  heldOff(): ConnectionUnavailableError | undefined {
    const hosts =
      this.knownHost === undefined ? Array.from(this.creations.values(), ({ host }) => host) : [this.knownHost]
    for (const host of hosts) {
      const hold = host === undefined ? undefined : this.gate.holdOf(host)
      if (hold !== undefined) return hold.error
    }
    return undefined
  }

  /** Who cannot outlast the time for which the server holds the pool off would wait in vain, if nothing else is there. */
  refusal(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> | undefined {
    const { checking, idle, leased, releasing } = this.pool.count
    if (idle + checking + leased + releasing > 0) return undefined
    const held = this.heldFor(waiter)
    return held !== undefined && waiter.request.deadline <= held.until ? Effect.fail(held.error) : undefined
  }

  /** What holds the connection off that a waiter waits for, as an error of its own. */
  private heldFor(
    waiter: Waiter<Link, AcquireError>
  ): { readonly until: number; readonly error: ConnectionUnavailableError } | undefined {
    const slot = waiter.creation ?? waiter.held
    const creation = slot && this.creations.get(slot)
    const host = creation?.host ?? this.knownHost
    const hold = host === undefined ? undefined : this.gate.holdOf(host)
    if (hold === undefined) return undefined
    const { cause, isRetryable, pool, reason, retryAfter, status, url } = hold.error
    const attempts = creation?.attempts ?? 0
    return {
      until: hold.until,
      error: new ConnectionUnavailableError({ pool, url, reason, status, attempts, cause, isRetryable, retryAfter })
    }
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
    if (this.awaited.length === 0) this.defer(() => this.wakeAll())
    this.awaited.push(link)
  }

  private wakeAll(): void {
    const links = this.awaited
    this.awaited = []
    for (const link of links) link.inbox.wake()
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
    return Array.from(this.pool.slots, (slot) => this.creations.get(slot)?.link ?? slot.item).filter(
      (link) => link !== undefined
    )
  }

  lifetime(): number {
    const { connectionTTL } = this.settings
    if (connectionTTL === Number.POSITIVE_INFINITY) return connectionTTL
    return connectionTTL * (1 - defaults.connectionTTLJitter * this.random())
  }

  onEnded(link: Link): void {
    if (link.slot.item === link) this.pool.doom(link.slot, link.closeReason ?? "Remote")
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
    if (this.creations.get(slot)?.link !== link) this.permits?.release(link)
    if (this.pool.state !== "open") this.owner.onVacated()
  }

  private gone(link: Link): void {
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
    if (this.heldOff() !== undefined) this.pool.refuse()
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

  // Errors

  timedOut(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> {
    this.journal.metrics.timedOut()
    const { count, max, slots } = this.pool
    const slot = waiter.creation ?? waiter.held
    // What is checked for the waiter itself is no lease in its way.
    const own = slot?.state === "checking" ? 1 : 0
    const isLent = count.leased + count.checking - own + count.releasing > 0
    const { acquireTimeout } = this.settings
    const waited = this.timers.now() - waiter.request.deadline + acquireTimeout
    if (this.isQueued(slot)) {
      const cause = this.permits?.share.unavailable()
      const limit = Duration.millis(acquireTimeout)
      if (cause === undefined) return Effect.fail(this.tell(this.exhausted("Quota", waited, limit)))
      const { name: pool } = this.settings
      const url = (slot && this.creations.get(slot)?.url) ?? this.knownUrl
      return Effect.fail(
        new ConnectionUnavailableError({ pool, url, reason: "Quota", attempts: 0, cause, isRetryable: true })
      )
    }
    if (slots.size >= max && isLent) return Effect.fail(this.tell(this.overdue(waited, true)))
    const held = this.heldFor(waiter)
    return Effect.fail(held === undefined ? this.overdue(0, false, slot && this.creations.get(slot)) : held.error)
  }

  /** For who has waited for so many milliseconds: at the limit, or for a connection that is being opened. */
  overdue(waited: number, isExhausted: boolean, own?: Creation): AcquireError {
    const limit = Duration.millis(this.settings.acquireTimeout)
    if (isExhausted) return this.exhausted("AcquireTimeout", waited, limit)
    // One in line behind a connection that opens for anybody has waited for that.
    const creation = own ?? this.creations.values().next().value
    return new ConnectionUnavailableError({
      pool: this.settings.name,
      url: creation?.url ?? this.knownUrl,
      reason: "Timeout",
      attempts: creation?.attempts ?? 0,
      cause: this.lastFailure ?? new Error(`acquireTimeout (${Duration.format(limit)}) has passed`),
      isRetryable: true
    })
  }

  /** Whether what a waiter waits for waits for a permit: its own creation, or one for whoever is first in line. */
  private isQueued(slot: Place | undefined): boolean {
    const { permits } = this
    if (permits === undefined) return false
    return slot === undefined ? permits.unbegun() !== undefined : permits.isQueued(slot)
  }

  tooManyWaiters(): Outcome<Link, AcquireError> {
    return Effect.fail(this.tell(this.exhausted("TooManyWaiters", 0, this.settings.maxWaiters)))
  }

  private tell<Error extends AcquireError>(error: Error): Error {
    if (error._tag === "PoolExhaustedError") this.journal.exhausted(error)
    return error
  }

  exhausted(
    reason: PoolExhaustedError["reason"],
    waited: number,
    limit: PoolExhaustedError["limit"]
  ): PoolExhaustedError {
    return new PoolExhaustedError({
      pool: this.settings.name,
      reason,
      stats: this.owner.snapshot(),
      waited: Duration.millis(waited),
      limit,
      oldestLease: oldestLeaseOf(this.pool.slots, this.timers.now()),
      lastFailure: this.lastFailure,
      ...(reason === "Quota" ? { quota: this.permits?.share.known() } : {})
    })
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return Effect.fail(new PoolClosedError({ pool: this.settings.name }))
  }

  warn(message: string, cause?: Cause.Cause<unknown>): void {
    const log = cause === undefined ? Effect.logWarning(message) : Effect.logWarning(message, cause)
    this.fork(Effect.annotateLogs(log, "pool", this.settings.name), { immediate: false })
  }
}
