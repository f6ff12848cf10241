/**
 * A quota that many processes share, on Redis or Valkey.
 *
 * @since 0.2.0
 */

/** @since 0.2.0 */
export * as RedisConnectionQuota from "./RedisConnectionQuota.js"
