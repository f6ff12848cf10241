/**
 * Why a connection could not be established.
 *
 * - `"Timeout"`: not within `connectTimeout`, or `acquireTimeout`
 * - `"Network"`: refused, unreachable, unknown host, or lost before the server answered
 * - `"Tls"`: no secure line, most often a certificate that is not trusted
 * - `"Handshake"`: the server refused the upgrade, or did not speak WebSocket
 * - `"Setup"`: `url`, `headers` or `onConnect` failed
 * - `"Quota"`: the engine of the pool's quota could not be asked for a permit
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectFailureReason = "Timeout" | "Network" | "Tls" | "Handshake" | "Setup" | "Quota"

/**
 * Why the engine of a quota could not be asked.
 *
 * - `"Network"`: it could not be reached
 * - `"Timeout"`: it did not answer within `commandTimeout`
 * - `"Refused"`: it answered with an error: a wrong password, say, or scripts that it does not run
 *
 * @category models
 * @since 3.0.0
 */
export type QuotaFailureReason = "Network" | "Timeout" | "Refused"

/**
 * The parts of the setup of a connection that are not the pool's own.
 *
 * @category models
 * @since 3.0.0
 */
export type SetupStep = "url" | "headers" | "onConnect"

/**
 * Who ended a connection: the server or the network (`"Remote"`), the holder of the lease (`"Local"`), or
 * the pool (`"Pool"`).
 *
 * @category models
 * @since 0.1.0
 */
export type CloseInitiator = "Remote" | "Local" | "Pool"

/**
 * Why a connection was closed.
 *
 * - `"Idle"`: idle for `idleTimeout`
 * - `"Expired"`: as old as `connectionTTL`
 * - `"Unhealthy"`: dead by ping, or a hook found it unfit
 * - `"Dirty"`: it held, or got, a message that belongs to no lease
 * - `"DrainTimeout"`: it did not fall quiet in time
 * - `"Discarded"`: by `discard` or `discardOn`
 * - `"Remote"`: the server closed it or the line was lost
 * - `"Refreshed"`: by `refresh`
 * - `"Evicted"`: to make room for `getNew`, or by shrinking
 * - `"Reclaimed"`: given up for another worker of its quota, or since the quota has lapsed
 * - `"Shutdown"`: with the pool
 * - `"Protocol"`: the server broke the protocol (1002, 1007) or `maxPayload` (1009)
 * - `"Closed"`: by its holder
 *
 * @category models
 * @since 0.1.0
 */
export type CloseReason =
  | "Idle"
  | "Expired"
  | "Unhealthy"
  | "Dirty"
  | "DrainTimeout"
  | "Discarded"
  | "Remote"
  | "Refreshed"
  | "Evicted"
  | "Reclaimed"
  | "Shutdown"
  | "Protocol"
  | "Closed"
