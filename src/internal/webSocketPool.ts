import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as ConfigError from "effect/ConfigError"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { type AcquireError, ConnectionUnavailableError, PoolClosedError, PoolExhaustedError } from "../PoolError.js"
import type { CloseReason } from "../PoolEvent.js"
import type { PoolStats } from "../PoolStats.js"
import type { WebSocketConnection } from "../WebSocketConnection.js"
import type { Options, WebSocketPool } from "../WebSocketPool.js"
import { type Message, WebSocketTransport } from "../WebSocketTransport.js"
import { abandon, abandonable, type ConnectorHost, Creation, establish, unavailable } from "./connector.js"
import * as defaults from "./defaults.js"
import { Draining } from "./draining.js"
import { EventHub } from "./eventHub.js"
import { Inbox } from "./inbox.js"
import { Lease } from "./lease.js"
import { acquire } from "./leasing.js"
import type { Link } from "./link.js"
import { decode, decodeLimits, type Hook, type Settings } from "./options.js"
import type { Slot } from "./slot.js"
import { type Driver, SlotPool } from "./slotPool.js"
import { makeTimer, type Timer, Timers } from "./timers.js"
import * as url from "./url.js"
import type { Outcome, Waiter } from "./waiter.js"

type Place = Slot<Link, AcquireError>

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** What a fiber of the pool is forked with. */
type Fork = (effect: Effect.Effect<void>, options?: Runtime.RunForkOptions) => Fiber.RuntimeFiber<void>

/**
 * The pool of connections: it drives the generic core and knows what a connection needs between two leases.
 *
 * Who owns what: the core owns the slots and the line; this class the timers and every fiber (`tasks`, at most
 * one for each slot, and what it forks to close scopes and to log); a link owns its socket.
 */
class WebSocketPoolImpl implements WebSocketPool, Driver<Link, AcquireError>, ConnectorHost {
  readonly timers: Timers
  private readonly pool: SlotPool<Link, AcquireError>
  private readonly hub = new EventHub()
  private readonly creations = new Map<Place, Creation>()
  private readonly tasks = new Map<Place, Fiber.RuntimeFiber<void>>()
  private readonly readers = new Set<
    (result: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError>) => void
  >()
  private readonly vacancy = Deferred.unsafeMake<void>(FiberId.none)
  private readonly leasesEnd: Timer
  private isClosed = false
  private ids = 0
  private lastFailure: ConnectionUnavailableError | undefined
  /** The URL as it may be shown, if it does not have to be computed. */
  private readonly knownUrl: string
  private readonly totals = {
    opened: 0,
    closed: 0,
    connectFailures: 0,
    acquired: 0,
    released: 0,
    exhausted: 0,
    discarded: 0,
    messagesDropped: 0,
    drainTimeouts: 0,
    healthCheckFailures: 0
  }

  readonly pingInterval: number
  readonly pingTimeout: number
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly closeTimeout: number

