import type { Quota, Sample } from "../wire.js"
import { byId, setText } from "./dom.js"
import { formatCount } from "./format.js"

const plural = (count: number, what: string): string => `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`

const showFleet = (fleet: Quota["fleet"]): void => {
  setText(byId("quota-used"), fleet === null ? "–" : formatCount(fleet.used))
  setText(byId("quota-of"), fleet?.limit == null ? "" : `of ${formatCount(fleet.limit)}`)
  setText(byId("quota-workers"), fleet === null ? "" : `by ${plural(fleet.workers, "worker")}`)
  setText(byId("quota-waiting"), fleet === null ? "" : `${formatCount(fleet.waiting)} in the fleet`)
}

/** The limit that the pool shares with others, if it has one. */
export const showQuota = ({ quota, stats }: Sample): void => {
  byId("quota").hidden = quota === undefined
  if (quota === undefined) return
  showFleet(quota.fleet)
  setText(byId("quota-held"), formatCount(quota.held))
  setText(byId("queued"), formatCount(stats.queued))
  setText(byId("quota-state"), quota.state)
  byId("quota-engine").dataset.any = String(quota.state === "unreachable" || quota.state === "lapsed")
}
