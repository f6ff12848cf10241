import * as Duration from "#effect/Duration"
import { nameOf } from "../connection/leaseSpan.js"
import type { Holder, Link } from "../connection/link.js"
import type { Slot } from "../core/slot.js"
import type { OldestLease } from "../values/stats.js"

/** Who holds a connection for longest. It is looked for only when somebody asks. */
export const oldestLeaseOf = (
  slots: Iterable<Pick<Slot<Link, never>, "item" | "state">>,
  now: number
): OldestLease | undefined => {
  let oldest: Holder | undefined
  let connectionId = ""
  let quietSince = 0
  for (const { item, state } of slots) {
    if (state !== "leased" || item.lease === undefined) continue
    if (oldest !== undefined && item.lease.since >= oldest.since) continue
    oldest = item.lease
    connectionId = item.id
    quietSince = Math.max(oldest.since, item.messageAt)
  }
  if (oldest === undefined) return undefined
  const span = nameOf(oldest.span)
  return {
    connectionId,
    held: Duration.millis(now - oldest.since),
    quietFor: Duration.millis(now - quietSince),
    ...(span === undefined ? {} : { span })
  }
}
