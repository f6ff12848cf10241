import { environment, type Fork, interrupt, onExit, type Restore, random } from "#dialect"
import * as Cause from "#effect/Cause"
import * as Clock from "#effect/Clock"
import * as Context from "#effect/Context"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Inspectable from "#effect/Inspectable"
import * as Pipeable from "#effect/Pipeable"
import * as Predicate from "#effect/Predicate"
import * as Scope from "#effect/Scope"
import { PoolClosedError } from "../values/errors.js"
import type { Driver } from "./driver.js"
import { acquire } from "./leasing.js"
import { type ResourcePool, TypeId } from "./resource.js"
import type { Slot } from "./slot.js"
import { SlotPool } from "./slotPool.js"
import { Timers } from "./timers.js"
import { shortestLife } from "./upkeep.js"

/** An item, and what finalises it. */
interface Item<A> {
  readonly value: A
  readonly scope: Scope.Closeable
}

type Place<A, E> = Slot<Item<A>, E | PoolClosedError>

interface Options<A, E, R> {
  readonly acquire: Effect.Effect<A, E, R>
  readonly min: number
  readonly max: number
  readonly concurrency?: number | undefined
  readonly targetUtilization?: number | undefined
  readonly timeToLive: Duration.Input
  readonly timeToLiveStrategy?: "creation" | "usage" | undefined
}

const poolClosed = new PoolClosedError({ pool: "resource-pool" })

const variance = {
  _A: <A>(a: A) => a,
  _E: (_: never) => _
}

class ResourcePoolImpl<A, E>
  extends Pipeable.Class
  implements ResourcePool<A, E>, Driver<Item<A>, E | PoolClosedError>
{
  readonly [TypeId] = variance
  private readonly pool: SlotPool<Item<A>, E | PoolClosedError>
  private readonly timers: Timers
  private readonly creations = new Map<Place<A, E>, Fiber.Fiber<void>>()
  private readonly vacancy = Deferred.makeUnsafe<void>()

  constructor(
    options: Options<A, E, Scope.Scope>,
    clock: Clock.Clock,
    readonly random: () => number,
    private readonly fork: Fork
  ) {
    super()
    this.timers = new Timers(clock, (effect) => this.fork(effect, { immediate: false }), interrupt)
    const timeToLive = Duration.toMillis(options.timeToLive)
    const byCreation = options.timeToLiveStrategy === "creation"
    this.acquire = options.acquire
    this.timeToLive = byCreation ? timeToLive : Number.POSITIVE_INFINITY
    this.pool = new SlotPool<Item<A>, E | PoolClosedError>(
      {
        min: Math.min(options.min, options.max),
        max: options.max,
        concurrency: Math.min(Math.max(Math.floor(options.concurrency ?? 1), 1), Number.MAX_SAFE_INTEGER),
        targetUtilization: Math.min(Math.max(options.targetUtilization ?? 1, 0.1), 1),
        idleTimeout: byCreation ? Number.POSITIVE_INFINITY : timeToLive,
        maxWaiters: Number.POSITIVE_INFINITY,
        // With a time to live that short it would make items for ever.
        isRenewal: (reason, lasted) => reason !== "Expired" || lasted >= shortestLife
      },
      this,
      this.timers
    )
  }

  private readonly acquire: Effect.Effect<A, E, Scope.Scope>
  private readonly timeToLive: number

  toJSON(): unknown {
    return { _id: "ResourcePool" }
  }

  override toString(): string {
    return JSON.stringify(this.toJSON(), null, 2)
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  start(): void {
    this.pool.resize(this.pool.min, this.pool.max)
  }

  readonly get: Effect.Effect<A, E | PoolClosedError, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      this.lease(restore, (slot) =>
        Effect.as(
          Scope.addFinalizer(
            scope,
            Effect.sync(() => this.pool.release(slot))
          ),
          slot.item.value
        )
      )
    )
  )

  use<B, E2, R>(f: (item: A) => Effect.Effect<B, E2, R>): Effect.Effect<B, E | E2 | PoolClosedError, R> {
    return Effect.uninterruptibleMask((restore) =>
      this.lease(restore, (slot) =>
        onExit(restore(Effect.suspend(() => f(slot.item.value))), () => this.pool.release(slot))
      )
    )
  }

  private lease<B, E2, R>(
    restore: Restore,
    lend: (slot: Place<A, E>) => Effect.Effect<B, E2, R>
  ): Effect.Effect<B, E | E2 | PoolClosedError, R> {
    return Effect.suspend(() => {
      const slot = this.pool.tryLease()
      if (slot !== undefined) return lend(slot)
      return acquire(this.pool, restore, { fresh: false, since: 0, deadline: Number.POSITIVE_INFINITY }, lend)
    })
  }

  invalidate(item: A): Effect.Effect<void> {
    return Effect.sync(() => {
      for (const slot of this.pool.slots) {
        if (slot.item === undefined || slot.state === "closing" || slot.doom !== undefined) continue
        if (slot.item.value === item) {
          this.pool.doom(slot, "Discarded")
          return
        }
      }
    })
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.pool.shutdown()
    return Deferred.await(this.vacancy)
  })

  // What the pool asks of those who know the items

  create(slot: Place<A, E>): void {
    const fiber = this.fork(
      Effect.uninterruptible(
        Effect.flatMap(Scope.make(), (scope) =>
          Effect.flatMap(Effect.exit(Effect.interruptible(Scope.provide(this.acquire, scope))), (exit) =>
            Exit.isSuccess(exit)
              ? Effect.sync(() => {
                  this.creations.delete(slot)
                  this.pool.created(slot, { value: exit.value, scope })
                })
              : Effect.suspend(() => {
                  this.creations.delete(slot)
                  // Nobody waits for the finalisers, but the slot: what they free is still there.
                  this.pool.failed(slot, Effect.failCause(exit.cause), false)
                  return this.finalise(slot, scope, exit)
                })
          )
        )
      )
    )
    if (slot.state !== "creating") return
    this.creations.set(slot, fiber)
    // It may have closed the pool while this very fiber was being started.
    if (this.pool.state !== "open") interrupt(fiber)
  }

  abort(slot: Place<A, E>): void {
    const fiber = this.creations.get(slot)
    if (fiber !== undefined) interrupt(fiber)
  }

  destroy(slot: Place<A, E>): void {
    this.fork(Effect.uninterruptible(this.finalise(slot, slot.item.scope, Exit.void)))
  }

  private finalise(slot: Place<A, E>, scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const close = Effect.catchCause(Scope.close(scope, exit), (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("A finaliser of a pooled item failed", cause)
    )
    return Effect.andThen(
      close,
      Effect.sync(() => this.pool.closed(slot))
    )
  }

  lifetime(): number {
    return this.timeToLive
  }

  isUsable(): boolean {
    return true
  }

  needsCheck(): boolean {
    return false
  }

  check(): void {}

  settle(): void {}

  released(): "Reuse" {
    return "Reuse"
  }

  refused(): "Reuse" {
    return "Reuse"
  }

  timedOut(): Effect.Effect<never, PoolClosedError> {
    return poolClosed
  }

  tooManyWaiters(): Effect.Effect<never, PoolClosedError> {
    return poolClosed
  }

  poolClosed(): Effect.Effect<never, PoolClosedError> {
    return poolClosed
  }

  vacated(): void {
    if (this.pool.slots.size > 0) return
    this.timers.stop()
    Deferred.doneUnsafe(this.vacancy, Effect.void)
  }
}

