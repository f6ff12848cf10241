/**
 * A quota that many processes share, on Redis or Valkey.
 *
 * @since 3.0.0
 */

/** @since 3.0.0 */
export * as RedisConnectionQuota from "./RedisConnectionQuota.js"
