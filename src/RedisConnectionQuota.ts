/**
 * A quota that many processes share, whose engine is Redis or Valkey.
 *
 * The engine needs to run Lua scripts. The client is `ioredis` or `redis`, whichever the program has installed, or anything
 * that can send a command and subscribe to a channel.
 *
 * @since 3.0.0
 */
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import type * as Layer from "#effect/Layer"
import type { ConnectionQuota } from "./ConnectionQuota.js"
import * as clients from "./quota/redis/client.js"
import type { Ioredis, IoredisOptions } from "./quota/redis/ioredis.js"
import * as layers from "./quota/redis/layers.js"
import type { NodeRedis, NodeRedisOptions } from "./quota/redis/nodeRedis.js"
import type { RedisQuotaOptions } from "./quota/redis/options.js"

export type { Ioredis, IoredisOptions } from "./quota/redis/ioredis.js"
export type { NodeRedis, NodeRedisOptions } from "./quota/redis/nodeRedis.js"
export type { RedisQuotaOptions } from "./quota/redis/options.js"

/**
 * What a quota needs of a Redis client.
 *
 * @category models
 * @since 3.0.0
 */
export interface Client extends clients.Client {}

/**
 * The tag of a client, for `layer`.
 *
 * @category tags
 * @since 3.0.0
 */
export const Client: Context.Service<Client, Client> = clients.Client

/**
 * A quota on `ioredis`.
 *
 * **Details** `client` takes options, or a client, which its maker closes. The layer neither fails nor waits for an engine
 * that is down; its end takes at most `commandTimeout`.
 *
 * **Errors** `ConfigError` names every bad option, or says that `ioredis` is not installed.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ConnectionQuota } from "effect-websocket-pool"
 * import { NodeWebSocketPool } from "effect-websocket-pool/node"
 * import { RedisConnectionQuota } from "effect-websocket-pool/redis"
 *
 * const Quota = RedisConnectionQuota.layerIoredis({ name: "speech:eu", connections: 100, client: { host: "valkey" } })
 *
 * const Live = NodeWebSocketPool.layer({ url: "wss://speech.example", quota: ConnectionQuota.ConnectionQuota }).pipe(
 *   Layer.provide(Quota)
 * )
 * ```
 *
 * @category layers
 * @since 3.0.0
 */
export const layerIoredis: <Self = ConnectionQuota>(
  options: RedisQuotaOptions & { readonly client?: Ioredis | IoredisOptions | undefined },
  tag?: Context.Key<Self, ConnectionQuota>
) => Layer.Layer<Self, Config.ConfigError> = layers.layerIoredis

/**
 * A quota on `redis`; otherwise it is `layerIoredis`.
 *
 * **Errors** `ConfigError` names every bad option, or says that `redis` is not installed.
 *
 * @category layers
 * @since 3.0.0
 */
export const layerNodeRedis: <Self = ConnectionQuota>(
  options: RedisQuotaOptions & { readonly client?: NodeRedis | NodeRedisOptions | undefined },
  tag?: Context.Key<Self, ConnectionQuota>
) => Layer.Layer<Self, Config.ConfigError> = layers.layerNodeRedis

/**
 * A quota on any client: on the option `client`, or else on `Client` in the context.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @category layers
 * @since 3.0.0
 */
export const layer: {
  <Self = ConnectionQuota>(
    options: RedisQuotaOptions & { readonly client: Client },
    tag?: Context.Key<Self, ConnectionQuota>
  ): Layer.Layer<Self, Config.ConfigError>
  <Self = ConnectionQuota>(
    options: RedisQuotaOptions & { readonly client?: undefined },
    tag?: Context.Key<Self, ConnectionQuota>
  ): Layer.Layer<Self, Config.ConfigError, Client>
} = layers.layer
