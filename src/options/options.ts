/** The options of a pool, as users give them. */
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import type * as Exit from "#effect/Exit"
import type * as Redacted from "#effect/Redacted"
import type * as Schedule from "#effect/Schedule"
import type { WebSocketConnection } from "../connection/handle.js"
import type { ConnectionUnavailableError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { ConnectionQuota } from "../values/quota.js"

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
  readonly quietPeriod: Duration.Input
  /** How long to wait for that before the connection is closed. Default: 10 seconds. */
  readonly timeout?: Duration.Input | undefined
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
export interface Options<
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
> {
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
  /**
   * A limit that this pool shares with others, most often in other processes: a `ConnectionQuota`, or the tag of one. Every
   * attempt to connect takes a permit of it first. Default: none.
   *
   * **Details** Waiting for a permit is no attempt, and bounded by `acquireTimeout` alone.
   */
  readonly quota?: ConnectionQuota | Context.Key<RQuota, ConnectionQuota> | undefined
  /** How long a `get` may take in all: waiting, connecting, validating. Default: 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /**
   * `get`s that may wait at the limit; with 0 they fail at once when every connection is leased or draining. For the
   * place of a socket that is closing a `get` may always wait. Default: unlimited.
   */
  readonly maxWaiters?: number | undefined
  /** How long one attempt may take: `url`, `headers`, handshake and `onConnect` together. Default: 10 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * When to try again after an attempt that `isRetryable`. Default: up to 3 times, after 100 milliseconds, doubled
   * each time, jittered by up to 20 %.
   *
   * **Details** Connections that `minConnections` calls for repeat it for ever, with pauses from 100 milliseconds
   * to 10 seconds. An attempt that nobody waits for any more is finished, but not repeated. A server that refuses with
   * 408, 425, 429 or 503 and a `Retry-After` is left alone for that long, at most a minute, or until another attempt there
   * succeeds.
   */
  readonly retry?: Schedule.Schedule<unknown, ConnectionUnavailableError> | undefined
  /** How long a connection beyond `minConnections` stays idle before it is closed. Default: 60 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** The oldest age for reuse; each connection's own lies 0 to 10 % below. Default: infinity. */
  readonly connectionTTL?: Duration.Input | undefined
  /**
   * A connection that has heard nothing for so long is pinged, leased or idle. When it pings another one, the pool
   * pings those along that would be due within 1 % of it. Default: 30 seconds.
   */
  readonly pingInterval?: Duration.Input | undefined
  /**
   * A line that shows no sign of life for so long after a ping is dead, and closed. A sign of life is a byte received, or
   * one that leaves a send buffer in which bytes had to wait: what the system takes at once proves nothing.
   * Default: 10 seconds.
   */
  readonly pingTimeout?: Duration.Input | undefined
  /**
   * A connection that has heard nothing for longer is pinged before it is leased, for at most 1 second. If that
   * fails, the `get` opens a new one, and idle connections that have been silent as long are not leased until they have
   * answered. A wall clock that jumps ahead counts, too: the machine may have slept. Default: 5 seconds.
   */
  readonly validateAfterIdle?: Duration.Input | undefined
  /**
   * Takes the place of every ping of an idle connection, so that it can send the keep-alive message that some servers
   * demand: it runs once per `pingInterval` since the last lease or check ended, however much the server says. Bounded by
   * `pingTimeout`, before a lease by 1 second; failure closes the connection. Default: none.
   *
   * **Gotchas** A server that talks by itself needs `drain`, too, or its messages close the connection.
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
  readonly leakThreshold?: Duration.Input | undefined
  /** How long closing the pool waits for leases. Default: 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** How long a closing handshake may take before the socket is destroyed. Default: 2 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
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
  ROnRelease = never,
  RQuota = never
> =
  | Config.Wrap<Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>>
  | {
      readonly [K in keyof Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>]:
        | Config.Config<Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>[K]>
        | (K extends "drain"
            ? { readonly [D in keyof DrainOptions]: Config.Config<DrainOptions[D]> | undefined }
            : K extends "headers"
              ? Readonly<Record<string, Config.Config<string | Redacted.Redacted<string>> | undefined>>
              : never)
        | (K extends "url" ? never : undefined)
    }
