/** What those need of a pool who share its connections out among requests, and what they tell of it. */
import type { Restore } from "#dialect"
import type * as Effect from "#effect/Effect"
import type { Link } from "../connection/link.js"
import type { Tenancy } from "../connection/tenancy.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Settings } from "../options/decode.js"
import type { AcquireError } from "../values/errors.js"

export interface Backstage {
  readonly settings: Settings
  readonly timers: Timers
  readonly core: SlotPool<Link, AcquireError>
  /** Leases for long: no suspect of leaking, and let into the line whatever `maxWaiters` says. In an uninterruptible region. */
  readonly rent: (restore: Restore, deadline: number) => Effect.Effect<Tenancy, AcquireError>
  /** What to fail with after so many milliseconds, or since too many wait. */
  readonly overdue: (waited: number, isExhausted: boolean) => AcquireError
  readonly tooManyWaiters: () => AcquireError
  /** The end of the pool, which whoever waits for it does not hold up. */
  readonly closed: Effect.Effect<void>
  /** Those who share it out now. */
  readonly sharers: Set<Sharer>
}

/** Requests that are under way. */
export interface Load {
  /** Those that somebody waits for, streams included. */
  readonly inFlight: number
  /** Those that nobody waits for any more, whose places are taken until their answers come. */
  readonly abandoned: number
  readonly streams: number
}

/** What one connection carries. */
export interface ConnectionLoad extends Load {
  readonly connectionId: string
  /** How many requests it carries at most. */
  readonly concurrency: number
}

/** One who shares connections out. It is asked for what it keeps anyway: nothing is counted for whoever looks. */
export interface Sharer {
  readonly connections: () => ReadonlyArray<ConnectionLoad>
  /** Requests without a connection. */
  readonly waiting: () => number
  /** Since its start. */
  readonly tally: { readonly cancelled: number; readonly lagged: number; readonly unmatched: number }
}
