/** A multiplexer, as its users see it. */
import type * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import type * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type { WebSocketPool } from "../pool/api.js"
import type { AcquireError, ConnectionClosedError, LaggedError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { Aside, Incoming } from "./incoming.js"

/**
 * How requests become messages, and messages answers. It is pure and synchronous; one is made for each lease of a connection,
 * so it may keep state.
 *
 * @category codecs
 * @since 3.0.0
 */
export interface Codec<in Request, out Item, out E = never> {
  /** Writes a request. What it throws becomes the `ParseError` of that request, and nothing is sent. */
  readonly encode: (id: number, request: Request) => Message
  /** Reads a message. What it throws ends the connection with 1002. */
  readonly decode: (message: Message) => ReadonlyArray<Incoming<Item, E>>
  /**
   * Tells the server that nobody waits for the answer any more. Without it, or where it gives nothing, an abandoned request
   * keeps its place until its answer comes.
   */
  readonly cancel?: ((id: number) => Message | undefined) | undefined
  /** Tells the server that the reader of a stream has taken all that came, and may be sent more. */
  readonly ack?: ((id: number) => Message | undefined) | undefined
}

/** A codec of this library's own, which may say more. */
export interface WideCodec<in Request, out Item, out E> extends Omit<Codec<Request, Item, E>, "decode"> {
  readonly decode: (message: Message) => ReadonlyArray<Incoming<Item, E> | Aside>
  /**
   * A request is given up. It says whether others live on what the server sends for it: then there is nothing to tell the
   * server, nor anything to wait for.
   */
  readonly leaves?: ((id: number) => boolean) | undefined
  /** What was written for a request waits until the socket takes it, which may never be. */
  readonly waits?: (() => void) | undefined
  /** The socket has not taken what was written for a request, and never will. */
  readonly withdrawn?: ((id: number) => void) | undefined
}

/**
 * What requests fail with, besides what the server answers.
 *
 * @category models
 * @since 3.0.0
 */
export type RequestError = AcquireError | ConnectionClosedError | Schema.SchemaError

/**
 * What happens when a stream leaves more items unread than `bufferSize`: it fails, or it drops its oldest.
 *
 * @category options
 * @since 3.0.0
 */
export type Overflow = "fail" | "slide"

/**
 * The options of a multiplexer.
 *
 * @category options
 * @since 3.0.0
 */
export interface Options<in Request, Item, E = never, R = never, Pool = WebSocketPool> {
  /** Makes the codec of one lease. Required. */
  readonly codec: () => Codec<Request, Item, E>
  /** Requests without an answer on one connection, abandoned ones included. Default: 100. */
  readonly concurrency?: number | undefined
  /** The part of `concurrency`, above 0 and up to 1, to which a connection is filled before another is leased. Default: 0.5. */
  readonly targetUtilization?: number | undefined
  /** Connections that are kept leased. Default: 0. */
  readonly minConnections?: number | undefined
  /** Connections that are leased at once, retiring ones included. Default: infinity, so that the pool's own limit counts. */
  readonly maxConnections?: number | undefined
  /** How long a connection stays leased without a request, of ours or of the server. Default: 10 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Items that a stream may leave unread. Default: 64. */
  readonly bufferSize?: number | undefined
  /** What happens past `bufferSize`: the stream fails, or drops its oldest item. Default: `"fail"`. */
  readonly overflow?: Overflow | undefined
  /** How long requests and streams may go on over a connection that retires. Default: 30 seconds. */
  readonly retireTimeout?: Duration.Input | undefined
  /**
   * What belongs to no request: in order for each connection, one at a time. A failure is logged. Default: notices are
   * counted and dropped.
   *
   * **Gotchas** It holds nobody else up, so what a server tells faster than it is handled waits in memory; past 65,536
   * notices of one connection the oldest are dropped, and counted as `lagged`.
   */
  readonly onNotice?: ((value: unknown, connectionId: string) => Effect.Effect<unknown, unknown, R>) | undefined
  /** The tag of the pool. Default: `WebSocketPool`. */
  readonly pool?: Context.Key<Pool, WebSocketPool> | undefined
}

/**
 * The options of one stream.
 *
 * @category options
 * @since 3.0.0
 */
export interface StreamOptions {
  /** Items that it may leave unread. Default: the multiplexer's. */
  readonly bufferSize?: number | undefined
  /** What happens past that. Default: the multiplexer's. */
  readonly overflow?: Overflow | undefined
  /** Whether it has a connection of its own, so that a slow reader holds the server back and no item is lost. Default: false. */
  readonly exclusive?: boolean | undefined
}

/**
 * How a multiplexer is doing.
 *
 * @category models
 * @since 3.0.0
 */
export interface MultiplexerStats {
  /** Connections leased now. */
  readonly connections: number
  /** Those of them that get no new request, and go back when the last one is answered. */
  readonly retiring: number
  /** Requests and streams that have a connection now and somebody who waits for them. */
  readonly inFlight: number
  /** Requests that nobody waits for any more, whose places are taken until their answers come. */
  readonly abandoned: number
  /** Streams among those in flight. */
  readonly streams: number
  /** Requests and streams that wait for a place on a connection now. */
  readonly waiting: number

  /** Requests and streams begun since the start, those that wait included. */
  readonly requests: number
  /** Those that the server has answered to the end, failures included. */
  readonly answers: number
  /** Those given up after the socket had taken them. */
  readonly cancelled: number
  /** Answers that nobody waited for: of an id that is unknown, answered or abandoned. */
  readonly unmatched: number
  /** Messages that belonged to no request. */
  readonly notices: number
  /** Streams failed, and items and notices dropped, because they were not read in time. */
  readonly lagged: number
  /** Requests that went over another connection, since the one they were meant for ended before it took them. */
  readonly resent: number
}

/**
 * Sends many requests at once over few connections of a pool, and finds the request for each answer.
 *
 * @category models
 * @since 3.0.0
 */
export interface Multiplexer<in Request, out Item, out E = never> {
  /**
   * Sends a request and waits for its answer: the first item, or the end.
   *
   * **Details** First come, first served. It waits for a place on a connection for up to the pool's `acquireTimeout`. Interrupted
   * before the socket has taken it, nothing is sent; afterwards the server is told, if the codec can.
   *
   * **Errors** What the server answers. `ConnectionClosedError`: its connection was lost, and the server may or may not have
   * handled it, so retry what is idempotent only. `ParseError`: it could not be written. Those of `get`.
   *
   * **Gotchas** It has no timeout of its own: `Effect.timeout` interrupts it, and that cancels.
   */
  readonly request: (request: Request) => Effect.Effect<Item, E | RequestError>

  /**
   * Sends a request whenever the stream is run, and gives its items up to its end.
   *
   * **Details** A stream that ends early cancels its request. A slow reader harms this stream alone, see `bufferSize`;
   * `Stream.retry` asks anew.
   *
   * **Errors** Those of `request`. `LaggedError`: more than `bufferSize` items were left unread.
   */
  readonly stream: (request: Request, options?: StreamOptions) => Stream.Stream<Item, E | RequestError | LaggedError>

  /**
   * A view whose requests all go over one connection of its own, in the order of the calls, until the scope closes: for what a
   * server keeps by connection, such as a transaction.
   *
   * **Errors** Those of `get`. Once its connection is lost or retires, new requests fail with `ConnectionClosedError`.
   */
  readonly pinned: Effect.Effect<Multiplexer<Request, Item, E>, AcquireError, Scope.Scope>

  /** A snapshot. A view shows what all requests of its multiplexer do. */
  readonly stats: Effect.Effect<MultiplexerStats>
}
