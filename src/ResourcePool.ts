/**
 * A pool of anything that can be acquired: the semantics of Effect's `Pool.makeWithTTL`, as a core of its own.
 *
 * It differs from `Pool` in that waiting can be interrupted at any moment, one slow creation holds nobody
 * back, waiters are served first come, first served, no failure is kept, and a closed pool says so.
 *
 * @since 0.1.0
 */
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import { dual } from "#effect/Function"
import type * as Scope from "#effect/Scope"
import type { ResourcePool } from "./core/resource.js"
import * as internal from "./core/resourcePool.js"
import type { PoolClosedError } from "./PoolError.js"

export { type ResourcePool, TypeId } from "./core/resource.js"

/**
 * Tells whether a value is a `ResourcePool`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isResourcePool: (u: unknown) => u is ResourcePool<unknown, unknown> = internal.isResourcePool

/**
 * Makes a pool of `size` items, all made ahead.
 *
 * **Details** Items that go are replaced. Making them never gives up.
 *
 * **Gotchas** Closing the pool's scope waits for the items on loan. A finaliser that hangs costs its place.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ResourcePool } from "effect-websocket-pool"
 *
 * let made = 0
 * const acquire = Effect.sync(() => `item ${(made += 1)}`)
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ResourcePool.make({ acquire, size: 2 })
 *   console.log(yield* ResourcePool.use(pool, Effect.succeed)) // item 1
 * }).pipe(Effect.scoped)
 *
 * Effect.runPromise(program)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: <A, E, R>(options: {
  /** Makes one item; what it puts into its scope is finalised when the item leaves the pool. */
  readonly acquire: Effect.Effect<A, E, R>
  /** How many items there are. */
  readonly size: number
  /** How many leases of one item there may be at once. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * The part of all possible leases, from 0.1 to 1, past which more items are made. Items fill up to this part of their
   * room one after the other, and beyond it level. Default: 1.
   */
  readonly targetUtilization?: number | undefined
}) => Effect.Effect<ResourcePool<A, E>, never, Scope.Scope | R> = internal.make

/**
 * Makes a pool of `min` items that grows on demand, and closes what it holds for too long.
 *
 * **Details** `min` items are made ahead and replaced when they go; making them never gives up. The pool grows
 * to `max` while leases wait, and `max` bounds all items that exist: being made, idle, leased, or still being
 * finalised. Strategy `"usage"` (the default) closes an item after `timeToLive` without use, never below `min`;
 * `"creation"` closes it `timeToLive` after it was made, as soon as it is not in use.
 *
 * **Gotchas** Closing the pool's scope waits for the items on loan. A finaliser that hangs costs its place.
 *
 * @example
 * ```ts
 * import { Console, Effect } from "effect"
 * import { ResourcePool } from "effect-websocket-pool"
 *
 * const acquire = Effect.acquireRelease(Effect.succeed({ id: 1 }), ({ id }) => Console.log(`close ${id}`))
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ResourcePool.makeWithTTL({ acquire, min: 0, max: 10, timeToLive: "1 minute" })
 *   return yield* ResourcePool.use(pool, ({ id }) => Effect.succeed(id * 2))
 * }).pipe(Effect.scoped)
 *
 * Effect.runPromise(program).then(console.log)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWithTTL: <A, E, R>(options: {
  /** Makes one item; what it puts into its scope is finalised when the item leaves the pool. */
  readonly acquire: Effect.Effect<A, E, R>
  /** How many items are kept. */
  readonly min: number
  /** How many items may exist. */
  readonly max: number
  /** How many leases of one item there may be at once. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * The part of all possible leases, from 0.1 to 1, past which more items are made. Items fill up to this part of their
   * room one after the other, and beyond it level. Default: 1.
   */
  readonly targetUtilization?: number | undefined
  /** How long an item may live without use, or since its creation. Infinity: for ever. */
  readonly timeToLive: Duration.Input
  /** What `timeToLive` counts from. Default: `"usage"`. */
  readonly timeToLiveStrategy?: "creation" | "usage" | undefined
}) => Effect.Effect<ResourcePool<A, E>, never, Scope.Scope | R> = internal.makeWithTTL

/**
 * Leases an item until the current `Scope` closes.
 *
 * **Errors** Whatever the creation that this `get` started fails with. `PoolClosedError`: the pool's scope is
 * closing or closed.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: <A, E>(self: ResourcePool<A, E>) => Effect.Effect<A, E | PoolClosedError, Scope.Scope> = internal.get

/**
 * Leases an item for the length of one effect.
 *
 * **Errors** Those of `get`, and of the effect.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: {
  <A, B, E2, R>(
    f: (item: A) => Effect.Effect<B, E2, R>
  ): <E>(self: ResourcePool<A, E>) => Effect.Effect<B, E | E2 | PoolClosedError, R>
  <A, E, B, E2, R>(
    self: ResourcePool<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R>
  ): Effect.Effect<B, E | E2 | PoolClosedError, R>
} = dual(2, internal.use)

/**
 * Takes an item out of the pool: it is finalised once nobody holds it, and replaced up to `min`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ResourcePool } from "effect-websocket-pool"
 *
 * // An item on which something went wrong is not used again.
 * const useOnce = <A, E, B, E2, R>(
 *   pool: ResourcePool.ResourcePool<A, E>,
 *   f: (item: A) => Effect.Effect<B, E2, R>
 * ) =>
 *   ResourcePool.use(pool, (item) => Effect.onError(f(item), () => ResourcePool.invalidate(pool, item)))
 * ```
 *
 * @category leases
 * @since 0.1.0
 */
export const invalidate: {
  <A>(item: A): <E>(self: ResourcePool<A, E>) => Effect.Effect<void>
  <A, E>(self: ResourcePool<A, E>, item: A): Effect.Effect<void>
} = dual(2, internal.invalidate)
