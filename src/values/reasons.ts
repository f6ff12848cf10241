/**
 * Why a connection could not be established.
 *
 * - `"Timeout"`: not within `connectTimeout`, or `acquireTimeout`
 * - `"Network"`: refused, unreachable, unknown host, or lost before the server answered
 * - `"Tls"`: no secure line, most often a certificate that is not trusted
 * - `"Handshake"`: the server refused the upgrade, or did not speak WebSocket
 * - `"Setup"`: `url`, `headers` or `onConnect` failed
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectFailureReason = "Timeout" | "Network" | "Tls" | "Handshake" | "Setup"

/**
 * The parts of the setup of a connection that are not the pool's own.
 *
 * @category models
 * @since 0.2.0
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
