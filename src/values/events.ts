/** What happens in a pool. */
import * as Data from "#effect/Data"
import type * as Duration from "#effect/Duration"
import type { ConnectionUnavailableError, PoolExhaustedError } from "./errors.js"
import type { CloseReason } from "./reasons.js"

export type { CloseReason } from "./reasons.js"

/**
 * An event of a pool. `pool` is its name; `connectionId` the identity of the socket it is about.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolEvent = Data.TaggedEnum<{
  /** A connection is open and set up, after `elapsed` and `attempts`. */
  ConnectionOpened: {
    readonly pool: string
    readonly connectionId: string
    readonly elapsed: Duration.Duration
    readonly attempts: number
  }
  /** A connection that is to be opened waits for a permit of the quota. */
  Queued: { readonly pool: string }
  /** A connection that was queued may be opened, after it has `waited` for its permit. */
  Permitted: { readonly pool: string; readonly waited: Duration.Duration }
  /** An attempt to connect failed. */
  ConnectFailed: { readonly pool: string; readonly error: ConnectionUnavailableError }
  /** The pool wants a leased connection back, for this `reason`. Once for each connection. */
  ConnectionRetiring: { readonly pool: string; readonly connectionId: string; readonly reason: CloseReason }
  /** The socket of a connection is gone. */
  ConnectionClosed: {
    readonly pool: string
    readonly connectionId: string
    readonly code: number
    readonly age: Duration.Duration
    readonly reason: CloseReason
  }
  /** A lease began, after its `get` had `waited`. */
  Acquired: { readonly pool: string; readonly connectionId: string; readonly waited: Duration.Duration }
  /** A lease ended. */
  Released: { readonly pool: string; readonly connectionId: string; readonly held: Duration.Duration }
  /**
   * A lease is held longer than `leakThreshold`: reported once for each, and only then. `span` and `traceId` are those of
   * the fiber that took it. `place` says where: lines of a stack, which begin with the call of `use(f)` or with what
   * yields a `get`, as far as that could be seen, and go on with the places where the span and those above it were made.
   */
  LeaseLeakSuspected: {
    readonly pool: string
    readonly connectionId: string
    readonly held: Duration.Duration
    readonly span?: string | undefined
    readonly traceId?: string | undefined
    readonly place?: string | undefined
  }
  /** A `get` failed with `PoolExhaustedError`. */
  Exhausted: { readonly pool: string; readonly error: PoolExhaustedError }
  /** A connection was given back and is waited on to fall quiet. */
  DrainStarted: { readonly pool: string; readonly connectionId: string }
  /** A connection fell quiet; `dropped` messages came meanwhile. */
  DrainCompleted: {
    readonly pool: string
    readonly connectionId: string
    readonly elapsed: Duration.Duration
    readonly dropped: number
  }
  /** A message of `bytes` belonged to no lease and was dropped. */
  MessageDropped: { readonly pool: string; readonly connectionId: string; readonly bytes: number }
  /** The limits changed. */
  PoolResized: { readonly pool: string; readonly minConnections: number; readonly maxConnections: number }
  /** The pool began to shut down. */
  PoolClosing: { readonly pool: string }
  /** The pool is gone; the last event. */
  PoolClosed: { readonly pool: string }
}>

const constructors = Data.taggedEnum<PoolEvent>()

/**
 * Matches an event against a function for each of its kinds: the compiler sees to it that none is missing.
 *
 * @category pattern matching
 * @since 0.1.0
 */
export const match: Data.TaggedEnum.Constructor<PoolEvent>["$match"] = constructors.$match

/**
 * Tells whether a value is an event of the given kind.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { PoolEvent, WebSocketPool } from "effect-websocket-pool"
 *
 * // Run it in a fiber of its own: it ends with the pool.
 * const logClosed = WebSocketPool.events.pipe(
 *   Stream.filter(PoolEvent.is("ConnectionClosed")),
 *   Stream.runForEach(({ connectionId, reason }) => Effect.logInfo(`${connectionId}: ${reason}`))
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const is: <Tag extends PoolEvent["_tag"]>(
  tag: Tag
) => (u: unknown) => u is Extract<PoolEvent, { readonly _tag: Tag }> = constructors.$is
