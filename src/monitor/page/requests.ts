import type { Sample } from "../wire.js"
import { byId, setText } from "./dom.js"
import { formatCount } from "./format.js"
import { changeOver } from "./moments.js"

/** Over how long what was not read in time counts as what happens now. */
const recent = 60_000

/** Requests that share connections of the pool, if any do. */
export const showRequests = ({ requests }: Sample): void => {
  const isShared = requests !== undefined
  byId("requests").hidden = !isShared
  byId("carried").hidden = !isShared
  byId("connections").dataset.requests = String(isShared)
  if (!isShared) return
  setText(byId("in-flight"), formatCount(requests.inFlight))
  setText(
    byId("requests-waiting"),
    requests.waiting === 0 ? "" : `${formatCount(requests.waiting)} waiting for a place`
  )
  setText(byId("abandoned"), formatCount(requests.abandoned))
  setText(byId("cancelled"), `${formatCount(requests.cancelled)} cancelled`)
  setText(byId("streams"), formatCount(requests.streams))
  setText(byId("lagged"), formatCount(requests.lagged))
  setText(byId("unmatched"), `${formatCount(requests.unmatched)} unmatched`)
  byId("lag").dataset.any = String(changeOver(recent, ({ requests }) => requests?.lagged ?? 0) > 0)
}
