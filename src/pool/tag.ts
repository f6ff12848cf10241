import { makeTag, type TagClass as PlainTagClass } from "#dialect"
import type * as Config from "#effect/Config"
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type * as Types from "#effect/Types"
import type { WebSocketConnection } from "../connection/handle.js"
import type { Options, OptionsConfig } from "../options/options.js"
import type { WebSocketTransport } from "../transport/seam.js"
import type { AcquireError, ConnectionError, ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import type { PoolEvent } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { PoolStats } from "../values/stats.js"
import * as accessors from "./accessors.js"
import type { WebSocketPool } from "./api.js"

/**
 * A tag with accessors of its own: see `Tag`.
 *
 * @category tags
 * @since 0.1.0
 */
export interface TagClass<Self, Id extends string> extends PlainTagClass<Self, WebSocketPool, Id> {
  /** `get` of this pool. */
  readonly get: Effect.Effect<WebSocketConnection, AcquireError, Self | Scope.Scope>
  /** `getNew` of this pool. */
  readonly getNew: Effect.Effect<WebSocketConnection, AcquireError, Self | Scope.Scope>
  /** `use` of this pool. */
  readonly use: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R | Self>
  /** `useNew` of this pool. */
  readonly useNew: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R | Self>
  /** `ask` of this pool. */
  readonly ask: (message: Message) => Effect.Effect<Message, AcquireError | ConnectionError, Self>
  /** `stats` of this pool. */
  readonly stats: Effect.Effect<PoolStats, never, Self>
  /** `events` of this pool. */
  readonly events: Stream.Stream<PoolEvent, never, Self>
  /** `ready` of this pool. */
  readonly ready: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError, Self>
  /** `resize` of this pool. */
  readonly resize: (limits: {
    readonly minConnections?: number | undefined
    readonly maxConnections?: number | undefined
  }) => Effect.Effect<void, Config.ConfigError, Self>
  /** `refresh` of this pool. */
  readonly refresh: Effect.Effect<void, never, Self>
  /** `close` of this pool. */
  readonly close: Effect.Effect<void, never, Self>
  /** Makes this pool: see `layer`. */
  readonly layer: <
    RUrl = never,
    RHeaders = never,
    ROnConnect = never,
    RHealthCheck = never,
    ROnRelease = never,
    RQuota = never
  >(
    options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
  ) => Layer.Layer<
    Self,
    Config.ConfigError,
    | WebSocketTransport
    | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
  >
  /** Makes this pool with options from `Config`: see `layerConfig`. */
  readonly layerConfig: <
    RUrl = never,
    RHeaders = never,
    ROnConnect = never,
    RHealthCheck = never,
    ROnRelease = never,
    RQuota = never
  >(
    options: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
  ) => Layer.Layer<
    Self,
    Config.ConfigError,
    | WebSocketTransport
    | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
  >
}

/**
 * Makes a tag, for programs with several pools. It has accessors and layers of its own.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * class Hearing extends WebSocketPool.Tag("Hearing")<Hearing>() {}
 * class Speech extends WebSocketPool.Tag("Speech")<Speech>() {}
 *
 * const Pools = Layer.mergeAll(
 *   Hearing.layer({ url: "ws://hearing.test" }),
 *   Speech.layer({ url: "ws://speech.test" })
 * ).pipe(Layer.provide(WebSocketTransport.layerMemory((peer) => Effect.andThen(peer.receive, peer.send(peer.url)))))
 *
 * const program = Speech.use((connection) => Effect.andThen(connection.send("?"), connection.receive))
 *
 * Effect.runPromise(Effect.provide(program, Pools)).then((answer) => {
 *   console.log(answer) // ws://speech.test/
 * })
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> =
  <const Id extends string>(id: Id) =>
  <Self>(): TagClass<Self, Id> => {
    const tag = makeTag<Self, WebSocketPool, Id>(id)
    return Object.assign(tag, {
      get: accessors.get(tag),
      getNew: accessors.getNew(tag),
      use: accessors.use(tag),
      useNew: accessors.useNew(tag),
      ask: accessors.ask(tag),
      stats: accessors.stats(tag),
      events: accessors.events(tag),
      ready: accessors.ready(tag),
      resize: accessors.resize(tag),
      refresh: accessors.refresh(tag),
      close: accessors.close(tag),
      layer: accessors.layer(tag, id),
      layerConfig: accessors.layerConfig(tag, id)
    })
  }
