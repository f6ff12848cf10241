/**
 * What goes over the wire from the monitor to its page. The page is compiled against these types, so they name nothing
 * that only a server has.
 */

/** Whether an event belongs to the routine of leases, means trouble, or is neither. */
export type EventKind = "routine" | "failure" | "other"

/** One event, or several alike: a line of the table of events. */
export interface EventRow {
  /** When the latest happened, in milliseconds since the epoch. */
  readonly at: number
  /** When the first happened. */
  readonly since: number
  /** How many there were. */
  readonly count: number
  readonly kind: EventKind
  readonly tag: string
  /** Of the latest. */
  readonly connectionId: string
  /** Of the latest. */
  readonly detail: string
  /** Events of one group that follow each other closely share a line. */
  readonly group: string
}

/** How often something took so many milliseconds. */
export type Histogram = ReadonlyArray<readonly [millis: number, count: number]>

/** What is timed: the wait for a lease, the lease, and the opening of a connection. */
export const times = ["waited", "held", "connecting"] as const

export type Time = (typeof times)[number]

export type Latencies = { readonly [T in Time]: Histogram }

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** The states of a connection that a chart shows, from the bottom up. */
export const states = ["busy", "draining", "connecting", "closing", "idle"] as const

export type State = (typeof states)[number]

/** What a moment tells of what is not over yet. */
export const ongoing = ["oldestLease", "longestWait"] as const

export type Ongoing = (typeof ongoing)[number]

/** Counts of a moment, all of which a recording keeps, and a page draws. */
export const counts = [...states, "waiting", "total", "maxConnections", "acquired", "opened", "exhausted"] as const

export type Counts = { readonly [C in (typeof counts)[number]]: number }

/** What a moment tells of requests that share connections. */
export const requestCounts = ["inFlight", "abandoned", "streams", "lagged"] as const

export type RequestCounts = { readonly [C in (typeof requestCounts)[number]]: number }

/** A moment that a page draws. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly counts: Counts
  /** Events that told of a failure since the moment before. */
  readonly failures: number
  /** Connections lost since the start: the server, the network or a failed check ended them. */
  readonly lost: number
  /** Of the last thirty seconds; `null` if there was nothing to time. */
  readonly times: { readonly [T in Time]: Percentiles | null }
  /** What was not over at that moment, in milliseconds: the oldest lease, and the longest wait. */
  readonly ongoing: { readonly [O in Ongoing]: number | null }
  /** `null` if nobody shared connections out at that moment. */
  readonly requests: RequestCounts | null
}

/** What happened before a page was opened, as far as it was recorded. */
export interface History {
  readonly moments: ReadonlyArray<Moment>
  /** The latencies of the last thirty seconds, which percentiles go on from. */
  readonly latencies: ReadonlyArray<{ readonly at: number; readonly latencies: Latencies }>
  /** Without the routine of leases; the oldest first. */
  readonly events: ReadonlyArray<EventRow>
}

/** How often something happened, by reason. */
export type ByReason = Readonly<Record<string, number>>

/** A lease that is out; times are in milliseconds. */
export interface Lease {
  readonly connectionId: string
  readonly held: number
  /** For how long, at most that, no message came. */
  readonly quietFor: number
  readonly span?: string | undefined
}

/** A server that cannot be reached. */
export interface Outage {
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly attempts: number
  /** What the latest attempt failed with. */
  readonly lastFailure: string
}

/** `PoolStats`, as the page reads it: what another implementation cannot tell is missing. */
export interface Stats extends Counts {
  readonly state: "open" | "closing" | "closed"
  readonly minConnections: number
  /** Connections that wait for a permit of the quota. */
  readonly queued: number
  readonly oldestLease?: Lease | undefined
  readonly longestWait?: number | undefined
  readonly closedBy?: ByReason | undefined
  readonly outage?: Outage | undefined
}

/** Why connections end that nobody wanted to end. */
export const losses = ["Remote", "Unhealthy", "Protocol", "DrainTimeout"] as const

