import * as Duration from "#effect/Duration"
import type { Holder } from "../connection/holder.js"
import { nameOf } from "../connection/leaseSpan.js"
import type { Link } from "../connection/link.js"
import type { Slot } from "../core/slot.js"
import type { OldestLease } from "../values/stats.js"

export type Slots = Iterable<Pick<Slot<Link, never>, "item" | "state">>

/** Who holds a connection for longest. It is looked for only when somebody asks. */
export const oldestLeaseOf = (slots: Slots, now: number): OldestLease | undefined => {
  let oldest: Holder | undefined
  let link: Link | undefined
  for (const { item, state } of slots) {
    if (state !== "leased" || item.lease === undefined) continue
    if (oldest !== undefined && item.lease.since >= oldest.since) continue
    oldest = item.lease
    link = item
  }
  return oldest && link && leaseOf(link, oldest, now)
}

/** Every lease that is out, the oldest first. */
export const leasesOf = (slots: Slots, now: number): ReadonlyArray<OldestLease> => {
  const held: Array<{ readonly link: Link; readonly holder: Holder }> = []
  for (const { item, state } of slots) {
    if (state === "leased" && item.lease !== undefined) held.push({ link: item, holder: item.lease })
  }
  return held.sort((a, b) => a.holder.since - b.holder.since).map(({ holder, link }) => leaseOf(link, holder, now))
}

const leaseOf = ({ id, messageAt }: Link, holder: Holder, now: number): OldestLease => {
  const span = nameOf(holder.span)
  return {
    connectionId: id,
    held: Duration.millis(now - holder.since),
    quietFor: Duration.millis(now - Math.max(holder.since, messageAt)),
    ...(span === undefined ? {} : { span })
  }
}
