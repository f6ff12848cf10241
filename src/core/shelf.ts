import { List } from "./list.js"
import type { Slot } from "./slot.js"

/**
 * Slots whose item can be lent, in the order in which they are: in use with room left, the fullest first; then
 * idle, the most recently used first; then never used, the oldest first.
 */
export class Shelf<A, E> {
  /** Slots with room left, by their number of leases. */
  private readonly partial: Array<List<Slot<A, E>>> = []
  private readonly used = new List<Slot<A, E>>()
  private readonly unused = new List<Slot<A, E>>()

  /** The first to be lent of those in use. */
  get fullest(): Slot<A, E> | undefined {
    const { partial } = this
    // Lists that a peak has left behind go, or they would be looked through for ever.
    while (partial.length > 0) {
      const { first } = partial[partial.length - 1]!
      if (first !== undefined) return first
      partial.pop()
    }
    return undefined
  }

  /** The first to be lent of those that are idle, and the last. */
  get mostRecentlyUsed(): Slot<A, E> | undefined {
    return this.used.first ?? this.unused.first
  }

  get leastRecentlyUsed(): Slot<A, E> | undefined {
    return this.unused.last ?? this.used.last
  }

  /** The one that has been idle for longest. */
  get oldest(): Slot<A, E> | undefined {
    const first = this.unused.first
    const last = this.used.last
    return last === undefined || (first !== undefined && first.idleSince < last.idleSince) ? first : last
  }

  putInUse(slot: Slot<A, E>): void {
    while (this.partial.length <= slot.leases) this.partial.push(new List())
    this.partial[slot.leases]!.push(slot)
  }

  putIdle(slot: Slot<A, E>, now: number): void {
    slot.idleSince = now
    if (slot.uses === 0) this.unused.push(slot)
    else this.used.unshift(slot)
  }

  /** A check is no use: its slot comes back to where it was, and is as old. */
  putBack(slot: Slot<A, E>): void {
    if (slot.uses === 0) this.unused.insert(slot, (other) => other.idleSince > slot.idleSince)
    else this.used.insert(slot, (other) => other.idleSince <= slot.idleSince)
  }
}
