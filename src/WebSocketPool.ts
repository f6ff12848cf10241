/**
 * A pool of WebSocket connections.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import * as accessors from "./internal/accessors.js"
import type { AcquireError, ConnectionUnavailableError, PoolClosedError } from "./PoolError.js"
import type { PoolEvent } from "./PoolEvent.js"
import type { PoolStats } from "./PoolStats.js"
import type { WebSocketConnection } from "./WebSocketConnection.js"
import type { Message, WebSocketTransport } from "./WebSocketTransport.js"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  PoolStats
} from "./PoolStats.js"

/**
 * How a URL may be given. Its user info and query string are never shown anywhere, redacted or not.
 *
 * @category options
 * @since 0.1.0
 */
export type UrlInput = string | URL | Redacted.Redacted<string>

/**
 * How header fields may be given. Their values are never shown anywhere, redacted or not.
 *
 * **Details** Leave out a field that is not to be sent: one without a value is an error, since it is most often a
 * variable that is not set. Those of the handshake itself (`Sec-WebSocket-*`, `Connection`, `Upgrade`) are the
 * transport's: for `Sec-WebSocket-Protocol` there is the option `protocols`.
 *
 * @category options
 * @since 0.1.0
 */
export type HeadersInput = Readonly<Record<string, string | Redacted.Redacted<string>>>

/**
 * What happens to messages that arrive after a lease: see `Options.drain`.
 *
 * @category options
 * @since 0.1.0
 */
export interface DrainOptions {
  /** How long no message may arrive before the connection is fit again. 0: only what has arrived already. */
  readonly quietPeriod: Duration.DurationInput
  /** How long to wait for that before the connection is closed. Default: 10 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Whether a message may be dropped; one that may not closes the connection. Default: every one may. */
  readonly condition?: ((message: Message) => boolean) | undefined
}

/**
 * The options of a pool. Every duration takes any `Duration.DurationInput`; infinity switches its feature off.
 *
 * **Details** Hooks run in the layer's context, each with a handle of its own. A `Scope` in `onConnect` is the
 * connection's, in the other hooks the call's.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never> {
  /** Where to connect to: a `ws:` or `wss:` URL, or an effect of one, run before every attempt. Required. */
  readonly url: UrlInput | Effect.Effect<UrlInput, unknown, RUrl>
  /** Subprotocols to offer, in order of preference. Default: none. */
  readonly protocols?: string | ReadonlyArray<string> | undefined
  /** Header fields of the upgrade, or an effect of them, run before every attempt. Default: none. */
  readonly headers?: HeadersInput | Effect.Effect<HeadersInput, unknown, RHeaders> | undefined
  /** The pool's name in errors, events and logs. Default: the URL's host, else `"websocket-pool"`. */
  readonly name?: string | undefined
  /** Connections that are kept open; opened in the background, replaced when lost. Default: 0. */
  readonly minConnections?: number | undefined
  /** Sockets that exist at once, closing ones included. Default: 50. */
  readonly maxConnections?: number | undefined
  /** How long a `get` may take in all: waiting, connecting, validating. Default: 30 seconds. */
  readonly acquireTimeout?: Duration.DurationInput | undefined
  /** `get`s that may wait at the limit; with 0 they fail at once when the pool is full. Default: unlimited. */
  readonly maxWaiters?: number | undefined
  /** How long one attempt may take: `url`, `headers`, handshake and `onConnect` together. Default: 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * When to try again after an attempt that `isRetryable`. Default: up to 3 times, after 100 milliseconds, doubled
   * each time, jittered by up to 20 %.
   *
   * **Details** Connections that `minConnections` calls for repeat it for ever, with pauses from 100 milliseconds
   * to 10 seconds. An attempt that nobody waits for any more is finished, but not repeated.
   */
  readonly retry?: Schedule.Schedule<unknown, ConnectionUnavailableError> | undefined
  /** How long a connection beyond `minConnections` stays idle before it is closed. Default: 60 seconds. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** The oldest age for reuse; each connection's own lies 0 to 10 % below. Default: infinity. */
  readonly connectionTTL?: Duration.DurationInput | undefined
  /**
   * A connection that has heard nothing for so long is pinged, leased or idle. When it pings another one, the pool
   * pings those along that would be due within 1 % of it. Default: 30 seconds.
   */
  readonly pingInterval?: Duration.DurationInput | undefined
  /** A line on which nothing moves for so long after a ping is dead, and closed. Default: 10 seconds. */
  readonly pingTimeout?: Duration.DurationInput | undefined
  /**
   * A connection that has heard nothing for longer is pinged before it is leased, for at most 1 second. If that
   * fails, the `get` opens a new one. Default: 5 seconds.
   */
  readonly validateAfterIdle?: Duration.DurationInput | undefined
  /**
   * Takes the place of every ping of an idle connection. Bounded by `pingTimeout`; failure closes the connection.
   * Default: none.
   */
  readonly healthCheck?:
    | ((connection: WebSocketConnection) => Effect.Effect<unknown, unknown, RHealthCheck>)
    | undefined
  /**
   * Sets a new connection up: log in, subscribe. Bounded by `connectTimeout`; failure is a failed attempt with
   * `reason: "Setup"`. Default: none.
   */
  readonly onConnect?: ((connection: WebSocketConnection) => Effect.Effect<unknown, unknown, ROnConnect>) | undefined
  /**
   * Resets a connection that was given back, before it is reused. Bounded by `closeTimeout`; failure closes it.
   * Default: none.
   */
  readonly onRelease?: ((connection: WebSocketConnection) => Effect.Effect<unknown, unknown, ROnRelease>) | undefined
  /**
   * Makes connections fit for reuse whose server sends more than was asked for. Default: off, so a connection
   * with an unread message, or that gets one while idle, is closed.
   */
  readonly drain?: DrainOptions | undefined
  /** Whether a lease that ended so makes its connection unfit for reuse. Default: every failed one does. */
  readonly discardOn?: ((exit: Exit.Exit<unknown, unknown>) => boolean) | undefined
  /**
   * Bytes received and not yet read, each message counted as 64 more; past it the socket is paused until the
   * reader catches up. Default: 1 MiB.
   */
  readonly receiveBuffer?: number | undefined
  /** Bytes sent and not yet flushed, past which `send` waits. Default: 1 MiB. */
  readonly sendBuffer?: number | undefined
  /** The largest incoming message in bytes; a larger one closes the connection with 1009. Default: 16 MiB. */
  readonly maxPayload?: number | undefined
  /**
   * A lease that is held longer is reported once: by a warning in the log and by the event `LeaseLeakSuspected`, with
   * the span and the place in which it was taken. Nothing else happens to it. Default: infinity.
   *
   * **Details** The place is the call of `use(f)`, or where a generator yields `get`, of the service or of an accessor.
   *
   * **Gotchas** Of an accessor's `get` that is piped into something else, and of a `use` that was called before there was
   * a pool with this option, only the span is known: give the work one, by `Effect.withSpan` or `Effect.fn`.
   */
  readonly leakThreshold?: Duration.DurationInput | undefined
  /** How long closing the pool waits for leases. Default: 5 seconds. */
  readonly shutdownTimeout?: Duration.DurationInput | undefined
  /** How long a closing handshake may take before the socket is destroyed. Default: 2 seconds. */
  readonly closeTimeout?: Duration.DurationInput | undefined
}

