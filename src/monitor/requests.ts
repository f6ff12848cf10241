/** Requests that share the connections of a pool. */
import type { Sharer } from "../pool/backstage.js"
import type { ConnectionRequests, Requests } from "./wire.js"

/** Those of all who share the connections out, and those on each connection, by its id. */
export interface Shared {
  readonly requests: Requests
  readonly byConnection: ReadonlyMap<string, ConnectionRequests>
}

/** `undefined` of a pool whose connections nobody shares out. */
export const sharedOf = (sharers: ReadonlySet<Sharer> | undefined): Shared | undefined => {
  if (sharers === undefined || sharers.size === 0) return undefined
  const requests = { inFlight: 0, abandoned: 0, streams: 0, waiting: 0, cancelled: 0, lagged: 0, unmatched: 0 }
  const byConnection = new Map<string, ConnectionRequests>()
  for (const { connections, tally, waiting } of sharers) {
    requests.waiting += waiting()
    requests.cancelled += tally.cancelled
    requests.lagged += tally.lagged
    requests.unmatched += tally.unmatched
    for (const { connectionId, ...carried } of connections()) {
      requests.inFlight += carried.inFlight
      requests.abandoned += carried.abandoned
      requests.streams += carried.streams
      byConnection.set(connectionId, carried)
    }
  }
  return { requests, byConnection }
}
