import * as Duration from "#effect/Duration"

// One constant for each default of `WebSocketPool.Options`.

export const name = "websocket-pool"
export const minConnections = 0
export const maxConnections = 50
export const acquireTimeout = Duration.seconds(30)
export const maxWaiters = Number.POSITIVE_INFINITY
export const connectTimeout = Duration.seconds(10)
/** The first pause between two attempts; each further one is longer by `retryFactor`. */
export const retryBase = Duration.millis(100)
export const retryFactor = 2
/** Attempts after the first. */
export const retryTimes = 3
export const idleTimeout = Duration.seconds(60)
export const connectionTTL = Duration.infinity
/** The part of `connectionTTL` by which a connection's own may be shorter. */
export const connectionTTLJitter = 0.1
export const pingInterval = Duration.seconds(30)
export const pingTimeout = Duration.seconds(10)
export const validateAfterIdle = Duration.seconds(5)
/** How long the check before a lease may take. */
export const validationTimeout = Duration.seconds(1)
/** Never. */
export const leakThreshold = Duration.infinity
export const drainTimeout = Duration.seconds(10)
export const receiveBuffer = 1024 * 1024
export const sendBuffer = 1024 * 1024
export const maxPayload = 16 * 1024 * 1024
export const shutdownTimeout = Duration.seconds(5)
export const closeTimeout = Duration.seconds(2)
/** Events kept for each subscriber that is behind. */
export const eventBuffer = 1024
