import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import { badInput } from "../../options/problems.js"
import type { ConnectionQuota } from "../../values/quota.js"
import { quotaCalled } from "../options.js"
import { ConnectionQuota as defaultTag } from "../tag.js"
import { Client } from "./client.js"
import { type Ioredis, type IoredisOptions, ioredis } from "./ioredis.js"
import { make } from "./make.js"
import type { MissingClient } from "./missing.js"
import { type NodeRedis, type NodeRedisOptions, nodeRedis } from "./nodeRedis.js"
import { decodeRedisQuota, type RedisQuotaOptions } from "./options.js"

type Tag<Self> = Context.Key<Self, ConnectionQuota>

const layerOn =
  <Options extends RedisQuotaOptions, R>(
    connect: (options: Options) => Effect.Effect<Client, MissingClient, R | Scope.Scope>
  ) =>
  (options: Options, tag: Tag<unknown>): Layer.Layer<unknown, Config.ConfigError, Exclude<R, Scope.Scope>> =>
    Layer.effect(
      tag,
      Effect.flatMap(decodeRedisQuota(options), (settings) =>
        Effect.flatMap(
          Effect.catch(connect(options), ({ message }) => badInput(quotaCalled(settings.name), ["client"], message)),
          (client) => make(settings, client)
        )
      )
    ) as Layer.Layer<unknown, Config.ConfigError, Exclude<R, Scope.Scope>>

const onIoredis = layerOn(
  ({ client }: RedisQuotaOptions & { readonly client?: Ioredis | IoredisOptions | undefined }) => ioredis(client)
)

const onNodeRedis = layerOn(
  ({ client }: RedisQuotaOptions & { readonly client?: NodeRedis | NodeRedisOptions | undefined }) => nodeRedis(client)
)

const onAny = layerOn(({ client }: RedisQuotaOptions & { readonly client?: Client | undefined }) =>
  client === undefined ? Client : Effect.succeed(client)
)

export const layerIoredis = <Self = ConnectionQuota>(
  options: RedisQuotaOptions & { readonly client?: Ioredis | IoredisOptions | undefined },
  tag?: Tag<Self>
): Layer.Layer<Self, Config.ConfigError> =>
  onIoredis(options, (tag ?? defaultTag) as Tag<unknown>) as Layer.Layer<Self, Config.ConfigError>

export const layerNodeRedis = <Self = ConnectionQuota>(
  options: RedisQuotaOptions & { readonly client?: NodeRedis | NodeRedisOptions | undefined },
  tag?: Tag<Self>
): Layer.Layer<Self, Config.ConfigError> =>
  onNodeRedis(options, (tag ?? defaultTag) as Tag<unknown>) as Layer.Layer<Self, Config.ConfigError>

interface OnClient {
  <Self = ConnectionQuota>(
    options: RedisQuotaOptions & { readonly client: Client },
    tag?: Tag<Self>
  ): Layer.Layer<Self, Config.ConfigError>
  <Self = ConnectionQuota>(
    options: RedisQuotaOptions & { readonly client?: undefined },
    tag?: Tag<Self>
  ): Layer.Layer<Self, Config.ConfigError, Client>
}

export const layer: OnClient = <Self>(
  options: RedisQuotaOptions & { readonly client?: Client | undefined },
  tag?: Tag<Self>
): Layer.Layer<Self, Config.ConfigError, never> =>
  onAny(options, (tag ?? defaultTag) as Tag<unknown>) as Layer.Layer<Self, Config.ConfigError, never>
