import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import { type AcquireError, ConnectionUnavailableError, PoolClosedError, PoolExhaustedError } from "../PoolError.js"
import type { CloseReason } from "../PoolEvent.js"
import type { PoolStats } from "../PoolStats.js"
import type { ConnectRequest, Message, WebSocketTransport } from "../WebSocketTransport.js"
import {
  abandon,
  begin,
  type ConnectorHost,
  Creation,
  closedEarly,
  recover,
  requestTo,
  unavailable
} from "./connector.js"
import * as defaults from "./defaults.js"
import { Draining } from "./draining.js"
import type { Driver } from "./driver.js"
import type { Journal } from "./journal.js"
import { Lease } from "./lease.js"
import type { Link } from "./link.js"
import { decodeHeaders, type Hook, type Settings } from "./options.js"
import type { Slot, SlotState } from "./slot.js"
import { SlotPool } from "./slotPool.js"
import type { Timers } from "./timers.js"
import * as url from "./url.js"
import type { Outcome, Waiter } from "./waiter.js"
import { abandonable, type Fork, Limit, within } from "./within.js"

export type Place = Slot<Link, AcquireError>

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
  lastFailure: ConnectionUnavailableError | undefined

  private readonly creations = new Map<Place, Creation>()
  private readonly tasks = new Map<Place, Fiber.RuntimeFiber<void>>()
  readonly request: ConnectRequest | undefined
  /** The URL as it may be shown, if it does not have to be computed. */
  private readonly knownUrl: string
  private ids = 0
  /** Those whose readers have something to read. */
  private awaited: Array<Link> = []
  private readonly defer: WebSocketTransport["defer"]

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
    const target = Effect.isEffect(settings.url) ? url.unknown : url.parse(settings.url)
    const headers = Effect.isEffect(settings.headers) ? undefined : decodeHeaders(settings.headers)
    this.knownUrl = typeof target === "string" ? target : url.redact(target)
    this.request =
      typeof target === "object" && typeof headers === "object" ? requestTo(settings, target, headers) : undefined
    this.pool = new SlotPool<Link, AcquireError>(
      {
        min: settings.minConnections,
        max: settings.maxConnections,
        concurrency: 1,
        targetUtilization: 1,
        idleTimeout: settings.idleTimeout,
        maxWaiters: settings.maxWaiters,
        replaceAtOnce: false
      },
      this,
      timers
    )
  }

  // Connecting

  create(slot: Place): void {
    const creation = new Creation(slot, this.timers.now(), this.knownUrl)
    this.creations.set(slot, creation)
    const { tracing } = this.journal
    tracing.connecting(creation, (slot.starter ?? slot.heldFor)?.request.span)
    const attempt = begin(this, creation)
    // Most often it is the only one: then its fiber is, too.
    const onAttempted = (exit: Exit.Exit<void, unknown>): void => {
      if (Exit.isFailure(exit)) {
        this.task(slot, recover(this, creation, attempt, exit.cause), (exit) => this.established(creation, exit))
        return
      }
      tracing.attempted(creation, attempt.span, Exit.void)
      this.established(creation, Exit.succeed(attempt.link))
    }
    this.task(slot, Effect.interruptible(attempt.open), onAttempted, attempt.limit)
  }

  private established(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    this.journal.tracing.connected(creation, exit)
    if (Exit.isFailure(exit) || creation.isAborted) this.unopened(creation, exit)
    else if (exit.value.isOpen || this.settings.onConnect === undefined) this.opened(creation, exit.value)
    else {
      const error = unavailable(this, creation, Cause.fail(closedEarly(exit.value)))
      this.onAttemptFailed(error)
      this.unopened(creation, Exit.fail(error))
    }
  }

  private opened({ attempts, slot, startedAt }: Creation, link: Link): void {
    this.creations.delete(slot)
    this.lastFailure = undefined
    this.journal.opened(link, startedAt, attempts)
    // A server may greet, or say why it will not, and close at once: that is for the holder to see.
    const wasGone = link.isGone
    this.pool.created(slot, link, !link.isOpen)
    if (wasGone) this.gone(link)
    else if (link.end !== undefined) this.onEnded(link)
    this.owner.onReady()
  }

  private unopened(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    const { link, slot } = creation
    const failed = (): void => {
      this.creations.delete(slot)
      link?.drop()
      if (creation.isAborted || Exit.isSuccess(exit)) {
        this.pool.failed(slot, this.poolClosed())
        return
      }
      const failure = Cause.failureOption(exit.cause)
      const error = failure._tag === "Some" ? failure.value : unavailable(this, creation, exit.cause)
      this.pool.failed(slot, Effect.fail(error))
      if (slot.background) this.owner.onReady(error)
    }
    if (link === undefined || link.isGone || link.socket === undefined) failed()
    else this.task(slot, abandon(link, false), failed)
  }

  abort(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isAborted = true
    this.interrupt(this.tasks.get(slot))
  }

  nextId(): string {
    this.ids += 1
    // One string, where a template would keep its parts.
    return [this.settings.name, this.ids].join("-")
  }

  isWanted({ slot }: Creation): boolean {
    return slot.background || this.pool.waiting > 0
  }

  onAttemptFailed(error: ConnectionUnavailableError): void {
    this.lastFailure = error
    this.journal.connectFailed(error)
  }

  // Between two leases

  released(slot: Place): "Reuse" | "Settle" | CloseReason {
    const link = slot.item
    // The holder of one that the server has ended fails most often, too: that does not count as discarded.
    if (!link.isOpen) return link.closeReason ?? "Remote"
    if (link.isUnfit) return "Discarded"
    // A doomed one will be closed whatever is said here.
    if (slot.doom !== undefined) return "Reuse"
    return this.settings.onRelease === undefined ? this.tidy(link) : "Settle"
  }

  refused({ item }: Place): "Reuse" | CloseReason {
    if (item.isOpen) return "Reuse"
    item.drop()
    return item.closeReason ?? "Remote"
  }

  settle(slot: Place): void {
    const { onRelease } = this.settings
    if (onRelease === undefined) {
      slot.item.draining?.start()
      return
    }
    const hook = this.runHook(slot.item, onRelease, this.closeTimeout)
    this.task(slot, hook, (exit) => {
      if (slot.state !== "releasing") return
      if (!this.isHealthy("onRelease", exit)) {
        this.pool.doom(slot, "Unhealthy")
        return
      }
      const verdict = this.tidy(slot.item)
      if (verdict === "Reuse") this.pool.settled(slot)
      else if (verdict === "Settle") slot.item.draining?.start()
      else this.pool.doom(slot, verdict)
    })
  }

  /** Deals with what has arrived already, and says whether to wait for more. */
  private tidy(link: Link): "Reuse" | "Settle" | "Dirty" {
    const { drain } = this.settings
    if (drain === undefined) return link.inbox.length === 0 ? "Reuse" : "Dirty"
    const { slot } = link
    const draining = new Draining(
      this.timers.now(),
      drain,
      this.timers,
      () => {
        this.drained(link, draining)
        this.pool.settled(slot)
      },
      () => {
        this.journal.totals.drainTimeouts += 1
        this.pool.doom(slot, "DrainTimeout")
      }
    )
    link.draining = draining
    this.journal.drainStarted(link)
    const unread = link.inbox.length
    if (!link.drop((message) => this.mayDrop(message))) return "Dirty"
    draining.dropped = unread
    if (drain.quietPeriod > 0) return "Settle"
    this.drained(link, draining)
    return "Reuse"
  }

  private drained(link: Link, draining: Draining): void {
    draining.stop()
    link.draining = undefined
    this.journal.drainCompleted(link, draining.since, draining.dropped)
  }

  private undrained(link: Link, reason: CloseReason): void {
    const { draining } = link
    if (draining === undefined) return
    draining.stop()
    link.draining = undefined
    this.journal.drainEnded(link, draining.since, draining.dropped, reason)
  }

  private mayDrop(message: Message): boolean {
    const { drain } = this.settings
    if (drain === undefined) return false
    try {
      return drain.condition(message)
    } catch (error) {
      this.warn("drain.condition has thrown; the connection is closed", Cause.die(error))
      return false
    }
  }

  wakeLater(link: Link): void {
    if (this.defer === undefined) {
      link.wake()
      return
    }
    // Fibers that run one after the other share much of what it costs to run one.
    if (this.awaited.length === 0) this.defer(() => this.wakeAll())
    this.awaited.push(link)
  }

  private wakeAll(): void {
    const links = this.awaited
    this.awaited = []
    for (const link of links) link.wake()
  }

  onStray(link: Link, message: Message, bytes: number): void {
    this.journal.dropped(link, bytes)
    if (link.isEnding) return
    if (!this.mayDrop(message)) this.pool.doom(link.slot, "Dirty")
    else link.draining?.onMessage()
  }

  onDropped(link: Link, bytes: number): void {
    this.journal.dropped(link, bytes)
  }

  // Health

  isUsable({ item }: Place): boolean {
    return item.isOpen
  }

  needsCheck({ item }: Place, now: number): boolean {
    const { validateAfterIdle } = this.settings
    // Behind a socket that is not read no answer can be seen.
    if (validateAfterIdle === Number.POSITIVE_INFINITY || item.isPaused) return false
    return now - item.heardAt > validateAfterIdle
  }

  check(slot: Place): void {
    const link = slot.item
    const limit = Math.min(Duration.toMillis(defaults.validationTimeout), this.pingTimeout)
    const { healthCheck } = this.settings
    if (healthCheck !== undefined) {
      this.checkWith(slot, healthCheck, limit)
      return
    }
    const onPinged = (exit: Exit.Exit<unknown, unknown>): void => {
      // One that has ended meanwhile is not unhealthy, but lost.
      const isDead = Exit.isFailure(exit) && link.end === undefined
      if (isDead) this.kill(link)
      this.pool.checked(slot, Exit.isSuccess(exit))
      if (isDead) this.checkSilent()
    }
    const late = new Limit(this.timers, limit, () => "no answer in time")
    this.task(slot, Effect.interruptible(link.ping(undefined)), onPinged, late)
  }

  private checkWith(slot: Place, healthCheck: Hook, limit: number): void {
    const link = slot.item
    this.task(slot, this.runHook(link, healthCheck, limit), (exit) => {
      const isHealthy = this.isHealthy("healthCheck", exit)
      if (!isHealthy && link.end === undefined) this.journal.totals.healthCheckFailures += 1
      if (link.leases > 0 && !link.drop((message) => this.mayDrop(message))) this.pool.doom(slot, "Dirty")
      link.wasChecked()
      this.pool.checked(slot, isHealthy)
      if (!isHealthy) this.checkSilent()
    })
  }

  /** One line was dead: look at those that were as silent. */
  private checkSilent(): void {
    const now = this.timers.now()
    for (const slot of Array.from(this.pool.slots)) {
      if (slot.state === "idle" && this.needsCheck(slot, now)) this.onSilent(slot.item)
    }
  }

  onSilent(link: Link): void {
    const { slot } = link
    const { healthCheck } = this.settings
    if (slot.state === "idle" && healthCheck !== undefined) {
      this.pool.checkOut(slot)
      this.checkWith(slot, healthCheck, this.pingTimeout)
    } else link.sendPing()
  }

  onDead(link: Link): void {
    this.kill(link)
    if (link.slot.item === link) this.pool.doom(link.slot, "Unhealthy")
  }

  private kill(link: Link): void {
    this.journal.totals.healthCheckFailures += 1
    link.closeReason ??= "Unhealthy"
    link.destroy()
  }

  /** Runs a hook with a handle of its own. */
  private runHook(link: Link, hook: Hook, limit: number): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      const lease = new Lease(link)
      link.lendToHook(lease)
      const run = Effect.scoped(Effect.suspend(() => hook(lease)))
      const outcome = Effect.suspend(() =>
        lease.isDiscarded ? Effect.fail(new Error("the hook called discard")) : Effect.void
      )
      const late = () => new Error(`no end within ${Duration.format(Duration.millis(limit))}`)
      return within(this.fork, abandonable(this.fork, run), new Limit(this.timers, limit, late)).pipe(
        Effect.zipRight(outcome),
        Effect.interruptible,
        Effect.ensuring(Effect.sync(() => link.endLease()))
      )
    })
  }

  private isHealthy(hook: string, exit: Exit.Exit<void, unknown>): boolean {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      this.warn(`${hook} has failed; the connection is closed`, exit.cause)
    }
    return Exit.isSuccess(exit)
  }

  // Closing

  destroy(slot: Place, reason: CloseReason): void {
    const link = slot.item
    const hook = this.tasks.get(slot)
    if (hook !== undefined) {
      this.interrupt(hook)
      link.endLease()
    }
    this.undrained(link, reason)
    if (reason === "Discarded" && link.closeReason === undefined) this.journal.discarded()
    link.closeReason ??= reason
    if (link.isGone) {
      this.pool.closed(slot)
      return
    }
    this.journal.closing(link, reason)
    link.close(reason === "Shutdown" ? 1001 : 1000, "", "Pool", reason)
    // The holder of a lease that outlives the pool may still read what has arrived.
    if (link.lease === undefined) link.drop()
  }

  /** Ends what is still there, whoever it waits for. */
  destroyAll(): void {
    for (const link of this.links()) link.destroy()
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
      const close = Effect.catchAllCause(Scope.close(scope, Exit.void), (cause) =>
        Effect.logWarning("What onConnect acquired could not be released", cause)
      )
      this.fork(close)
    }
    if (slot.item === link) this.gone(link)
  }

  private gone(link: Link): void {
    const { slot } = link
    // Who was granted it, and has not begun, still gets what it holds.
    if (link.lease === undefined && (slot.leases === 0 || slot.state === "checking")) link.drop()
    this.journal.closed(link, link.openedAt, link.end?.code ?? 1006, link.closeReason ?? "Remote")
    this.undrained(link, link.closeReason ?? "Remote")
    // Nobody needs the outcome of a hook any more.
    this.interrupt(this.tasks.get(slot))
    if (slot.state === "closing") this.pool.closed(slot)
    else this.pool.lose(slot)
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
    if (slots.size >= max && isLent) return this.exhausted("AcquireTimeout")
    // One in line behind a connection that opens for anybody has waited for that.
    const creation = (slot && this.creations.get(slot)) ?? this.creations.values().next().value
    const limit = Duration.format(Duration.millis(this.settings.acquireTimeout))
    return Effect.fail(
      new ConnectionUnavailableError({
        pool: this.settings.name,
        url: creation?.url ?? this.knownUrl,
        reason: "Timeout",
        attempts: creation?.attempts ?? 0,
        cause: this.lastFailure ?? new Error(`acquireTimeout (${limit}) has passed`),
        isRetryable: true
      })
    )
  }

  tooManyWaiters(): Outcome<Link, AcquireError> {
    return this.exhausted("TooManyWaiters")
  }

  private exhausted(reason: PoolExhaustedError["reason"]): Outcome<Link, AcquireError> {
    const error = new PoolExhaustedError({
      pool: this.settings.name,
      reason,
      stats: this.owner.snapshot(),
      lastFailure: this.lastFailure
    })
    this.journal.exhausted(error)
    return Effect.fail(error)
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return Effect.fail(new PoolClosedError({ pool: this.settings.name }))
  }

  // Fibers

  /**
   * Runs what a slot waits for. What follows from it happens in the same step, so no interruption can lose it. The
   * body says itself which parts of it can be interrupted.
   */
  private task<A, E, E2 = never>(
    slot: Place,
    body: Effect.Effect<A, E>,
    onExit: (exit: Exit.Exit<A, E | E2>) => void,
    limit?: Limit<E2>
  ): void {
    let isOver = false
    const over = (exit: Exit.Exit<A, E>): void => {
      isOver = true
      this.tasks.delete(slot)
      onExit(limit === undefined ? exit : limit.end(exit))
    }
    const fiber = this.fork(
      Effect.matchCause(body, {
        onFailure: (cause) => over(Exit.failCause(cause)),
        onSuccess: (value) => over(Exit.succeed(value))
      })
    )
    if (isOver) return
    this.tasks.set(slot, fiber)
    limit?.start(fiber)
    // It may be a hook of this very fiber, at its start, that closes the pool.
    if (this.creations.get(slot)?.isAborted === true) this.interrupt(fiber)
  }

  warn(message: string, cause?: Cause.Cause<unknown>): void {
    const log = cause === undefined ? Effect.logWarning(message) : Effect.logWarning(message, cause)
    this.fork(Effect.annotateLogs(log, "pool", this.settings.name), { immediate: false })
  }

  private interrupt(fiber: Fiber.RuntimeFiber<void> | undefined): void {
    fiber?.unsafeInterruptAsFork(FiberId.none)
  }
}
