/** The generic pool, as its users see it. */
import type { Pipeable } from "#effect/Pipeable"
import type * as Types from "#effect/Types"

/**
 * The mark by which a `ResourcePool` is known.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: unique symbol = Symbol.for("effect-websocket-pool/ResourcePool")

/**
 * The type of that mark.
 *
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = typeof TypeId

/**
 * A pool of items of type `A`, making which may fail with `E`. It can be piped: `pool.pipe(ResourcePool.use(f))`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResourcePool<in out A, out E = never> extends Pipeable {
  readonly [TypeId]: {
    readonly _A: Types.Invariant<A>
    readonly _E: Types.Covariant<E>
  }
}
