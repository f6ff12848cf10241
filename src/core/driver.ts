import type { CloseReason } from "../values/events.js"
import type { Outcome, Slot, SlotState, Waiter } from "./slot.js"

/**
 * What knows the items. The pool calls it synchronously; it answers by `created`, `failed`, `checked`,
 * `settled` and `closed`, at once or later, exactly once for each call, and may say `lose` at any time.
 */
export interface Driver<A, E> {
  /** Make an item → `created` or `failed`. */
  readonly create: (slot: Slot<A, E>) => void
  /** Give up making it → `failed`. */
  readonly abort: (slot: Slot<A, E>) => void
  /** Whether an idle item can still be lent. If not, its loss is about to be told. */
  readonly isUsable: (slot: Slot<A, E>) => boolean
  /** Whether an idle item has to be checked before it is lent. */
  readonly needsCheck: (slot: Slot<A, E>, now: number) => boolean
  /** Check it → `checked`. */
  readonly check: (slot: Slot<A, E>) => void
  /** The last lease has ended: is the item fit as it is, after some settling, or not at all? */
  readonly released: (slot: Slot<A, E>) => "Reuse" | "Settle" | CloseReason
  /** A lease was refused before it began: the same, of an item that nobody has touched. */
  readonly refused: (slot: Slot<A, E>) => "Reuse" | CloseReason
  /** Make a given back item fit for the next lease → `settled`, or `end`. */
  readonly settle: (slot: Slot<A, E>) => void
  /** A leased item is wanted back: it is closed when it is given back, unless it was one too many and is so no more. */
  readonly retire?: (slot: Slot<A, E>, reason: CloseReason) => void
  /** Since when a leased item has been held. Those held for longest are wanted back first. */
  readonly heldSince?: (slot: Slot<A, E>) => number
  /** Whether a lease of it would have to wait for something of its own, so that others with room come first. */
  readonly isClogged?: (slot: Slot<A, E>) => boolean
  /** Whether an idle item has something of its own to do, so that it does not count as idle: `rest` tells when that is over. */
  readonly isOccupied?: (slot: Slot<A, E>) => boolean
  /** Whether another item may be made now: there may be limits that the core knows nothing of. */
  readonly mayCreate?: () => boolean
  /** How many of those in line will be served without the end of a lease. By default those who fit what is being made. */
  readonly coming?: () => number
  /** Finalise an item → `closed`. */
  readonly destroy: (slot: Slot<A, E>, reason: CloseReason) => void
  /** How old an item may get, in milliseconds. */
  readonly lifetime: () => number
  /** What a waiter fails with at once, since it cannot be served before its deadline. */
  readonly refusal?: (waiter: Waiter<A, E>) => Outcome<A, E> | undefined
  /** What a waiter fails with. */
  readonly timedOut: (waiter: Waiter<A, E>) => Outcome<A, E>
  readonly tooManyWaiters: () => Outcome<A, E>
  readonly poolClosed: () => Outcome<A, E>
  /** Between 0 and 1. */
  readonly random: () => number
  /** The last slot of a closed pool is gone, or its last lease has ended. */
  readonly vacated: () => void
  /** A slot has changed its state, or has come to be; `waits` by how many the waiters have changed. Only to be counted. */
  readonly moved?: (from: SlotState | undefined, to: SlotState) => void
  readonly waits?: (change: 1 | -1) => void
  /** A wait has ended without a slot: it failed, or was interrupted. The end of the pool fails none. Only to be counted. */
  readonly waitLost?: (waiter: Waiter<A, E>, how: LostWait) => void
  /**
   * For a driver whose creations wait for something before they begin. `demand` is told whenever everybody is served who
   * can be: what is not needed any more leaves by `withdraw`. `unbegun` is one that waits still, held for nobody.
   */
  readonly demand?: ((demand: Demand) => void) | undefined
  readonly unbegun?: (() => Slot<A, E> | undefined) | undefined
}

/** What creations are needed for. */
export interface Demand {
  /** How many wait in line for any item. */
  readonly waiting: number
  /** How many creations are held for nobody in particular. */
  readonly creating: number
  /** How many of those are not needed. */
  readonly surplus: number
  /** How many items are idle. */
  readonly idle: number
}

/** How a wait can end without a slot. */
export type LostWait = "Failed" | "Interrupted"

export interface Limits {
  readonly min: number
  readonly max: number
  readonly concurrency: number
  readonly targetUtilization: number
  /** Milliseconds without use after which an item beyond `min` is closed. */
  readonly idleTimeout: number
  readonly maxWaiters: number
  /** Whether an item that ended for this reason, after so many milliseconds, is replaced at once, or through the back-off. */
  readonly isRenewal: (reason: CloseReason, lasted: number) => boolean
}
