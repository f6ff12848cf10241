import {
  environment,
  type Fork,
  interrupt,
  isInterruptible,
  onExit,
  type Restore,
  random,
  takeScoped,
  withFiber
} from "#dialect"
import * as Clock from "#effect/Clock"
import type * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Inspectable from "#effect/Inspectable"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type { ConnectionInfo, WebSocketConnection } from "../connection/handle.js"
import { infoOf, Lease } from "../connection/lease.js"
import type { Link } from "../connection/link.js"
import { Tenancy } from "../connection/tenancy.js"
import { acquire } from "../core/leasing.js"
import type { SlotPool } from "../core/slotPool.js"
import { Timers } from "../core/timers.js"
import type { Watcher } from "../observe/eventHub.js"
import { Journal, type Observers, observe } from "../observe/journal.js"
import type { Site } from "../observe/leakSites.js"
import { leasesOf } from "../observe/oldestLease.js"
import { decodeLimits, isQuota, type Settings } from "../options/decode.js"
import { WebSocketTransport } from "../transport/seam.js"
import type { AcquireError, ConnectionError, ConnectionUnavailableError } from "../values/errors.js"
import type { PoolEvent } from "../values/events.js"
import { isMessage, type Message, notAMessage } from "../values/message.js"
import type { ConnectionQuota } from "../values/quota.js"
import type { OldestLease, PoolStats } from "../values/stats.js"
import type { WebSocketPool } from "./api.js"
import type { Backstage, Sharer } from "./backstage.js"
import { Connections, type Owner } from "./connections.js"
import { Exchange, Exchanges } from "./exchange.js"
import { Fibers } from "./fibers.js"
import { noEffect } from "./hooks.js"
import { Leases } from "./leases.js"
import { Readiness, type Ready } from "./readiness.js"
import { Shutdown } from "./shutdown.js"
import { Statistics } from "./statistics.js"
import type { Place } from "./tasks.js"
import { Verdict } from "./verdict.js"

/** What the monitor shows besides `stats` and `events`. */
export interface Inspection {
  readonly settings: Settings
  readonly connections: () => ReadonlyArray<ConnectionInfo>
  /** Those that are out, the oldest first. */
  readonly leases: () => ReadonlyArray<OldestLease>
  /** What has gone wrong since the start, by reason. */
  readonly failures: Pick<Journal, "exhaustedBy" | "failedBy" | "lostWaits">
  readonly quota: Connections["quota"]
  /** Those who share its connections out among requests. */
  readonly sharers: ReadonlySet<Sharer>
  /** Adds a watcher, and gives what removes it. */
  readonly watch: (watcher: Watcher) => () => void
}

/** The service: it leases what the connections' driver keeps, and shuts it down. */
class WebSocketPoolImpl implements WebSocketPool, Owner {
  private readonly timers: Timers
  private readonly journal: Journal
  private readonly connections: Connections
  private readonly pool: SlotPool<Link, AcquireError>
  private readonly fibers: Fibers
  private readonly readiness: Readiness
  private readonly shutdown: Shutdown
  private readonly statistics: Statistics
  private readonly leases: Leases
  private readonly exchanges: Exchanges
  private readonly sharers = new Set<Sharer>()

  constructor(
    private readonly settings: Settings,
    transport: WebSocketTransport,
    clock: Clock.Clock,
    random: () => number,
    start: Fork,
    observers: Observers
  ) {
    this.fibers = new Fibers(start, () => this.onVacated())
    const { fork } = this.fibers
    this.timers = new Timers(clock, (effect) => fork(effect, { immediate: false }), interrupt)
    this.journal = new Journal(settings, this.timers, observers, fork, transport.defer ?? ((f) => f()))
    this.connections = new Connections(settings, transport, this.timers, this.journal, random, fork, this)
    this.pool = this.connections.pool
    this.readiness = new Readiness(this.connections)
    this.shutdown = new Shutdown(settings, this.timers, this.journal, this.connections, this.fibers, start)
    const discards = new Verdict<Exit.Exit<unknown, unknown>>(
      settings.discardOn,
      "discardOn",
      true,
      "the connection is discarded",
      (message, cause) => this.connections.warn(message, cause)
    )
    this.leases = new Leases(this.pool, this.timers, this.journal, discards)
    this.exchanges = new Exchanges(this.pool, this.timers, this.leases, (id, site) =>
      this.journal.leaks?.locate(id, site)
    )
    this.statistics = new Statistics(this.connections, this.timers, this.journal, this.shutdown)
    this.journal.leaks?.watch(this)
    this.journal.metrics.gauge(this.statistics.gauges)
  }

  // What is behind it holds URLs and headers: neither a log line nor a failed assertion may show it.

