import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type { Settings } from "../options/decode.js"
import type { WebSocketPool } from "../pool/api.js"
import { type Inspection, inspect } from "../pool/service.js"
import { isPoolError } from "../values/errors.js"
import type { QuotaLocalStats, QuotaStats } from "../values/quotaStats.js"
import type { OldestLease, PoolStats } from "../values/stats.js"
import { describeError, shortened } from "./events.js"
import { type Shared, sharedOf } from "./requests.js"
import type { ByReason, Connection, Holder, Lease, Quota, Snapshot } from "./wire.js"

/** Connections that are listed; of a pool that has more, the others are only counted. So it is with leases and their spans. */
const connectionsListed = 500
const leasesListed = 100
const holdersListed = 10

/** Characters of a span's name that are shown. */
const longestSpan = 200

/** What pools are called: of several that share a name, each gets a number. One that has no name is `null` if it is alone. */
export const namesOf = (pools: ReadonlyArray<WebSocketPool>): ReadonlyArray<string | null> => {
  const own = pools.map((pool) => inspect(pool)?.settings.name ?? null)
  if (pools.length === 1) return own
  const names = own.map((name) => name ?? "WebSocket pool")
  return names.map((name, index) => {
    const nth = names.slice(0, index + 1).filter((other) => other === name).length
    return names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${nth})`
  })
}

/** A pool at a time. A quota of somebody else's making that cannot tell is left out. */
export const snapshotOf = (
  pool: WebSocketPool,
  name: string | null,
  now: () => number
): Effect.Effect<Snapshot<PoolStats>> =>
  Effect.flatMap(pool.stats, (stats) => {
    const quota = inspect(pool)?.quota
    if (quota === undefined) return Effect.succeed(pictureOf(pool, name, now(), stats))
    return Effect.matchCause(
      Effect.map(quota.local, (local) => quotaOf(local, quota.known())),
      {
        onFailure: () => pictureOf(pool, name, now(), stats),
        onSuccess: (quota) => ({ ...pictureOf(pool, name, now(), stats), quota })
      }
    )
  })

const quotaOf = ({ held, state }: QuotaLocalStats, known: QuotaStats | undefined): Quota => {
  if (known === undefined) return { state, held, fleet: null }
  const { limit, used, waiting, workers } = known
  return { state, held, fleet: { used, limit: limit === Number.POSITIVE_INFINITY ? null : limit, workers, waiting } }
}

const pictureOf = (pool: WebSocketPool, name: string | null, now: number, stats: PoolStats): Snapshot<PoolStats> => {
  const inspection = inspect(pool)
  const connections = inspection?.connections()
  const shared = sharedOf(inspection?.sharers)
  const leases = inspection?.leases()
  const leakThreshold = inspection?.settings.leakThreshold
  return {
    now,
    pool: name,
    stats,
    connections: connections?.slice(0, connectionsListed).map((one) => withRequests(one, shared)) ?? null,
    connectionsLeftOut: Math.max(0, (connections?.length ?? 0) - connectionsListed),
    leases: leases?.slice(0, leasesListed).map(wireLease) ?? null,
    leasesLeftOut: Math.max(0, (leases?.length ?? 0) - leasesListed),
    holders: holdersOf(leases ?? []).slice(0, holdersListed),
    failedBy: { ...inspection?.failures.failedBy },
    lostGetsBy: inspection === undefined ? {} : lostGetsOf(inspection.failures),
    leakThreshold: leakThreshold === undefined || leakThreshold === Number.POSITIVE_INFINITY ? null : leakThreshold,
    options: inspection === undefined ? {} : optionsOf(inspection.settings),
    ...(shared && { requests: shared.requests })
  }
}

const withRequests = (connection: Connection, shared: Shared | undefined): Connection => {
  const requests = shared?.byConnection.get(connection.id)
  return requests === undefined ? connection : { ...connection, requests }
}

const wireLease = ({ connectionId, held, quietFor, span }: OldestLease): Lease => ({
  connectionId,
  held: Duration.toMillis(held),
  quietFor: Duration.toMillis(quietFor),
  ...(span === undefined ? {} : { span: shortened(span, longestSpan) })
})

const holdersOf = (leases: ReadonlyArray<OldestLease>): ReadonlyArray<Holder> => {
  const bySpan = new Map<string | undefined, number>()
  for (const { span } of leases) bySpan.set(span, (bySpan.get(span) ?? 0) + 1)
  return Array.from(bySpan, ([span, leases]) => ({
    span: span === undefined ? null : shortened(span, longestSpan),
    leases
  })).sort((a, b) => b.leases - a.leases)
}

/** Those that found the pool exhausted, those that failed for another reason, and those that were interrupted. */
const lostGetsOf = ({ exhaustedBy, lostWaits }: Inspection["failures"]): ByReason => ({
  ...exhaustedBy,
  Unavailable: Math.max(0, lostWaits.Failed - exhaustedBy.AcquireTimeout - exhaustedBy.TooManyWaiters),
  Interrupted: lostWaits.Interrupted
})

const duration = (millis: number): string =>
  millis === Number.POSITIVE_INFINITY ? "off" : Duration.format(Duration.millis(millis))

const bytes = (count: number): string =>
  count >= 1024 * 1024 ? `${Number((count / 1024 / 1024).toFixed(2))} MiB` : `${Number((count / 1024).toFixed(2))} KiB`

const given = (option: unknown): string => (option === undefined ? "none" : "given")

/** Numbers, and whether there is a hook: what an option holds besides may be a secret. */
const optionsOf = (settings: Settings): Readonly<Record<string, string>> => ({
  acquireTimeout: duration(settings.acquireTimeout),
  maxWaiters: settings.maxWaiters === Number.POSITIVE_INFINITY ? "unlimited" : String(settings.maxWaiters),
  connectTimeout: duration(Duration.toMillis(settings.connectTimeout)),
  idleTimeout: duration(settings.idleTimeout),
  connectionTTL: duration(settings.connectionTTL),
  pingInterval: duration(settings.pingInterval),
  pingTimeout: duration(settings.pingTimeout),
  validateAfterIdle: duration(settings.validateAfterIdle),
  healthCheck: given(settings.healthCheck),
  onConnect: given(settings.onConnect),
  onRelease: given(settings.onRelease),
  drain:
    settings.drain === undefined
      ? "off"
      : `quiet for ${duration(settings.drain.quietPeriod)}, within ${duration(settings.drain.timeout)}`,
  receiveBuffer: bytes(settings.receiveBuffer),
  sendBuffer: bytes(settings.sendBuffer),
  maxPayload: bytes(settings.maxPayload),
  leakThreshold: duration(settings.leakThreshold),
  shutdownTimeout: duration(settings.shutdownTimeout),
  closeTimeout: duration(settings.closeTimeout)
})

/** Durations as milliseconds, and errors as what they say of themselves: their causes are nobody's business here. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, shown) {
    const raw = this[key]
    if (Duration.isDuration(raw)) return Duration.toMillis(raw)
    return isPoolError(raw) ? describeError(raw) : shown
  })
