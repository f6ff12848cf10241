import { type Slot, type SlotEvent, type SlotState, transitions } from "./slot.js"

/** The table, for whoever looks something up in it at every lease: an object is slow with keys that change. */
const next = new Map(
  Object.entries(transitions).map(([state, events]) => [state as SlotState, new Map(Object.entries(events))])
) as ReadonlyMap<SlotState, ReadonlyMap<SlotEvent, SlotState>>

/** Which slots there are, and how many in which state. Every change of a slot's state goes through here. */
export class Books<A, E> {
  /** Every slot that is not gone. */
  readonly slots = new Set<Slot<A, E>>()
  readonly count: { [S in SlotState]: number } = {
    creating: 0,
    idle: 0,
    checking: 0,
    leased: 0,
    releasing: 0,
    closing: 0,
    gone: 0
  }
  /** Creations that are held for nobody. */
  shared = 0
  /** Slots that are idle, checked or leased, and not doomed; and the leases on them. */
  sound = 0
  lent = 0

  constructor(private readonly moved: ((from: SlotState | undefined, to: SlotState) => void) | undefined) {}

  /** Slots with an item that counts towards `min`. */
  get kept(): number {
    return this.sound + this.count.releasing
  }

  /** Places that come free without the end of a lease, and for which nobody in particular waits. */
  departing(max: number): number {
    if (this.count.closing + this.count.checking === 0) return 0
    // After shrinking, as many leave none.
    let places = Math.min(max - this.slots.size, 0)
    for (const { heldFor, state } of this.slots) {
      if (heldFor === undefined && (state === "closing" || state === "checking")) places += 1
    }
    return places
  }

  /** Whether an item that was made at `since` or later has lasted for so many milliseconds. */
  hasLasting(since: number, millis: number, now: number): boolean {
    for (const { createdAt, state } of this.slots) {
      if (state !== "creating" && createdAt >= since && now - createdAt >= millis) return true
    }
    return false
  }

  open(slot: Slot<A, E>): void {
    this.slots.add(slot)
    this.add("creating", 1)
    this.moved?.(undefined, "creating")
  }

  /** `leases` is how many are on the slot from then on. */
  move(slot: Slot<A, E>, event: SlotEvent, leases = slot.leases): void {
    const to = next.get(slot.state)?.get(event)
    if (to === undefined) throw new Error(`BUG: ${event} cannot happen to a slot that is ${slot.state}`)
    this.tally(slot, -1)
    this.add(slot.state, -1)
    this.add(to, 1)
    this.moved?.(slot.state, to)
    slot.state = to
    slot.leases = leases
    if (to === "gone") this.slots.delete(slot)
    this.tally(slot, 1)
  }

  /** Written out for the reason that `next` has. */
  private add(state: SlotState, change: 1 | -1): void {
    const { count } = this
    switch (state) {
      case "creating":
        count.creating += change
        break
      case "idle":
        count.idle += change
        break
      case "checking":
        count.checking += change
        break
      case "leased":
        count.leased += change
        break
      case "releasing":
        count.releasing += change
        break
      case "closing":
        count.closing += change
        break
      case "gone":
        count.gone += change
    }
  }

  /** So many leases are on a slot now. */
  lend(slot: Slot<A, E>, leases: number): void {
    this.tally(slot, -1)
    slot.leases = leases
    this.tally(slot, 1)
  }

  /** What is doomed counts no more. */
  doom(slot: Slot<A, E>, reason: NonNullable<Slot<A, E>["doom"]>): void {
    this.tally(slot, -1)
    slot.doom = reason
  }

  private tally(slot: Slot<A, E>, sign: 1 | -1): void {
    if (slot.doom !== undefined) return
    if (slot.state === "leased" || slot.state === "idle" || slot.state === "checking") {
      this.sound += sign
      this.lent += sign * slot.leases
    }
  }
}
