/**
 * A pool of WebSocket connections.
 *
 * @since 0.1.0
 */
import type * as Config from "#effect/Config"
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type * as Types from "#effect/Types"
import type { Options, OptionsConfig } from "./options/options.js"
import type { AcquireError, ConnectionError, ConnectionUnavailableError, PoolClosedError } from "./PoolError.js"
import type { PoolEvent } from "./PoolEvent.js"
import type { PoolStats } from "./PoolStats.js"
import * as accessors from "./pool/accessors.js"
import { WebSocketPool } from "./pool/api.js"
import type { WebSocketConnection } from "./WebSocketConnection.js"
import type { Message, WebSocketTransport } from "./WebSocketTransport.js"

export type { DrainOptions, HeadersInput, Options, OptionsConfig, UrlInput } from "./options/options.js"
export type {
  /**
   * @category models
   * @since 0.1.0
   */
  PoolStats
} from "./PoolStats.js"

export { WebSocketPool } from "./pool/api.js"
export { Tag, type TagClass } from "./pool/tag.js"

/**
 * Makes a pool that lives as long as the current `Scope`.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* WebSocketPool.make({ url: "ws://echo.test", minConnections: 2 })
 *   yield* pool.ready
 *   const { idle, total } = yield* pool.stats
 *   console.log(`${idle} of ${total} idle`) // 2 of 2 idle
 * }).pipe(Effect.scoped, Effect.provide(WebSocketTransport.layerMemory((peer) => peer.receive)))
 *
 * Effect.runPromise(program)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
) => Effect.Effect<
  WebSocketPool,
  Config.ConfigError,
  | Scope.Scope
  | WebSocketTransport
  | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
> = accessors.make

/**
 * Makes a pool that lives as long as the layer.
 *
 * **Details** It requires a `WebSocketTransport`; `NodeWebSocketPool.layer` brings one.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * **Gotchas** Put `Effect.scoped` inside of `Effect.provide`: a lease whose scope is wider than the layer makes
 * closing the pool take `shutdownTimeout`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * // A server in the same process: it sends back what it gets.
 * const Echo = WebSocketTransport.layerMemory((peer) =>
 *   Effect.forever(Effect.flatMap(peer.receive, peer.send))
 * )
 *
 * const Live = WebSocketPool.layer({ url: "ws://echo.test", maxConnections: 10 }).pipe(Layer.provide(Echo))
 *
 * const program = WebSocketPool.use((connection) => Effect.andThen(connection.send("hello"), connection.receive))
 *
 * Effect.runPromise(Effect.provide(program, Live)).then((answer) => {
 *   console.log(answer) // hello
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
) => Layer.Layer<
  WebSocketPool,
  Config.ConfigError,
  | WebSocketTransport
  | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
> = accessors.layer(WebSocketPool)

/**
 * Makes a pool with options from `Config`; otherwise it is `layer`.
 *
 * **Details** Hooks are given as `Config.succeed(hook)`; undefined keys are ignored.
 *
 * **Errors** `ConfigError`: a value is missing or cannot be read, or an option is bad.
 *
 * @example
 * **Effect 4**
 *
 * ```ts
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const Live = WebSocketPool.layerConfig({
 *   url: Config.Redacted("SPEECH_URL"),
 *   maxConnections: Config.Int("SPEECH_CONNECTIONS").pipe(Config.withDefault(10)),
 *   onConnect: Config.succeed((connection) => connection.send("hello"))
 * }).pipe(
 *   Layer.provide(WebSocketTransport.layerMemory((peer) => peer.receive)),
 *   Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ SPEECH_URL: "ws://speech.test" })))
 * )
 *
 * const program = Effect.map(WebSocketPool.stats, (stats) => {
 *   console.log(stats.maxConnections) // 10
 * })
 * Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * **Effect 3**
 *
 * ```ts
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const Live = WebSocketPool.layerConfig({
 *   url: Config.redacted("SPEECH_URL"),
 *   maxConnections: Config.integer("SPEECH_CONNECTIONS").pipe(Config.withDefault(10)),
 *   onConnect: Config.succeed((connection) => connection.send("hello"))
 * }).pipe(
 *   Layer.provide(WebSocketTransport.layerMemory((peer) => peer.receive)),
 *   Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["SPEECH_URL", "ws://speech.test"]]))))
 * )
 *
 * const program = Effect.map(WebSocketPool.stats, (stats) => {
 *   console.log(stats.maxConnections) // 10
 * })
 * Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
) => Layer.Layer<
  WebSocketPool,
  Config.ConfigError,
  | WebSocketTransport
  | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
> = accessors.layerConfig(WebSocketPool)

/**
 * Leases a connection of the pool in the context until the current `Scope` closes.
 *
 * **Details** Waits up to `acquireTimeout` (30 seconds). First come, first served.
 *
 * **Errors** `PoolExhaustedError`: none was free in time. `PoolClosedError`: the pool was closed.
 * `ConnectionUnavailableError`: the server could not be reached.
 *
 * **Gotchas** The lease ends with the scope, not with the last message.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 *
 * // Two questions on one connection, so that the server sees them in this order.
 * const program = Effect.gen(function* () {
 *   const connection = yield* WebSocketPool.get
 *   yield* connection.send("use catalogue A")
 *   yield* connection.send("list")
 *   return [yield* connection.receive, yield* connection.receive]
 * }).pipe(Effect.scoped) // The lease ends here.
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const get: Effect.Effect<WebSocketConnection, AcquireError, WebSocketPool | Scope.Scope> =
  accessors.get(WebSocketPool)

/**
 * Leases a connection that is opened for this lease; it joins the pool afterwards.
 *
 * **Details** It waits in the same line. In its turn, at the limit, it closes a draining connection or the least
 * recently used idle one, else the next one given back, and opens its own once that socket is gone.
 *
 * **Errors** Those of `get`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const getNew: Effect.Effect<WebSocketConnection, AcquireError, WebSocketPool | Scope.Scope> =
  accessors.getNew(WebSocketPool)

/**
 * Leases a connection of the pool in the context for the length of one effect: the fast path.
 *
 * **Errors** Those of `get`, and of the effect. If the effect fails, the connection is closed (`discardOn`).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 *
 * const ask = (question: string) =>
 *   WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
 *     Effect.timeout("5 seconds")
 *   )
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const use: <A, E, R>(
  f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | AcquireError, R | WebSocketPool> = accessors.use(WebSocketPool)

/**
 * `use` with a connection that is opened for this lease: see `getNew`.
 *
 * **Errors** Those of `get`, and of the effect.
 *
 * @category accessors
 * @since 0.1.0
 */
