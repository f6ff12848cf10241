import type * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import type { Holder } from "../connection/holder.js"
import type { Link } from "../connection/link.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { AcquireError } from "../values/errors.js"
import type { Place } from "./tasks.js"
import type { Verdict } from "./verdict.js"

/** A holder that may have asked for its connection to be closed. */
export interface Leaseholder extends Holder {
  readonly isDiscarded: boolean
}

/** Begins leases of what the core has granted, and ends them. */
export class Leases {
  constructor(
    private readonly pool: SlotPool<Link, AcquireError>,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly discards: Verdict<Exit.Exit<unknown, unknown>>
  ) {}

  /** `asked` is when it was asked for, `fiber` whose it is, unless that is the one that runs. */
  begin(slot: Place, holder: Leaseholder, asked: number, fiber?: Fiber.Fiber<unknown, unknown>): void {
    const link = slot.item
    link.lease = holder
    link.leases += 1
    this.journal.acquired(link, holder.since - asked, fiber)
  }

  /** Without an exit nothing has been done with the connection: it is fit for the next lease. */
  end(slot: Place, holder: Leaseholder, exit?: Exit.Exit<unknown, unknown>, now = this.timers.now()): void {
    const link = slot.item
    this.journal.released(link, now - holder.since)
    link.leasedUntil = now
    link.endLease()
    link.isUnfit = holder.isDiscarded || (exit !== undefined && this.discards.on(exit))
    this.pool.release(slot, false, now)
  }
}