export const lostOf = (closedBy: ByReason | undefined): number =>
  losses.reduce((sum, reason) => sum + (closedBy?.[reason] ?? 0), 0)

/** How many leases were taken in a span; `null` stands for none. */
export interface Holder {
  readonly span: string | null
  readonly leases: number
}

/** What a connection carries that requests share. */
export interface ConnectionRequests {
  /** Those that somebody waits for, streams included. */
  readonly inFlight: number
  /** How many it carries at most, abandoned ones included. */
  readonly concurrency: number
  readonly abandoned: number
  readonly streams: number
}

/** `ConnectionInfo`, as far as the page reads it. */
export interface Connection {
  readonly id: string
  readonly state: State | "closed"
  readonly isRetiring: boolean
  readonly openedAt: number
  readonly lastActivityAt: number
  readonly leases: number
  readonly messagesSent: number
  readonly messagesReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Only of one that requests share now. */
  readonly requests?: ConnectionRequests
}

/** Requests that share the connections of a pool. */
export interface Requests extends RequestCounts {
  /** Requests without a connection. */
  readonly waiting: number
  // Since those began who share the connections out; `lagged` is one of them, too.
  /** Requests given up after the socket had taken them. */
  readonly cancelled: number
  /** Answers that nobody waited for. */
  readonly unmatched: number
}

/** The quota of a pool, as far as its process knows: nobody is asked for a page. */
export interface Quota {
  /** How the process stands with the engine. */
  readonly state: "connected" | "recovering" | "unreachable" | "lapsed"
  /** Permits that the process holds. */
  readonly held: number
  /** All who share it, as of the latest answer of the engine; `null` before the first. */
  readonly fleet: {
    readonly used: number
    /** `null` if there is no limit. */
    readonly limit: number | null
    readonly workers: number
    readonly waiting: number
  } | null
}

/** How one of several pools is doing. */
export interface Overview {
  readonly name: string
  readonly state: Stats["state"]
  readonly busy: number
  readonly maxConnections: number
  readonly waiting: number
  /** Whether the server cannot be reached. */
  readonly isOut: boolean
}

/** How a pool is doing now, in detail. `S` is `PoolStats` before it has become JSON. */
export interface Snapshot<S = Stats> {
  /** Milliseconds since the epoch, by the server's clock. */
  readonly now: number
  /** `null` if the pool is an implementation that has no name. */
  readonly pool: string | null
  readonly stats: S
  /** `null` if the pool is an implementation that cannot be asked. */
  readonly connections: ReadonlyArray<Connection> | null
  /** How many connections are not listed, because there are too many. */
  readonly connectionsLeftOut: number
  /** The leases that are out, the oldest first; `null` as with `connections`. */
  readonly leases: ReadonlyArray<Lease> | null
  /** How many leases are not listed. */
  readonly leasesLeftOut: number
  /** All of them by the span in which they were taken, the most first. */
  readonly holders: ReadonlyArray<Holder>
  /** Attempts to connect that failed, and `get`s that got nothing, since the start, by reason. */
  readonly failedBy: ByReason
  readonly lostGetsBy: ByReason
  /** In milliseconds; `null` if leases may be held for ever. */
  readonly leakThreshold: number | null
  /** The options in force, as they are to be read. */
  readonly options: Readonly<Record<string, string>>
  /** Only of a pool that has one. */
  readonly quota?: Quota
  /** Only of one whose connections requests share. */
  readonly requests?: Requests
}

/** What a page gets every half second. */
export interface Sample<S = Stats> extends Snapshot<S> {
  readonly latencies: Latencies
  /** The latest hundred of the routine, and of everything else; the oldest first. */
  readonly events: ReadonlyArray<EventRow>
  /** How many events told of a failure, those that are not among `events` included. */
  readonly failures: number
  /** Every pool of the page, if there are several. */
  readonly pools: ReadonlyArray<Overview>
  /** Only in the first sample of a stream. */
  readonly history?: History
}