export const useNew: <A, E, R>(
  f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | AcquireError, R | WebSocketPool> = accessors.useNew(WebSocketPool)

/**
 * Sends a message and receives the next one, on a connection of the pool in the context that is leased for just that.
 *
 * **Details** It means what `use` with `send`, then `receive`, means, and costs less: the fiber waits once. While no
 * connection is free the message stands in line, and the pool writes it when its turn comes.
 *
 * **Errors** Those of `get`. `ConnectionClosedError`: the connection ended before the reply came.
 *
 * **Gotchas** Interrupted, it ends as `use` does: its connection is closed (`discardOn`), at the latest 100 ms later, so that
 * a late reply reaches nobody. Interrupted before its message was written, it leaves nothing behind. A greeting of the
 * server counts as the reply. The bytes of a binary message have to stay as they are until the reply is there.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * const Echo = WebSocketTransport.layerMemory((peer) => Effect.forever(Effect.flatMap(peer.receive, peer.send)))
 * const Live = WebSocketPool.layer({ url: "ws://echo.test" }).pipe(Layer.provide(Echo))
 *
 * const program = Effect.timeout(WebSocketPool.ask("hello"), "5 seconds")
 *
 * Effect.runPromise(Effect.provide(program, Live)).then((answer) => {
 *   console.log(answer) // hello
 * })
 * ```
 *
 * @category accessors
 * @since 3.0.0
 */
export const ask: (message: Message) => Effect.Effect<Message, AcquireError | ConnectionError, WebSocketPool> =
  accessors.ask(WebSocketPool)

/**
 * A consistent snapshot of the pool in the context.
 *
 * @category accessors
 * @since 0.1.0
 */
export const stats: Effect.Effect<PoolStats, never, WebSocketPool> = accessors.stats(WebSocketPool)

/**
 * What happens in the pool of the context, from the subscription on, to its end.
 *
 * **Details** One who lags behind gets the latest 1,024.
 *
 * @category accessors
 * @since 0.1.0
 */
export const events: Stream.Stream<PoolEvent, never, WebSocketPool> = accessors.events(WebSocketPool)

/**
 * Waits until `minConnections` of the pool in the context are open.
 *
 * **Errors** `ConnectionUnavailableError`: a whole round of retries has failed. `PoolClosedError`: the pool was closed.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 *
 * // A program with this layer does not start before its connections are open.
 * const Warm = (pool: Layer.Layer<WebSocketPool.WebSocketPool>) =>
 *   Layer.tap(pool, (context) => Effect.provide(WebSocketPool.ready, context))
 * ```
 *
 * @category accessors
 * @since 3.0.0
 */
export const ready: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError, WebSocketPool> =
  accessors.ready(WebSocketPool)

/**
 * Changes the limits of the pool in the context.
 *
 * **Details** Shrinking closes draining connections first, then the least recently used idle ones, then leased ones when
 * they are given back. A limit that is not given stays.
 *
 * **Errors** `ConfigError`: a limit is bad, or does not exist.
 *
 * @category accessors
 * @since 3.0.0
 */
export const resize: (limits: {
  readonly minConnections?: number | undefined
  readonly maxConnections?: number | undefined
}) => Effect.Effect<void, Config.ConfigError, WebSocketPool> = accessors.resize(WebSocketPool)

/**
 * Replaces every connection of the pool in the context: idle and draining ones now, leased ones when they are given back,
 * connecting ones when they are ready.
 *
 * @category accessors
 * @since 3.0.0
 */
export const refresh: Effect.Effect<void, never, WebSocketPool> = accessors.refresh(WebSocketPool)

/**
 * Shuts the pool in the context down, as closing its scope does.
 *
 * **Details** Waiting `get`s fail at once. Leases have `shutdownTimeout` (5 seconds), sockets `closeTimeout` (2 seconds)
 * more. Interrupting it does not stop it.
 *
 * @category accessors
 * @since 3.0.0
 */
export const close: Effect.Effect<void, never, WebSocketPool> = accessors.close(WebSocketPool)
