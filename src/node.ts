/**
 * The pool on Node.js.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as NodeWebSocketPool from "./NodeWebSocketPool.js"
/** @since 0.1.0 */
export * as NodeWebSocketTransport from "./NodeWebSocketTransport.js"
