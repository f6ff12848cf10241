import { List } from "./list.js"
import type { Slot } from "./slot.js"

/** What a product or a quotient of fractions comes to, rounded up; the last bits of such a number are noise. */
export const roundedUp = (number: number): number => Math.ceil(number * (1 - 1e-12))

/**
 * Slots whose item can be lent, in the order in which they are: in use below the target, the fullest first; then
 * idle, the most recently used first; then never used, the oldest first; then in use beyond the target, the emptiest
 * first. So slots fill to the target one after the other, and beyond it level.
 */
export class Shelf<A, E> {
  /** Slots with room left, by their number of leases. */
  private readonly partial: Array<List<Slot<A, E>>> = []
  private readonly used = new List<Slot<A, E>>()
  private readonly unused = new List<Slot<A, E>>()
  /** The least number of leases that reaches the target. */
  private readonly target: number

  constructor(target = Number.POSITIVE_INFINITY) {
    this.target = roundedUp(target)
  }

  /** The first to be lent of those in use below the target. */
  get fullest(): Slot<A, E> | undefined {
    const { partial, target } = this
    // Lists that a peak has left behind go, or they would be looked through for ever.
    while (partial.length > 0 && partial[partial.length - 1]!.first === undefined) partial.pop()
    for (let leases = Math.min(partial.length, target) - 1; leases > 0; leases--) {
      const { first } = partial[leases]!
      if (first !== undefined) return first
    }
    return undefined
  }

  /** The first to be lent of those beyond the target. */
  get emptiestBeyond(): Slot<A, E> | undefined {
    const { partial, target } = this
    for (let leases = target; leases < partial.length; leases++) {
      const { first } = partial[leases]!
      if (first !== undefined) return first
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

  /** The one that has been idle for longest, of all or of some. */
  oldest(isMeant: (slot: Slot<A, E>) => boolean = () => true): Slot<A, E> | undefined {
    let { first } = this.unused
    let { last } = this.used
    while (first !== undefined && !isMeant(first)) first = first.after
    while (last !== undefined && !isMeant(last)) last = last.before
    return last === undefined || (first !== undefined && first.idleSince < last.idleSince) ? first : last
  }

  /** The first that will do, whatever the order is. */
  find(isFit: (slot: Slot<A, E>) => boolean): Slot<A, E> | undefined {
    for (const list of [...this.partial, this.used, this.unused]) {
      for (let slot = list.first; slot !== undefined; slot = slot.after) if (isFit(slot)) return slot
    }
    return undefined
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
