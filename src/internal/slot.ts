import type { CloseReason } from "../PoolEvent.js"
import { Place } from "./list.js"
import type { Timer } from "./timers.js"
import type { Waiter } from "./waiter.js"

/**
 * The life of a slot. `max` bounds the slots that are not `gone`.
 *
 * - `creating`: its item is being made
 * - `idle`: its item is free
 * - `checking`: its item is free no more, and is looked at before the waiter it is meant for gets it
 * - `leased`: its item is lent, at least once
 * - `releasing`: its item is given back, and not yet fit for the next lease
 * - `closing`: its item is being finalised
 * - `gone`
 */
export type SlotState = "creating" | "idle" | "checking" | "leased" | "releasing" | "closing" | "gone"

/**
 * What can happen to a slot.
 *
 * - `created`, `failed`: how making its item ended; `close` if it failed and has left something to finalise
 * - `lease`, `release`: the first lease begins, the last one ends with the item fit for the next
 * - `check`, `checked`: the check before a lease begins, ends well with nobody waiting for it any more
 * - `settle`, `settled`: what has to be done between two leases begins, ends well
 * - `close`: invalidated, unfit, idle or alive for too long, refreshed, surplus, pool closed
 * - `lost`: the item has ended by itself; there is nothing to finalise
 * - `closed`: its finaliser has ended
 */
export type SlotEvent =
  | "created"
  | "failed"
  | "lease"
  | "release"
  | "check"
  | "checked"
  | "settle"
  | "settled"
  | "close"
  | "lost"
  | "closed"

/**
 * The table of states and events. What is not in it cannot happen.
 *
 * Three things are no change of state. A lease, or the end of one, while others last. An invalidation, expiry or
 * refresh of a slot that is `leased`, `checking` or `creating`: it is *doomed* instead, and closed in place of the
 * next `release`, `checked` or `created`. A cancelled waiter: its creation goes on for the next in line, its check ends
 * in `checked`, the lease it refuses in `release`.
 *
 * A slot that is `lost` while it is leased is gone at once: what is over takes no place, and its leases go on without it.
 */
export const transitions: { readonly [S in SlotState]: { readonly [E in SlotEvent]?: SlotState } } = {
  creating: { created: "idle", failed: "gone", close: "closing" },
  idle: { lease: "leased", check: "checking", close: "closing", lost: "gone" },
  checking: { lease: "leased", checked: "idle", close: "closing", lost: "gone" },
  leased: { release: "idle", settle: "releasing", close: "closing", lost: "gone" },
  releasing: { settled: "idle", close: "closing", lost: "gone" },
  closing: { closed: "gone" },
  gone: {}
}

/** One of the `max` places for an item. */
export class Slot<A, E> extends Place<Slot<A, E>> implements Timer {
  state: SlotState = "creating"
  /** How many leases are out, the one a check is made for included. */
  leases = 0
  /** How many leases there have been. */
  uses = 0
  /** Why it will be closed instead of being offered again. */
  doom: CloseReason | undefined = undefined
  /** `creating`: who started it, and takes its failure. */
  starter: Waiter<A, E> | undefined = undefined
  /** Who gets this slot itself, or the place that it leaves, whoever is first in line. */
  heldFor: Waiter<A, E> | undefined = undefined
  createdAt = 0
  idleSince = 0

  // Its timer is the end of its life.
  due = 0
  position = -1

  /** Set when it is created. */
  item!: A

  constructor(
    /** Whether it is made to keep `min`, so that its failure slows that down. */
    readonly background: boolean,
    private readonly expire: (slot: Slot<A, E>) => void
  ) {
    super()
  }

  onDue(): void {
    this.expire(this)
  }
}
