/** A quota as its users, the pools that stand on it and its engines see it. */
import type * as Config from "#effect/Config"
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type { QuotaUnavailableError } from "./errors.js"
import type { QuotaEvent } from "./quotaEvents.js"
import type { QuotaLocalStats, QuotaStats } from "./quotaStats.js"

/**
 * So many attempts to connect in any span of a window.
 *
 * **Details** An attempt counts from the grant of its permit until `window` after it has ended.
 *
 * @category options
 * @since 3.0.0
 */
export interface ConnectsLimit {
  /** How many attempts. */
  readonly limit: number
  /** In any span of this length. */
  readonly window: Duration.Input
}

/**
 * What `resize` can change.
 *
 * @category options
 * @since 3.0.0
 */
export interface QuotaLimits {
  /** Sockets of the fleet at once; infinity for no limit. */
  readonly connections?: number | undefined
  /** Attempts to connect in any span of a window, for one window or several; an empty array for no limit. */
  readonly connects?: ConnectsLimit | ReadonlyArray<ConnectsLimit> | undefined
}

/**
 * How soon a permit is needed: by a `get` that waits, or to keep `minConnections`.
 *
 * @category engines
 * @since 3.0.0
 */
export type QuotaUrgency = "waiter" | "background"

/**
 * A pool, as its quota sees it. All of it is synchronous.
 *
 * @category engines
 * @since 3.0.0
 */
export interface QuotaMember {
  /** The pool's name. */
  readonly name: string
  /** How many idle connections it has, whoever waits there. */
  readonly spare: () => number
  /**
   * Asks for so many connections back: idle ones now, or leased ones as soon as they are given back. It answers how many
   * it gives up; their permits are released once their sockets are gone.
   */
  readonly yield: (count: number, from: "idle" | "leased") => number
  /** The quota has lapsed: closes the idle connections, or all of them, with code 1001 and reason `"Reclaimed"`. */
  readonly close: (which: "idle" | "all") => void
}

/**
 * The right to have one connection, from before its attempt begins until its socket is gone. Each of its functions does
 * something once; further calls do nothing.
 *
 * @category engines
 * @since 3.0.0
 */
export interface QuotaPermit {
  /** The attempt is over, whether it went well or not. */
  readonly opened: () => void
  /** The server refused the attempt with a status that stands for "too many", and may have said for how long. */
  readonly refused: (retryAfter?: Duration.Duration) => void
  /** There is no socket, or none any more. */
  readonly release: () => void
}

/**
 * What a pool has of a quota that it has joined. All of it is synchronous, so that no interruption can lose a permit.
 *
 * @category engines
 * @since 3.0.0
 */
export interface QuotaShare {
  /**
   * Waits in line for a permit. `onGrant` may be called before `take` returns. What it returns leaves the line; after
   * the grant it does nothing.
   */
  readonly take: (urgency: QuotaUrgency, onGrant: (permit: QuotaPermit) => void) => () => void
  /** The pool has an idle connection, and nobody there waits. */
  readonly idle: () => void
  /** Why nothing can be granted now, if the engine cannot be asked. */
  readonly unavailable: () => QuotaUnavailableError | undefined
  /** What is known of the fleet. */
  readonly known: () => QuotaStats | undefined
  /** The statuses of a refused upgrade that are reported by `refused`. Default: 429. */
  readonly backoffOn?: ReadonlyArray<number> | undefined
}

/**
 * A limit that several pools share, most often pools in many processes.
 *
 * **Details** A pool with a quota takes a permit before each attempt to connect, and gives it back once that socket is
 * gone. `maxConnections` remains the limit of one pool.
 *
 * @category models
 * @since 3.0.0
 */
export interface ConnectionQuota {
  /**
   * The fleet, as its engine sees it.
   *
   * **Errors** `QuotaUnavailableError`: the engine cannot be reached. While the client still connects, it waits for that
   * up to `commandTimeout`.
   */
  readonly stats: Effect.Effect<QuotaStats, QuotaUnavailableError>

  /** This process, without asking the engine. */
  readonly local: Effect.Effect<QuotaLocalStats>

  /**
   * Changes the limits of the whole fleet, from now on. A limit that is not given stays.
   *
   * **Details** Shrinking asks for idle connections first, then for leased ones when they are given back.
   *
   * **Errors** `ConfigError`: a limit is bad, or does not exist. `QuotaUnavailableError`: the engine cannot be reached.
   */
  readonly resize: (limits: QuotaLimits) => Effect.Effect<void, QuotaUnavailableError | Config.ConfigError>

  /**
   * Keeps the whole fleet from opening anything for so long. A shorter pause later does not shorten it.
   *
   * **Errors** `QuotaUnavailableError`: the engine cannot be reached.
   */
  readonly pause: (duration: Duration.Input) => Effect.Effect<void, QuotaUnavailableError>

  /** What happens from the subscription on. A subscriber that lags behind gets the latest 1,024. */
  readonly events: Stream.Stream<QuotaEvent>

  /**
   * Adds a member until the scope closes. This is the seam on which a pool stands: a program calls it only to limit
   * something else by the same quota, or to test an engine of its own.
   */
  readonly join: (member: QuotaMember) => Effect.Effect<QuotaShare, never, Scope.Scope>
}