/**
 * `Options` with a `Config` in place of each value: `Config.Config.Wrap<Options>`, or the same in a form from which
 * the compiler can tell what the hooks require, and in which a key may be undefined.
 *
 * @category options
 * @since 0.1.0
 */
export type OptionsConfig<
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never
> =
  | Config.Config.Wrap<Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>>
  | {
      readonly [K in keyof Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>]:
        | Config.Config<Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>[K]>
        | (K extends "drain"
            ? { readonly [D in keyof DrainOptions]: Config.Config<DrainOptions[D]> | undefined }
            : K extends "headers"
              ? Readonly<Record<string, Config.Config<string | Redacted.Redacted<string>> | undefined>>
              : never)
        | (K extends "url" ? never : undefined)
    }

/**
 * A pool of WebSocket connections to one server.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketPool {
  /**
   * Leases a connection until the current `Scope` closes.
   *
   * **Details** Waits up to `acquireTimeout` (30 seconds). First come, first served.
   *
   * **Errors** `PoolExhaustedError`: none was free in time. `PoolClosedError`: the pool was closed.
   * `ConnectionUnavailableError`: the server could not be reached.
   *
   * **Gotchas** The lease ends with the scope, not with the last message.
   */
  readonly get: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope>

  /**
   * Leases a connection that is opened for this lease; it joins the pool afterwards.
   *
   * **Details** It waits in the same line. In its turn, at the limit, it closes a draining connection or the least
   * recently used idle one, else the next one given back, and opens its own once that socket is gone.
   */
  readonly getNew: Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope>

  /** Leases a connection for the length of one effect: the fast path. */
  readonly use: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R>

  /** `use` with a connection that is opened for this lease. */
  readonly useNew: <A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError, R>

  /** A consistent snapshot. */
  readonly stats: Effect.Effect<PoolStats>

  /** What happens from the subscription on, to the end of the pool. One who lags behind gets the latest 1,024. */
  readonly events: Stream.Stream<PoolEvent>

  /** Waits until `minConnections` are open. Fails when a whole round of retries has failed. */
  readonly ready: Effect.Effect<void, ConnectionUnavailableError | PoolClosedError>

  /**
   * Changes the limits. Shrinking closes draining connections first, then the least recently used idle ones, then
   * leased ones when they are given back.
   */
  readonly resize: (limits: {
    readonly minConnections?: number | undefined
    readonly maxConnections?: number | undefined
  }) => Effect.Effect<void, ConfigError.ConfigError>

  /** Replaces every connection: idle and draining ones now, leased ones when given back, connecting ones when ready. */
  readonly refresh: Effect.Effect<void>

  /**
   * Shuts the pool down, as closing its scope does.
   *
   * **Details** Waiting `get`s fail at once. Leases have `shutdownTimeout` (5 seconds), sockets `closeTimeout`
   * (2 seconds) more. Interrupting it does not stop it.
   */
  readonly close: Effect.Effect<void>
}

