/**
 * A WebSocket connection pool for Effect.
 *
 * @since 0.1.0
 */

/** @since 3.0.0 */
export * as ConnectionQuota from "./ConnectionQuota.js"
/** @since 3.0.0 */
export * as JsonRpc from "./JsonRpc.js"
/** @since 3.0.0 */
export * as Multiplexer from "./Multiplexer.js"
/** @since 0.1.0 */
export * as PoolError from "./PoolError.js"
/** @since 0.1.0 */
export * as PoolEvent from "./PoolEvent.js"
/** @since 0.1.0 */
export * as PoolStats from "./PoolStats.js"
/** @since 0.1.0 */
export * as ResourcePool from "./ResourcePool.js"
/** @since 0.1.0 */
export * as WebSocketConnection from "./WebSocketConnection.js"
/** @since 0.1.0 */
export * as WebSocketPool from "./WebSocketPool.js"
/** @since 0.1.0 */
export * as WebSocketTransport from "./WebSocketTransport.js"
