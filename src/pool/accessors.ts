import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import type { WebSocketConnection } from "../connection/handle.js"
import { callFrom, type Site, siteOfAccessor } from "../observe/leakSites.js"
import { decodeConfig } from "../options/config.js"
import { decode } from "../options/decode.js"
import type { Options, OptionsConfig } from "../options/options.js"
import type { WebSocketTransport } from "../transport/seam.js"
import type { AcquireError, ConnectionError, ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import type { PoolEvent } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { PoolStats } from "../values/stats.js"
import type { WebSocketPool } from "./api.js"
import { make as makePool } from "./service.js"

type PoolTag<Self> = Context.Key<Self, WebSocketPool>

type LimitsInput = Parameters<WebSocketPool["resize"]>[0]

type Use<Self> = <A, E, R>(
  f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | AcquireError, R | Self>

export const get = <Self>(tag: PoolTag<Self>): Effect.Effect<WebSocketConnection, AcquireError, Self | Scope.Scope> =>
  located(tag, (pool) => pool.get)

export const getNew = <Self>(
  tag: PoolTag<Self>
): Effect.Effect<WebSocketConnection, AcquireError, Self | Scope.Scope> => located(tag, (pool) => pool.getNew)

export const use =
  <Self>(tag: PoolTag<Self>): Use<Self> =>
  (f) => {
    const site = siteOfAccessor(1)
    return onBehalfOf(site, tag, (pool) => pool.use(f))
  }

export const useNew =
  <Self>(tag: PoolTag<Self>): Use<Self> =>
  (f) => {
    const site = siteOfAccessor(1)
    return onBehalfOf(site, tag, (pool) => pool.useNew(f))
  }

type Ask<Self> = (message: Message) => Effect.Effect<Message, AcquireError | ConnectionError, Self>

export const ask =
  <Self>(tag: PoolTag<Self>): Ask<Self> =>
  (message) => {
    const site = siteOfAccessor(1)
    return onBehalfOf(site, tag, (pool) => pool.ask(message))
  }

const onBehalfOf = <Self, A, E, R>(
  site: Site | undefined,
  tag: PoolTag<Self>,
  call: (pool: WebSocketPool) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Self> =>
  Effect.flatMap(tag, site === undefined ? call : (pool) => callFrom(site, () => call(pool)))

/** A constant effect, which sees who yields it: a generator asks it for its iterator, in the step that yields it. */
const located = <Self, A, E, R>(
  tag: PoolTag<Self>,
  call: (pool: WebSocketPool) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Self> => {
  const effect: Effect.Effect<A, E, R | Self> = Effect.flatMap(tag, call)
  const plain = effect[Symbol.iterator]
  return Object.defineProperty(effect, Symbol.iterator, {
    value: () => {
      const site = siteOfAccessor(1)
      return site === undefined ? plain.call(effect) : onBehalfOf(site, tag, call)[Symbol.iterator]()
    }
  })
}

export const stats = <Self>(tag: PoolTag<Self>): Effect.Effect<PoolStats, never, Self> =>
  Effect.flatMap(tag, (pool) => pool.stats)

export const events = <Self>(tag: PoolTag<Self>): Stream.Stream<PoolEvent, never, Self> =>
  Stream.unwrap(Effect.map(tag, (pool) => pool.events))

export const ready = <Self>(
  tag: PoolTag<Self>
): Effect.Effect<void, ConnectionUnavailableError | PoolClosedError, Self> => Effect.flatMap(tag, (pool) => pool.ready)

export const resize =
  <Self>(tag: PoolTag<Self>) =>
  (limits: LimitsInput): Effect.Effect<void, Config.ConfigError, Self> =>
    Effect.flatMap(tag, (pool) => pool.resize(limits))

export const refresh = <Self>(tag: PoolTag<Self>): Effect.Effect<void, never, Self> =>
  Effect.flatMap(tag, (pool) => pool.refresh)

export const close = <Self>(tag: PoolTag<Self>): Effect.Effect<void, never, Self> =>
  Effect.flatMap(tag, (pool) => pool.close)

export const make = <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
): Effect.Effect<
  WebSocketPool,
  Config.ConfigError,
  | Scope.Scope
  | WebSocketTransport
  | Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota, Scope.Scope>
> => makePool(decode(options))

export const layer =
  <Self>(tag: PoolTag<Self>, id?: string) =>
  <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never, RQuota = never>(
    options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
  ): Layer.Layer<
    Self,
    Config.ConfigError,
    WebSocketTransport | Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota, Scope.Scope>
  > =>
    Layer.effect(tag, makePool(decode(options, id)))

export const layerConfig =
  <Self>(tag: PoolTag<Self>, id?: string) =>
  <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never, RQuota = never>(
    options: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
  ): Layer.Layer<
    Self,
    Config.ConfigError,
    WebSocketTransport | Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota, Scope.Scope>
  > =>
    Layer.effect(tag, makePool(decodeConfig(options, id)))
