import type { CloseReason } from "../values/events.js"
import type { Outcome, Slot, Waiter } from "./slot.js"

/**
 * What follows from a transition, and is not the core's own to do.
 *
 * - `Make`, `Abort`: an item, or the making of one → `created` or `failed`
 * - `Check`: an item before it is lent → `checked`
 * - `Settle`: an item between two leases → `settled`
 * - `Close`: an item → `closed`
 * - `Retire`: a leased item is wanted back
 * - `Wake`: a waiter, with what it is given
 * - `Vacate`: the last slot of a closed pool is gone, or its last lease has ended
 */
export type Order<A, E> =
  | { readonly _tag: "Make" | "Abort" | "Check" | "Settle"; readonly slot: Slot<A, E> }
  | { readonly _tag: "Close" | "Retire"; readonly slot: Slot<A, E>; readonly reason: CloseReason }
  | { readonly _tag: "Wake"; readonly waiter: Waiter<A, E>; readonly outcome: Outcome<A, E> }
  | { readonly _tag: "Vacate" }

/**
 * Orders, in the order in which they were given. They are carried out when a transition is over: whoever carries one out
 * may call the core again, and finds it whole.
 */
export class Outbox<A, E> {
  /** It is kept when it is empty: what follows from one transition is little, and transitions are many. */
  private orders: Array<Order<A, E> | undefined> = []
  private head = 0
  private tail = 0

  get isEmpty(): boolean {
    return this.head === this.tail
  }

  put(order: Order<A, E>): void {
    this.orders[this.tail] = order
    this.tail += 1
  }

  take(): Order<A, E> | undefined {
    if (this.isEmpty) return undefined
    const order = this.orders[this.head]
    this.orders[this.head] = undefined
    this.head += 1
    if (this.isEmpty) {
      if (this.tail > most) this.orders = []
      this.head = this.tail = 0
    }
    return order
  }
}

/** More orders than these had to be carried out at once: the room that they took is let go. */
const most = 64
