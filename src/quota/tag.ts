import { makeTag, type TagClass as PlainTagClass } from "#dialect"
import type * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import type * as Layer from "#effect/Layer"
import type * as quota from "../values/quota.js"
import { layer } from "./memory.js"
import type { QuotaOptions } from "./options.js"

export const ConnectionQuota: Context.Service<quota.ConnectionQuota, quota.ConnectionQuota> =
  Context.Service<quota.ConnectionQuota>("effect-websocket-pool/ConnectionQuota")

/**
 * A tag with a layer of its own: see `Tag`.
 *
 * @category tags
 * @since 3.0.0
 */
export interface TagClass<Self, Id extends string> extends PlainTagClass<Self, quota.ConnectionQuota, Id> {
  /** A quota of this process: see `layerMemory`. */
  readonly layerMemory: (options: QuotaOptions) => Layer.Layer<Self, Config.ConfigError>
}

export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> =
  <const Id extends string>(id: Id) =>
  <Self>() => {
    const tag = makeTag<Self, quota.ConnectionQuota, Id>(id)
    return Object.assign(tag, { layerMemory: layer(tag) })
  }
