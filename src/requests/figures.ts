/** What a multiplexer keeps, summed up for whoever asks. */
import type { ConnectionLoad, Load, Sharer } from "../pool/backstage.js"
import type { MultiplexerStats } from "./api.js"
import type { Estate } from "./home.js"
import type { Session } from "./session.js"

const loadOf = <Request, Item, E>({ abandoned, calls }: Session<Request, Item, E>): Load => {
  let streams = 0
  for (const { isAbandoned, isStream } of calls.values()) if (isStream && !isAbandoned) streams += 1
  return { inFlight: calls.size - abandoned, abandoned, streams }
}

const waitingAt = <Request, Item, E>({ homes }: Estate<Request, Item, E>): number => {
  let waiting = 0
  for (const { core } of homes) waiting += core.waiting
  return waiting
}

export const statsOf = <Request, Item, E>(estate: Estate<Request, Item, E>): MultiplexerStats => {
  const now = { connections: 0, retiring: 0, inFlight: 0, abandoned: 0, streams: 0 }
  for (const { sessions } of estate.homes) {
    for (const session of sessions) {
      const { abandoned, inFlight, streams } = loadOf(session)
      now.connections += 1
      if (session.state === "retiring") now.retiring += 1
      now.inFlight += inFlight
      now.abandoned += abandoned
      now.streams += streams
    }
  }
  const { answers, cancelled, lagged, notices, requests, resent, unmatched } = estate.tally
  const waiting = waitingAt(estate)
  return { ...now, waiting, requests, answers, cancelled, unmatched, notices, lagged, resent }
}

/** The same for those who look into the pool. */
export const sharerOf = <Request, Item, E>(estate: Estate<Request, Item, E>): Sharer => ({
  connections: () =>
    Array.from(estate.homes).flatMap(({ concurrency, sessions }) =>
      sessions.map((session): ConnectionLoad => ({ connectionId: session.tenancy.id, concurrency, ...loadOf(session) }))
    ),
  waiting: () => waitingAt(estate),
  tally: estate.tally
})