const impl = <A, E>(self: ResourcePool<A, E>): ResourcePoolImpl<A, E> => self as ResourcePoolImpl<A, E>

export const isResourcePool = (u: unknown): u is ResourcePool<unknown, unknown> => Predicate.hasProperty(u, TypeId)

export const make = <A, E, R>(options: {
  readonly acquire: Effect.Effect<A, E, R>
  readonly size: number
  readonly concurrency?: number | undefined
  readonly targetUtilization?: number | undefined
}): Effect.Effect<ResourcePool<A, E>, never, Scope.Scope | R> =>
  makeWithTTL({ ...options, min: options.size, max: options.size, timeToLive: Duration.infinity })

export const makeWithTTL = <A, E, R>(
  options: Options<A, E, R>
): Effect.Effect<ResourcePool<A, E>, never, Scope.Scope | R> =>
  // Nothing may come between the first creation and the finaliser that ends it.
  Effect.uninterruptible(
    Effect.gen(function* () {
      const { context, fork } = yield* environment<R>()
      const clock = yield* Clock.clockWith(Effect.succeed)
      const acquire = Effect.updateContext(options.acquire, (own: Context.Context<Scope.Scope>) =>
        Context.merge(context, own)
      )
      const pool = new ResourcePoolImpl<A, E>({ ...options, acquire }, clock, yield* random, fork)
      yield* Effect.addFinalizer(() => pool.close)
      pool.start()
      return pool
    })
  )

export const get = <A, E>(self: ResourcePool<A, E>): Effect.Effect<A, E | PoolClosedError, Scope.Scope> =>
  impl(self).get

export const use = <A, E, B, E2, R>(
  self: ResourcePool<A, E>,
  f: (item: A) => Effect.Effect<B, E2, R>
): Effect.Effect<B, E | E2 | PoolClosedError, R> => impl(self).use(f)

export const invalidate = <A, E>(self: ResourcePool<A, E>, item: A): Effect.Effect<void> => impl(self).invalidate(item)
