/**
 * The errors of a pool and of its connections.
 *
 * Every failure of a pool is one of five, in the error channel: nothing that a network, a server or a hook
 * does makes a public operation die. `LaggedError` is for streams of a `Multiplexer`.
 *
 * @since 0.1.0
 */

export {
  type AcquireError,
  ConnectionBusyError,
  ConnectionClosedError,
  type ConnectionError,
  ConnectionUnavailableError,
  isPoolError,
  LaggedError,
  PoolClosedError,
  type PoolError,
  PoolExhaustedError
} from "./values/errors.js"
export type { CloseInitiator, ConnectFailureReason, SetupStep } from "./values/reasons.js"
