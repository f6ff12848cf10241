/** Which charts there are. */
import { type Moment, type RequestCounts, states, type Time, times } from "../wire.js"
import { addChart, niceAbove, type Series } from "./charts.js"
import { formatCount, formatMillis } from "./format.js"

const peak = (moments: ReadonlyArray<Moment>, read: (moment: Moment) => number | null | undefined): number =>
  moments.reduce((most, moment) => Math.max(most, read(moment) ?? 0), 0)

const topOfStates = (moments: ReadonlyArray<Moment>): number => {
  const most = peak(moments, ({ counts }) => counts.total)
  const limit = peak(moments, ({ counts }) => counts.maxConnections)
  return niceAbove(Math.max(2, limit > 8 * most ? most * 1.5 : Math.max(limit, most)))
}

const ofRequests = (key: string, label: string, count: keyof RequestCounts): Series => ({
  key,
  label,
  read: ({ requests }) => requests?.[count] ?? null
})

export const addCharts = (): void => {
  addChart({
    id: "states",
    series: states.map((state) => ({ key: state, label: state, read: ({ counts }) => counts[state] })),
    isStacked: true,
    limit: { key: "limit", label: "limit", read: ({ counts }) => counts.maxConnections },
    top: topOfStates,
    format: formatCount
  })
  addChart({
    id: "waiters",
    series: [{ key: "waiting", label: "waiting", read: ({ counts }) => counts.waiting }],
    isStacked: true,
    top: (moments) =>
      niceAbove(
        Math.max(
          4,
          peak(moments, ({ counts }) => counts.waiting)
        )
      ),
    format: formatCount
  })
  const requests = [
    ofRequests("busy", "in flight", "inFlight"),
    ofRequests("connecting", "streams", "streams"),
    ofRequests("waiting", "abandoned", "abandoned")
  ]
  addChart({
    id: "carried",
    series: requests,
    top: (moments) => niceAbove(Math.max(4, ...requests.map(({ read }) => peak(moments, read)))),
    format: formatCount
  })
  const ongoing: { readonly [T in Time]?: Series } = {
    waited: { key: "now", label: "still waiting", read: ({ ongoing }) => ongoing.longestWait },
    held: { key: "now", label: "oldest now", read: ({ ongoing }) => ongoing.oldestLease }
  }
  for (const time of times) {
    const now = ongoing[time]
    addChart({
      id: time,
      series: [
        { key: "median", label: "p50", read: ({ times }) => times[time]?.p50 ?? null },
        { key: "tail", label: "p99", read: ({ times }) => times[time]?.p99 ?? null },
        ...(now === undefined ? [] : [now])
      ],
      top: (moments) =>
        niceAbove(
          Math.max(
            10,
            peak(moments, ({ times }) => times[time]?.p99),
            now === undefined ? 0 : peak(moments, now.read)
          )
        ),
      format: formatMillis,
      isTime: true
    })
  }
}