  toJSON(): unknown {
    return { _id: "WebSocketPool", name: this.settings.name, state: this.snapshot().state }
  }

  toString(): string {
    return JSON.stringify(this.toJSON(), null, 2)
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  inspect(): Inspection {
    return {
      settings: this.settings,
      connections: () => this.connections.links().map(infoOf),
      leases: () => leasesOf(this.pool.slots, this.timers.now()),
      failures: this.journal,
      quota: this.connections.quota,
      sharers: this.sharers,
      watch: (watcher) => this.journal.hub.watch(watcher)
    }
  }

  backstage(): Backstage {
    const { connections, pool, settings, sharers, shutdown, timers } = this
    return {
      settings,
      timers,
      core: pool,
      closed: shutdown.end,
      sharers,
      rent: (restore, deadline) => this.rent(restore, deadline),
      overdue: (waited, isExhausted) => connections.refusals.overdue(waited, isExhausted),
      tooManyWaiters: () => connections.refusals.exhausted("TooManyWaiters", 0, settings.maxWaiters)
    }
  }

  joinQuota(quota: ConnectionQuota): Effect.Effect<void, never, Scope.Scope> {
    return this.connections.joinQuota(quota)
  }

  start(): void {
    this.pool.resize(this.pool.min, this.pool.max)
  }

  // Leases

  readonly get: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope> = this.scoped(false)
  readonly getNew: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope> = this.scoped(true)

  private scoped(fresh: boolean): Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope> {
    return takeScoped<Lease, AcquireError>(
      () => {
        const since = this.timers.now()
        const slot = fresh ? undefined : this.pool.tryLease(since)
        return slot === undefined ? undefined : this.begin(slot, since, since)
      },
      (restore) => {
        const since = this.timers.now()
        const lend = (slot: Place) => Effect.succeed(this.begin(slot, since, this.timers.now()))
        return this.wait(restore, fresh, since, lend)
      },
      (lease, exit) => this.leases.end(lease.slot, lease, exit)
    )
  }

  readonly use: WebSocketPool["use"] = (f) => this.useWith(false, this.journal.leaks?.use(f) ?? f)
  readonly useNew: WebSocketPool["useNew"] = (f) => this.useWith(true, this.journal.leaks?.use(f) ?? f)

  private useWith<A, E, R>(
    fresh: boolean,
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AcquireError, R> {
    return Effect.uninterruptibleMask((restore) => {
      const since = this.timers.now()
      const slot = fresh ? undefined : this.pool.tryLease(since)
      if (slot !== undefined) return this.lendFor(restore, slot, since, since, f)
      return this.wait(restore, fresh, since, (slot) => this.lendFor(restore, slot, since, this.timers.now(), f))
    })
  }

  private lendFor<A, E, R>(
    restore: Restore,
    slot: Place,
    since: number,
    now: number,
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const lease = this.begin(slot, since, now)
    let body: Effect.Effect<A, E, R>
    try {
      const given = f(lease)
      // Effect 4 ends a fiber on such a value without a word to what it is part of, this lease included.
      body = Effect.isEffect(given) ? given : Effect.die(new TypeError(noEffect("The f of use(f)", given)))
    } catch (defect) {
      body = Effect.die(defect)
    }
    return onExit(restore(body), (exit) => this.leases.end(slot, lease, exit))
  }

  private wait<A, E, R>(
    restore: Restore,
    fresh: boolean,
    since: number,
    lend: (slot: Place) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | AcquireError, R> {
    const { tracing } = this.journal
    const deadline = since + this.settings.acquireTimeout
    if (!tracing.isTraced) return acquire(this.pool, restore, { fresh, since, deadline }, lend)
    // The lease itself is no part of the span.
    let hasBegun = false
    let granted: Place | undefined
    const traced = tracing.acquiring(this.snapshot, (span) => {
      hasBegun = true
      return acquire(this.pool, restore, { fresh, since, deadline, span }, (slot) => {
        granted = slot
        return Effect.succeed(slot)
      })
    })
    return Effect.matchCauseEffect(traced, {
      onFailure: (cause) => {
        // The tracer is somebody else's: what it fails with costs the span, and nothing else.
        if (granted !== undefined) return lend(granted)
        return hasBegun ? Effect.failCause(cause) : acquire(this.pool, restore, { fresh, since, deadline }, lend)
      },
      onSuccess: lend
    })
  }

  private rent(restore: Restore, deadline: number): Effect.Effect<Tenancy, AcquireError> {
    return Effect.suspend(() => {
      const since = this.timers.now()
      const lend = (slot: Place): Effect.Effect<Tenancy> => {
        const lease = this.begin(slot, since, this.timers.now())
        this.journal.leaks?.ended(slot.item.id)
        return Effect.succeed(new Tenancy(slot.item, lease, () => this.leases.end(slot, lease, Exit.void)))
      }
      const slot = this.pool.tryLease(since)
      return slot === undefined
        ? acquire(this.pool, restore, { fresh: false, since, deadline, isStandIn: true }, lend)
        : lend(slot)
    })
  }

  private begin(slot: Place, since: number, now: number): Lease {
    const lease = new Lease(slot.item, now)
    this.leases.begin(slot, lease, since)
    return lease
  }

  readonly ask: WebSocketPool["ask"] = (message) => {
    const site = this.journal.leaks?.ask()
    return withFiber((fiber, status) => this.exchange(message, fiber, isInterruptible(fiber, status), site))
  }

  /** Nothing may come between a lease, or a place in line, and its entry among the exchanges: so it is all one step. */
  private exchange(
    message: Message,
    fiber: Fiber.Fiber<unknown, unknown>,
    isInterruptible: boolean,
    site: Site | undefined
  ): Effect.Effect<Message, AcquireError | ConnectionError> {
    if (!isMessage(message)) return Effect.die(notAMessage(message, "ask"))
    const since = this.timers.now()
    const exchange = new Exchange(this.exchanges, message, fiber, isInterruptible, since, site)
    const slot = this.pool.tryLease(since)
    if (slot === undefined && this.journal.tracing.isTraced) {
      // Its fiber waits in line itself, within a span.
      return Effect.uninterruptibleMask((restore) =>
        this.wait(restore, false, since, (slot) => restore(exchange.accept(slot)))
      )
    }
    if (slot !== undefined) return exchange.begin(slot, since)
    return exchange.wait(since + this.settings.acquireTimeout)
  }

  // What it tells

  readonly stats: Effect.Effect<PoolStats> = Effect.sync(() => this.snapshot())

  readonly snapshot = (): PoolStats => this.statistics.snapshot()

  get events(): Stream.Stream<PoolEvent> {
    return this.journal.hub.stream
  }

  get ready(): Ready {
    return this.readiness.ready
  }

  onReady(failure?: ConnectionUnavailableError): void {
    this.readiness.onReady(failure)
  }

  // What it is told

  readonly resize: WebSocketPool["resize"] = (limits) =>
    Effect.map(
      Effect.suspend(() => decodeLimits(limits, this.pool, this.settings.name)),
      ({ maxConnections, minConnections }) => {
        if (this.pool.state !== "open") return
        this.pool.resize(minConnections, maxConnections)
        this.journal.resized(minConnections, maxConnections)
        this.onReady()
      }
    )

  readonly refresh: Effect.Effect<void> = Effect.sync(() => this.pool.refresh())

  /** The closing goes on by itself; whoever waits for it may stop waiting. */
  readonly close: Effect.Effect<void> = withFiber((fiber) => {
    // A hook that calls it, and cannot be interrupted, would be waited for by what it waits for.
    this.fibers.excuse(fiber)
    if (this.pool.state === "open") {
      this.journal.poolClosing(this.snapshot)
      this.shutdown.begin()
      this.readiness.close()
      this.pool.shutdown()
    }
    return this.shutdown.end
  })

  onVacated(): void {
    this.shutdown.onVacated()
  }
}

/** How to look into a pool, unless it is an implementation of somebody else's. */
export const inspect = (pool: WebSocketPool): Inspection | undefined =>
  pool instanceof WebSocketPoolImpl ? pool.inspect() : undefined

/** The same for those who share its connections out. */
export const backstage = (pool: WebSocketPool): Backstage | undefined =>
  pool instanceof WebSocketPoolImpl ? pool.backstage() : undefined

/** `R` is what the hooks among the settings require. */
export const make = <R>(
  decoded: Effect.Effect<Settings, Config.ConfigError>
): Effect.Effect<WebSocketPool, Config.ConfigError, Scope.Scope | WebSocketTransport | R> =>
  // Nothing may come between the first connect and the finaliser that ends it.
  Effect.uninterruptible(
    Effect.gen(function* () {
      const settings = yield* decoded
      const transport = yield* WebSocketTransport
      const clock = yield* Clock.clockWith(Effect.succeed)
      // What fails in here is told by the pool, or to whoever waits for it.
      const { fork } = yield* environment<R>({ isQuiet: true })
      const pool = new WebSocketPoolImpl(
        settings,
        transport,
        clock,
        yield* random,
        fork,
        yield* observe(settings, clock)
      )
      // Whoever joins it leaves it after the pool has closed.
      const { quota } = settings
      if (quota !== undefined) {
        const context = yield* Effect.context<never>()
        yield* pool.joinQuota(isQuota(quota) ? quota : Context.getUnsafe(context, quota as never))
      }
      yield* Effect.addFinalizer(() => pool.close)
      pool.start()
      return pool
    })
  )
