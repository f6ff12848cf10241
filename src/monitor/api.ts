/** A recording, as its users see it. */

/**
 * Marks a recording.
 *
 * @category type ids
 * @since 3.0.0
 */
export const TypeId: unique symbol = Symbol.for("effect-websocket-pool/WebSocketPoolMonitor")

/**
 * The type of that mark.
 *
 * @category type ids
 * @since 3.0.0
 */
export type TypeId = typeof TypeId

/**
 * The last ten minutes of one pool or several: see `record`.
 *
 * @category models
 * @since 3.0.0
 */
export interface Recording {
  readonly [TypeId]: TypeId
}
