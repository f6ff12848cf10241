/**
 * What happens in a pool, one value at a time.
 *
 * @since 0.1.0
 */

export { type CloseReason, is, match, type PoolEvent } from "./values/events.js"
