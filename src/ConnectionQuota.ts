/**
 * A limit of connections that several pools share, most often pools in many processes.
 *
 * `maxConnections` limits one pool. A quota limits an account, a key or an address: how many connections the fleet may
 * have together, and how many it may open in a while. `layerMemory` is for one process; `RedisConnectionQuota` is for
 * many.
 *
 * @since 3.0.0
 */
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import type * as Layer from "#effect/Layer"
import * as memory from "./quota/memory.js"
import type { QuotaOptions } from "./quota/options.js"
import * as tag from "./quota/tag.js"
import type { ConnectionQuota as Quota } from "./values/quota.js"

export type { QuotaOptions } from "./quota/options.js"
export type { TagClass } from "./quota/tag.js"
export { QuotaUnavailableError } from "./values/errors.js"
export type {
  ConnectsLimit,
  QuotaLimits,
  QuotaMember,
  QuotaPermit,
  QuotaShare,
  QuotaUrgency
} from "./values/quota.js"
export type { QuotaEvent } from "./values/quotaEvents.js"
export type { QuotaLocalStats, QuotaState, QuotaStats } from "./values/quotaStats.js"
export type { QuotaFailureReason } from "./values/reasons.js"

/**
 * A limit that several pools share.
 *
 * @category models
 * @since 3.0.0
 */
export interface ConnectionQuota extends Quota {}

/**
 * The tag of the quota, for programs that have one.
 *
 * @category tags
 * @since 3.0.0
 */
export const ConnectionQuota: Context.Service<ConnectionQuota, ConnectionQuota> = tag.ConnectionQuota

/**
 * A quota of this process, for several pools: the default where there is no engine, and for tests.
 *
 * **Details** Each pool is a worker of its own: the pool that holds least comes first. All of it is on the `Clock`.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ConnectionQuota, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * class Hearing extends WebSocketPool.Tag("Hearing")<Hearing>() {}
 * class Speech extends WebSocketPool.Tag("Speech")<Speech>() {}
 *
 * const quota = ConnectionQuota.ConnectionQuota
 *
 * const Pools = Layer.mergeAll(
 *   Hearing.layer({ url: "ws://hearing.test", quota }),
 *   Speech.layer({ url: "ws://speech.test", quota })
 * ).pipe(
 *   Layer.provideMerge(ConnectionQuota.layerMemory({ name: "account", connections: 3 })),
 *   Layer.provide(WebSocketTransport.layerMemory((peer) => peer.receive))
 * )
 *
 * const program = Effect.gen(function* () {
 *   yield* Hearing.get
 *   yield* Speech.get
 *   const { limit, used } = yield* Effect.flatMap(quota, ({ stats }) => stats)
 *   console.log(`${used} of ${limit}`) // 2 of 3
 * }).pipe(Effect.scoped, Effect.provide(Pools))
 *
 * Effect.runPromise(program)
 * ```
 *
 * @category layers
 * @since 3.0.0
 */
export const layerMemory: (options: QuotaOptions) => Layer.Layer<ConnectionQuota, Config.ConfigError> = memory.layer(
  tag.ConnectionQuota
)

/**
 * Makes a tag, for programs with several quotas.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
 *
 * class Account extends ConnectionQuota.Tag("Account")<Account>() {}
 *
 * const Live = WebSocketPool.layer({ url: "wss://speech.example", quota: Account }).pipe(
 *   Layer.provide(Account.layerMemory({ name: "speech:eu", connections: 100 }))
 * )
 * ```
 *
 * @category tags
 * @since 3.0.0
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => tag.TagClass<Self, Id> = tag.Tag
