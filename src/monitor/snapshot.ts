import * as Duration from "#effect/Duration"
import type { Settings } from "../options/decode.js"
import type { WebSocketPool } from "../pool/api.js"
import { inspect } from "../pool/service.js"
import { isPoolError } from "../values/errors.js"
import type { PoolStats } from "../values/stats.js"
import { describeError } from "./events.js"
import type { Snapshot } from "./wire.js"

/** Connections that are listed; of a pool that has more, the others are only counted. */
const connectionsListed = 500

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

export const snapshotOf = (
  pool: WebSocketPool,
  name: string | null,
  now: number,
  stats: PoolStats
): Snapshot<PoolStats> => {
  const inspection = inspect(pool)
  const connections = inspection?.connections()
  return {
    now,
    pool: name,
    stats,
    connections: connections?.slice(0, connectionsListed) ?? null,
    connectionsLeftOut: Math.max(0, (connections?.length ?? 0) - connectionsListed),
    options: inspection === undefined ? {} : optionsOf(inspection.settings)
  }
}

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
