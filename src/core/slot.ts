import { callback } from "#dialect"
import type * as Effect from "#effect/Effect"
import type { AnySpan } from "#effect/Tracer"
import type { CloseReason } from "../values/events.js"
import { Place } from "./list.js"
import type { Timer } from "./timers.js"

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
  /** Whether it was asked back because there were too many. It stays if others have made room meanwhile. */
  isSurplus = false
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

// Slots and waiters point at each other: who has started a creation, what is held for whom.

/** What a waiter is given in the end: a slot leased to it, or an error. */
export type Outcome<A, E> = Effect.Effect<Slot<A, E>, E>

/** Learns the outcome of a waiter, in the step that settles it. */
export interface WaiterListener<A, E> {
  readonly onSettled: (waiter: Waiter<A, E>, outcome: Outcome<A, E>) => void
}

/** What a waiter asks for. */
export interface Request {
  /** Whether it wants an item made for it. */
  readonly fresh: boolean
  /** Since when it waits. */
  readonly since: number
  /** Until when it waits. */
  readonly deadline: number
  /** In which it waits, if it is traced. */
  readonly span?: AnySpan | undefined
  /** Whether it stands for others who wait elsewhere, and are counted there: it may always join the line. */
  readonly isStandIn?: boolean
}

/** The place of a waiter among those in line who have started no creation that is still under way. */
export class Bare<A, E> extends Place<Bare<A, E>> {
  constructor(readonly waiter: Waiter<A, E>) {
    super()
  }
}

/** A `get` that could not be served at once. Out of line it waits for a slot that is held for it. */
export class Waiter<A, E> extends Place<Waiter<A, E>> implements Timer {
  readonly bare: Bare<A, E> = new Bare<A, E>(this)
  /** The creation that it started. */
  creation: Slot<A, E> | undefined = undefined
  /** The slot that is held for it. */
  held: Slot<A, E> | undefined = undefined
  /** The slot that it was given and has not accepted yet. */
  granted: Slot<A, E> | undefined = undefined
  done = false

  // Its timer is its deadline, out of line.
  due = 0
  position = -1

  private outcome: Outcome<A, E> | undefined = undefined
  private resume: ((outcome: Outcome<A, E>) => void) | undefined = undefined
  private listener: WaiterListener<A, E> | undefined = undefined

  /** Whether an item was checked for it already: once is enough. */
  checked: boolean
  /** Whether an item that it was granted had ended before it could accept it. */
  wasUnlucky: boolean

  constructor(
    /** Its number: a lower one has waited longer. */
    readonly turn: number,
    readonly request: Request,
    private readonly expire: (waiter: Waiter<A, E>) => void,
    /** What it was when it had its turn before. */
    before: Waiter<A, E> | undefined
  ) {
    super()
    this.checked = before?.checked ?? false
    this.wasUnlucky = before?.wasUnlucky ?? false
  }

  /** Waits for the outcome. It has no finaliser: whoever runs it tells the pool when it was interrupted. */
  get wait(): Outcome<A, E> {
    if (this.outcome !== undefined) return this.outcome
    return callback((resume) => {
      if (this.outcome === undefined) this.resume = resume
      else resume(this.outcome)
    })
  }

  /** Tells the outcome to a listener in place of a fiber, at once if it is there. */
  tell(listener: WaiterListener<A, E>): void {
    if (this.outcome === undefined) this.listener = listener
    else listener.onSettled(this, this.outcome)
  }

  settle(outcome: Outcome<A, E>): void {
    this.done = true
    if (this.listener !== undefined) this.listener.onSettled(this, outcome)
    else if (this.resume === undefined) this.outcome = outcome
    else this.resume(outcome)
  }

  onDue(): void {
    this.expire(this)
  }
}