  constructor(
    readonly settings: Settings,
    readonly transport: WebSocketTransport,
    clock: Clock.Clock,
    readonly random: () => number,
    private readonly fork: Fork
  ) {
    const target = Effect.isEffect(settings.url) ? url.unknown : url.parse(settings.url)
    this.knownUrl = typeof target === "string" ? target : url.redact(target)
    this.pingInterval = settings.pingInterval
    this.pingTimeout = settings.pingTimeout
    this.receiveBuffer = settings.receiveBuffer
    this.sendBuffer = settings.sendBuffer
    this.closeTimeout = settings.closeTimeout
    this.timers = new Timers(
      clock,
      (effect) => fork(effect, { immediate: false }),
      (fiber) => this.interrupt(fiber)
    )
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
      this.timers
    )
    this.leasesEnd = makeTimer(() => this.sever())
  }

  start(): void {
    this.pool.resize(this.pool.min, this.pool.max)
  }

  // Leases

  readonly get = this.scoped(false)
  readonly getNew = this.scoped(true)

  private scoped(fresh: boolean): Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const hold = (slot: Place, waited: number) => {
          const lease = this.begin(slot, waited)
          return Effect.as(
            Scope.addFinalizerExit(scope, (exit) => Effect.sync(() => this.finish(slot, lease, exit))),
            lease
          )
        }
        return this.lease(restore, fresh, hold)
      })
    )
  }

  use<A, E, R>(f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>): Effect.Effect<A, E | AcquireError, R> {
    return this.useWith(false, f)
  }

  useNew<A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AcquireError, R> {
    return this.useWith(true, f)
  }

  private useWith<A, E, R>(
    fresh: boolean,
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AcquireError, R> {
    return Effect.uninterruptibleMask((restore) =>
      this.lease(restore, fresh, (slot, waited) => {
        const lease = this.begin(slot, waited)
        return Effect.matchCauseEffect(restore(Effect.suspend(() => f(lease))), {
          onFailure: (cause) => {
            const exit = Exit.failCause(cause)
            this.finish(slot, lease, exit)
            return exit
          },
          onSuccess: (value) => {
            const exit = Exit.succeed(value)
            this.finish(slot, lease, exit)
            return exit
          }
        })
      })
    )
  }

  /** From a warm pool in this very step; else in line. */
  private lease<A, E, R>(
    restore: Restore,
    fresh: boolean,
    hold: (slot: Place, waited: number) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AcquireError, R> {
    const slot = fresh ? undefined : this.pool.tryLease()
    if (slot !== undefined) return hold(slot, 0)
    const since = this.timers.now()
    return Effect.flatMap(acquire(this.pool, restore, fresh, since, since + this.settings.acquireTimeout), (slot) =>
      hold(slot, this.timers.now() - since)
    )
  }

  private begin(slot: Place, waited: number): Lease {
    const link = slot.item
    const lease = new Lease(link)
    lease.since = this.timers.now()
    link.lease = lease
    link.leases += 1
    this.totals.acquired += 1
    if (this.hub.isObserved) {
      this.emit({ _tag: "Acquired", pool: this.settings.name, connectionId: link.id, waited: Duration.millis(waited) })
    }
    return lease
  }

  private finish(slot: Place, lease: Lease, exit: Exit.Exit<unknown, unknown>): void {
    const link = slot.item
    this.totals.released += 1
    if (this.hub.isObserved) {
      const held = Duration.millis(this.timers.now() - lease.since)
      this.emit({ _tag: "Released", pool: this.settings.name, connectionId: link.id, held })
    }
    link.endLease()
    link.isUnfit = lease.isDiscarded || this.discards(exit)
    if (slot.state === "leased") this.pool.release(slot)
    else link.drop()
  }

  private discards(exit: Exit.Exit<unknown, unknown>): boolean {
    try {
      return this.settings.discardOn(exit)
    } catch (error) {
      this.warn("discardOn has thrown; the connection is discarded", Cause.die(error))
      return true
    }
  }

  // Between two leases

  released(slot: Place): "Reuse" | "Settle" | CloseReason {
    const link = slot.item
    if (link.isUnfit) {
      this.totals.discarded += 1
      return "Discarded"
    }
    if (!link.isOpen) return link.closeReason ?? "Remote"
    // A doomed one will be closed whatever is said here.
    if (slot.doom !== undefined) return "Reuse"
    return this.settings.onRelease === undefined ? this.tidy(link) : "Settle"
  }

  refused(slot: Place): "Reuse" | CloseReason {
    return slot.item.isOpen ? "Reuse" : (slot.item.closeReason ?? "Remote")
  }

  settle(slot: Place): void {
    const { onRelease } = this.settings
    if (onRelease === undefined) {
      slot.item.draining?.start()
      return
    }
    const hook = this.runHook(slot.item, onRelease, Duration.millis(this.settings.closeTimeout))
    this.task(slot, hook, (exit) => {
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
        this.totals.drainTimeouts += 1
        this.pool.doom(slot, "DrainTimeout")
      }
    )
    link.draining = draining
    if (this.hub.isObserved) this.emit({ _tag: "DrainStarted", pool: this.settings.name, connectionId: link.id })
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
    if (!this.hub.isObserved) return
    this.emit({
      _tag: "DrainCompleted",
      pool: this.settings.name,
      connectionId: link.id,
      elapsed: Duration.millis(this.timers.now() - draining.since),
      dropped: draining.dropped
    })
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

  onStray(link: Link, message: Message, bytes: number): void {
    this.onDropped(link, bytes)
    if (link.isEnding) return
    if (!this.mayDrop(message)) this.pool.doom(link.slot, "Dirty")
    else link.draining?.onMessage()
  }

  onDropped(link: Link, bytes: number): void {
    this.totals.messagesDropped += 1
    if (!this.hub.isObserved) return
    this.emit({ _tag: "MessageDropped", pool: this.settings.name, connectionId: link.id, bytes })
  }

  // Health

  isUsable(slot: Place): boolean {
    return slot.item.isOpen
  }

  needsCheck(slot: Place): boolean {
    const { validateAfterIdle } = this.settings
    return validateAfterIdle !== Number.POSITIVE_INFINITY && this.timers.now() - slot.item.heardAt > validateAfterIdle
  }

  check(slot: Place): void {
    const link = slot.item
    const limit = Duration.min(defaults.validationTimeout, Duration.millis(this.pingTimeout))
    const { healthCheck } = this.settings
    if (healthCheck !== undefined) {
      this.checkWith(slot, healthCheck, limit)
      return
    }
    const ping = Effect.timeoutFail(link.ping(undefined), { duration: limit, onTimeout: () => "no answer in time" })
    this.task(slot, ping, (exit) => {
      // One that has ended meanwhile is not unhealthy, but lost.
      const isDead = Exit.isFailure(exit) && link.end === undefined
      if (isDead) this.kill(link)
      this.pool.checked(slot, Exit.isSuccess(exit))
      if (isDead) this.checkSilent()
    })
  }

  private checkWith(slot: Place, healthCheck: Hook, limit: Duration.Duration): void {
    const link = slot.item
    this.task(slot, this.runHook(link, healthCheck, limit), (exit) => {
      const isHealthy = this.isHealthy("healthCheck", exit)
      if (!isHealthy && link.end === undefined) this.totals.healthCheckFailures += 1
      if (link.leases > 0 && !link.drop((message) => this.mayDrop(message))) this.pool.doom(slot, "Dirty")
      if (link.isOpen) link.rest()
      this.pool.checked(slot, isHealthy)
      if (!isHealthy) this.checkSilent()
    })
  }

  /** One line was dead: look at those that were as silent. */
  private checkSilent(): void {
    for (const slot of Array.from(this.pool.slots)) {
      if (slot.state === "idle" && this.needsCheck(slot)) this.onSilent(slot.item)
    }
  }

  onSilent(link: Link): void {
    const { slot } = link
    const { healthCheck } = this.settings
    if (slot.state === "idle" && healthCheck !== undefined) {
      this.pool.checkOut(slot)
      this.checkWith(slot, healthCheck, Duration.millis(this.pingTimeout))
    } else link.sendPing()
  }

  onDead(link: Link): void {
    this.kill(link)
    if (link.slot.item === link) this.pool.doom(link.slot, "Unhealthy")
  }

  private kill(link: Link): void {
    this.totals.healthCheckFailures += 1
    link.closeReason ??= "Unhealthy"
    link.destroy()
  }

  /** Runs a hook with a handle of its own. What waits for the first lease is put aside meanwhile. */
  private runHook(link: Link, hook: Hook, limit: Duration.Duration): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      const lease = new Lease(link)
      const greeting = link.leases === 0 ? link.inbox : undefined
      if (greeting !== undefined) link.inbox = new Inbox()
      link.lease = lease
      const run = Effect.scoped(Effect.suspend(() => hook(lease)))
      return abandonable(run).pipe(
        Effect.timeoutFail({ duration: limit, onTimeout: () => new Error(`no end within ${Duration.format(limit)}`) }),
        Effect.zipRight(
          Effect.suspend(() => (lease.isDiscarded ? Effect.fail(new Error("discard was called")) : Effect.void))
        ),
        Effect.ensuring(
          Effect.sync(() => {
            link.endLease()
            if (greeting === undefined) return
            greeting.append(link.inbox)
            link.inbox = greeting
          })
        )
      )
    })
  }

  private isHealthy(hook: string, exit: Exit.Exit<void, unknown>): boolean {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      this.warn(`${hook} has failed; the connection is closed`, exit.cause)
    }
    return Exit.isSuccess(exit)
  }

  // Connecting and closing

  create(slot: Place): void {
    const creation = new Creation(slot, this.timers.now(), this.knownUrl)
    this.creations.set(slot, creation)
    this.task(slot, establish(this, creation), (exit) => {
      if (Exit.isSuccess(exit) && !creation.isAborted) this.opened(creation, exit.value)
      else this.unopened(creation, Exit.isSuccess(exit) ? Cause.empty : exit.cause)
    })
  }

  private opened(creation: Creation, link: Link): void {
    const { slot } = creation
    this.creations.delete(slot)
    this.lastFailure = undefined
    this.totals.opened += 1
    if (this.hub.isObserved) {
      this.emit({
        _tag: "ConnectionOpened",
        pool: this.settings.name,
        connectionId: link.id,
        elapsed: Duration.millis(this.timers.now() - creation.startedAt),
        attempts: creation.attempts
      })
    }
    this.pool.created(slot, link)
    this.tellReady()
  }

  private unopened(creation: Creation, cause: Cause.Cause<ConnectionUnavailableError>): void {
    const { link, slot } = creation
    const failed = (): void => {
      this.creations.delete(slot)
      if (creation.isAborted) {
        this.pool.failed(slot, this.poolClosed())
        return
      }
      const failure = Cause.failureOption(cause)
      const error = failure._tag === "Some" ? failure.value : unavailable(this, creation, cause)
      this.pool.failed(slot, Effect.fail(error))
      if (slot.background) this.tell(Effect.fail(error))
    }
    if (link === undefined || link.isGone || link.socket === undefined) failed()
    else this.task(slot, abandon(link, false), failed)
  }

  abort(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isAborted = true
    const task = this.tasks.get(slot)
    if (task !== undefined) this.interrupt(task)
  }

  destroy(slot: Place, reason: CloseReason): void {
    const link = slot.item
    const task = this.tasks.get(slot)
    if (task !== undefined) {
      this.tasks.delete(slot)
      this.interrupt(task)
    }
    link.draining?.stop()
    link.draining = undefined
    link.closeReason ??= reason
    if (link.isGone) {
      this.pool.closed(slot)
      return
    }
    const wasPaused = link.isPaused
    // The holder of a lease that outlives the pool may still read what has arrived.
    if (link.lease === undefined) link.drop()
    // A closing handshake through a line that was not read takes for ever.
    if (wasPaused) link.destroy()
    else link.close(reason === "Shutdown" ? 1001 : 1000, "", "Pool", reason)
  }

  lifetime(): number {
    return this.settings.connectionTTL * (1 - defaults.connectionTTLJitter * this.random())
  }

  nextId(): string {
    this.ids += 1
    return `${this.settings.name}-${this.ids}`
  }

  isWanted(creation: Creation): boolean {
    return creation.slot.background || this.pool.waiting > 0
  }

  onAttemptFailed(error: ConnectionUnavailableError): void {
    this.totals.connectFailures += 1
    this.lastFailure = error
    if (this.hub.isObserved) this.emit({ _tag: "ConnectFailed", pool: this.settings.name, error })
  }

  onEnded(link: Link): void {
    if (link.slot.item === link) this.pool.doom(link.slot, link.closeReason ?? "Remote")
  }

  onGone(link: Link): void {
    const { scope, slot } = link
    if (scope !== undefined) this.run(Scope.close(scope, Exit.void))
    if (slot.item !== link) return
    this.totals.closed += 1
    if (this.hub.isObserved) {
      this.emit({
        _tag: "ConnectionClosed",
        pool: this.settings.name,
        connectionId: link.id,
        code: link.end?.code ?? 1006,
        age: Duration.millis(this.timers.now() - link.openedAt),
        reason: link.closeReason ?? "Remote"
      })
    }
    if (link.lease === undefined) link.drop()
    link.draining?.stop()
    if (slot.state === "closing") this.pool.closed(slot)
    else this.pool.lose(slot)
  }

  // Errors

  timedOut(waiter: Waiter<Link, AcquireError>): Outcome<Link, AcquireError> {
    const { count, max, slots } = this.pool
    if (slots.size >= max && count.leased + count.checking + count.releasing > 0)
      return this.exhausted("AcquireTimeout")
    const slot = waiter.creation ?? waiter.held
    const creation = slot === undefined ? undefined : this.creations.get(slot)
    return Effect.fail(
      new ConnectionUnavailableError({
        pool: this.settings.name,
        url: creation?.url ?? this.knownUrl,
        reason: "Timeout",
        attempts: creation?.attempts ?? 0,
        cause:
          this.lastFailure ??
          new Error(`acquireTimeout (${Duration.format(Duration.millis(this.settings.acquireTimeout))}) has passed`),
        isRetryable: true
      })
    )
  }

  tooManyWaiters(): Outcome<Link, AcquireError> {
    return this.exhausted("TooManyWaiters")
  }

  private exhausted(reason: PoolExhaustedError["reason"]): Outcome<Link, AcquireError> {
    this.totals.exhausted += 1
    const pool = this.settings.name
    const error = new PoolExhaustedError({ pool, reason, stats: this.snapshot(), lastFailure: this.lastFailure })
    if (this.hub.isObserved) this.emit({ _tag: "Exhausted", pool, error })
    return Effect.fail(error)
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return Effect.fail(new PoolClosedError({ pool: this.settings.name }))
  }

  // What the pool tells

  readonly stats: Effect.Effect<PoolStats> = Effect.sync(() => this.snapshot())

  private snapshot(): PoolStats {
    const { count, max, min, slots, waiting } = this.pool
    return {
      state: this.isClosed ? "closed" : this.pool.state,
      minConnections: min,
      maxConnections: max,
      total: slots.size,
      idle: count.idle,
      busy: count.leased + count.checking,
      draining: count.releasing,
      connecting: count.creating,
      closing: count.closing,
      waiting,
      ...this.totals
    }
  }

  get events() {
    return this.hub.stream
  }

  private readonly emit: EventHub["emit"] = (event) => this.hub.emit(event)

  readonly ready: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError> = Effect.async((resume) => {
    if (this.pool.state !== "open") return resume(this.poolClosed())
    if (this.isReady) return resume(Effect.void)
    this.readers.add(resume)
    return Effect.sync(() => this.readers.delete(resume))
  })

  private get isReady(): boolean {
    return this.pool.kept >= this.pool.min
  }

  private tellReady(): void {
    if (this.readers.size > 0 && this.isReady) this.tell(Effect.void)
  }

  private tell(result: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError>): void {
    for (const resume of this.readers) resume(result)
    this.readers.clear()
  }

  // What the pool is told

  resize(limits: {
    readonly minConnections?: number | undefined
    readonly maxConnections?: number | undefined
  }): Effect.Effect<void, ConfigError.ConfigError> {
    return Effect.map(
      Effect.suspend(() => decodeLimits(limits, this.pool)),
      ({ maxConnections, minConnections }) => {
        if (this.pool.state !== "open") return
        this.pool.resize(minConnections, maxConnections)
        this.emit({ _tag: "PoolResized", pool: this.settings.name, minConnections, maxConnections })
        this.tellReady()
      }
    )
  }

  readonly refresh: Effect.Effect<void> = Effect.sync(() => this.pool.refresh())

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.pool.state === "open") this.shutdown()
    return Deferred.await(this.vacancy)
  })

  private shutdown(): void {
    this.emit({ _tag: "PoolClosing", pool: this.settings.name })
    this.timers.set(this.leasesEnd, this.timers.now() + this.settings.shutdownTimeout)
    this.tell(this.poolClosed())
    this.pool.shutdown()
  }

  /** The leases had their time. */
  private sever(): void {
    const leased = this.pool.count.leased
    this.warn(
      `Pool "${this.settings.name}" closes ${leased} connection(s) under a lease: not given back within shutdownTimeout. ` +
        "Is the scope of a get wider than that of the pool's layer? Put Effect.scoped inside of Effect.provide",
      Cause.empty
    )
    this.pool.sever()
  }

  vacated(): void {
    if (this.pool.count.leased === 0) this.timers.clear(this.leasesEnd)
    if (this.pool.slots.size > 0 || this.isClosed) return
    this.isClosed = true
    this.timers.stop()
    this.emit({ _tag: "PoolClosed", pool: this.settings.name })
    Deferred.unsafeDone(this.vacancy, Effect.void)
  }

  // Fibers

  /** Runs what a slot waits for. What follows from it happens in the same step, so no interruption can lose it. */
  private task<A, E>(slot: Place, body: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    let isOver = false
    const over = (exit: Exit.Exit<A, E>): void => {
      isOver = true
      this.tasks.delete(slot)
      onExit(exit)
    }
    const fiber = this.fork(
      Effect.uninterruptible(
        Effect.matchCause(Effect.interruptible(body), {
          onFailure: (cause) => over(Exit.failCause(cause)),
          onSuccess: (value) => over(Exit.succeed(value))
        })
      )
    )
    if (!isOver) this.tasks.set(slot, fiber)
  }

  private run(effect: Effect.Effect<unknown>): void {
    this.fork(
      Effect.catchAllCause(Effect.asVoid(effect), (cause) =>
        Effect.logWarning("A finaliser of a connection failed", cause)
      )
    )
  }

  private warn(message: string, cause: Cause.Cause<unknown>): void {
    this.fork(
      Effect.annotateLogs(Cause.isEmpty(cause) ? Effect.logWarning(message) : Effect.logWarning(message, cause), {
        pool: this.settings.name
      })
    )
  }

  private interrupt(fiber: Fiber.RuntimeFiber<void>): void {
    this.fork(Fiber.interruptFork(fiber))
  }
}

export const make = <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
): Effect.Effect<
  WebSocketPool,
  ConfigError.ConfigError,
  Scope.Scope | WebSocketTransport | Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease, Scope.Scope>
> =>
  // Nothing may come between the first connect and the finaliser that ends it.
  Effect.uninterruptible(
    Effect.gen(function* () {
      const settings = yield* decode(options)
      const transport = yield* WebSocketTransport
      const clock = yield* Clock.clockWith(Effect.succeed)
      const random = yield* Effect.random
      const runtime =
        yield* Effect.runtime<Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease, Scope.Scope>>()
      const pool = new WebSocketPoolImpl(
        settings,
        transport,
        clock,
        () => Runtime.runSync(runtime)(random.next),
        Runtime.runFork(runtime)
      )
      yield* Effect.addFinalizer(() => pool.close)
      pool.start()
      return pool
    })
  )