/**
 * The tag of the pool, for programs that have one.
 *
 * @category tags
 * @since 0.1.0
 */
export const WebSocketPool: Context.Tag<WebSocketPool, WebSocketPool> = Context.GenericTag<WebSocketPool>(
  "effect-websocket-pool/WebSocketPool"
)

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
export const make: <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
) => Effect.Effect<
  WebSocketPool,
  ConfigError.ConfigError,
  | Scope.Scope
  | WebSocketTransport
  | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease>, Scope.Scope>
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
 * const program = WebSocketPool.use((connection) => Effect.zipRight(connection.send("hello"), connection.receive))
 *
 * Effect.runPromise(Effect.provide(program, Live)).then((answer) => {
 *   console.log(answer) // hello
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
  options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
) => Layer.Layer<
  WebSocketPool,
  ConfigError.ConfigError,
  WebSocketTransport | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease>, Scope.Scope>
> = accessors.layer(WebSocketPool)

/**
 * Makes a pool with options from `Config`; otherwise it is `layer`.
 *
 * **Details** Hooks are given as `Config.succeed(hook)`; undefined keys are ignored.
 *
 * **Errors** `ConfigError`: a value is missing or cannot be read, or an option is bad.
 *
 * @example
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
  ROnRelease = never
>(
  options: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
) => Layer.Layer<
  WebSocketPool,
  ConfigError.ConfigError,
  WebSocketTransport | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease>, Scope.Scope>
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
 *   WebSocketPool.use((connection) => Effect.zipRight(connection.send(question), connection.receive)).pipe(
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
 * @since 0.2.0
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
 * @since 0.2.0
 */
export const resize: (limits: {
  readonly minConnections?: number | undefined
  readonly maxConnections?: number | undefined
}) => Effect.Effect<void, ConfigError.ConfigError, WebSocketPool> = accessors.resize(WebSocketPool)

/**
 * Replaces every connection of the pool in the context: idle and draining ones now, leased ones when they are given back,
 * connecting ones when they are ready.
 *
 * @category accessors
 * @since 0.2.0
 */
export const refresh: Effect.Effect<void, never, WebSocketPool> = accessors.refresh(WebSocketPool)

/**
 * Shuts the pool in the context down, as closing its scope does.
 *
 * **Details** Waiting `get`s fail at once. Leases have `shutdownTimeout` (5 seconds), sockets `closeTimeout` (2 seconds)
 * more. Interrupting it does not stop it.
 *
 * @category accessors
 * @since 0.2.0
 */
export const close: Effect.Effect<void, never, WebSocketPool> = accessors.close(WebSocketPool)

/**
 * A tag with accessors of its own: see `Tag`.
 *
 * @category tags
 * @since 0.1.0
 */
export interface TagClass<Self, Id extends string> extends Context.TagClass<Self, Id, WebSocketPool> {
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
  }) => Effect.Effect<void, ConfigError.ConfigError, Self>
  /** `refresh` of this pool. */
  readonly refresh: Effect.Effect<void, never, Self>
  /** `close` of this pool. */
  readonly close: Effect.Effect<void, never, Self>
  /** Makes this pool: see `layer`. */
  readonly layer: <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
    options: Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
  ) => Layer.Layer<
    Self,
    ConfigError.ConfigError,
    WebSocketTransport | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease>, Scope.Scope>
  >
  /** Makes this pool with options from `Config`: see `layerConfig`. */
  readonly layerConfig: <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
    options: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
  ) => Layer.Layer<
    Self,
    ConfigError.ConfigError,
    WebSocketTransport | Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease>, Scope.Scope>
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
 * ).pipe(Layer.provide(WebSocketTransport.layerMemory((peer) => Effect.zipRight(peer.receive, peer.send(peer.url)))))
 *
 * const program = Speech.use((connection) => Effect.zipRight(connection.send("?"), connection.receive))
 *
 * Effect.runPromise(Effect.provide(program, Pools)).then((answer) => {
 *   console.log(answer) // ws://speech.test/
 * })
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> = accessors.Tag
