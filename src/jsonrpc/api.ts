/** JSON-RPC, as its users see it. */
import type { TagClass as PlainTagClass } from "#dialect"
import type * as Config from "#effect/Config"
import * as Data from "#effect/Data"
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as Schema from "#effect/Schema"
import type * as Stream from "#effect/Stream"
import type * as Types from "#effect/Types"
import type { WebSocketPool } from "../pool/api.js"
import type { Options as MultiplexerOptions, RequestError } from "../requests/api.js"
import type { LaggedError } from "../values/errors.js"

/**
 * The server has answered with an error.
 *
 * @category errors
 * @since 3.0.0
 */
export class JsonRpcError<out D = unknown> extends Data.TaggedError("JsonRpcError")<{
  /** The method that was called. */
  readonly method: string
  /** What kind of error it is: -32700 to -32600 are those of JSON-RPC itself. */
  readonly code: number
  /** What the server says of it. */
  readonly message: string
  /** What it says besides, as the schema `error` of the method reads it. */
  readonly data: unknown
}> {
  declare readonly data: D
}

type Run<A, R> = (value: A) => Effect.Effect<unknown, Schema.SchemaError, R>
type Read<A, R> = (value: unknown) => Effect.Effect<A, Schema.SchemaError, R>

/**
 * A method that the server has: see `method`.
 *
 * @category models
 * @since 3.0.0
 */
export interface Method<in P, out A, out D, out R> {
  /** What kind of member it is. */
  readonly _tag: "Method"
  /** What the server calls it. */
  readonly name: string
  /** Encodes params. */
  readonly encode: Run<P, R>
  /** Decodes what the server sends. */
  readonly decode: Read<A, R>
  /** Decodes the data of an error. */
  readonly decodeError: Read<D, R>
}

/**
 * A notification to the server: see `notification`.
 *
 * @category models
 * @since 3.0.0
 */
export interface Notification<in P, out R> {
  /** What kind of member it is. */
  readonly _tag: "Notification"
  /** What the server calls it. */
  readonly name: string
  /** Encodes params. */
  readonly encode: Run<P, R>
}

/**
 * A subscription: see `subscription`.
 *
 * @category models
 * @since 3.0.0
 */
export interface Subscription<in P, out A, out R> {
  /** What kind of member it is. */
  readonly _tag: "Subscription"
  /** The method that begins it. */
  readonly subscribe: string
  /** The method that ends it. */
  readonly unsubscribe: string
  /** The name of its notifications. */
  readonly notification: string
  /** The id in a notification's params. */
  readonly id: (params: unknown) => unknown
  /** The item in a notification's params. */
  readonly value: (params: unknown) => unknown
  /** Encodes params. */
  readonly encode: Run<P, R>
  /** Decodes what the server sends. */
  readonly decode: Read<A, R>
}

/**
 * Notifications that the server sends by itself: see `incoming`.
 *
 * @category models
 * @since 3.0.0
 */
export interface IncomingNotification<out A, out R> {
  /** What kind of member it is. */
  readonly _tag: "Incoming"
  /** What the server calls it. */
  readonly name: string
  /** Decodes what the server sends. */
  readonly decode: Read<A, R>
}

/**
 * What a group consists of.
 *
 * @category models
 * @since 3.0.0
 */
export type Member =
  | Method<never, unknown, unknown, unknown>
  | Notification<never, unknown>
  | Subscription<never, unknown, unknown>
  | IncomingNotification<unknown, unknown>

/**
 * A member, whatever its types are. A constraint that named them would decide, in place of their defaults, those that a
 * constructor inside of a group leaves open.
 *
 * @category models
 * @since 3.0.0
 */
export interface AnyMember {
  /** Which kind it is. */
  readonly _tag: Member["_tag"]
}

/**
 * What a server can do, by the names that it has on the client.
 *
 * @category models
 * @since 3.0.0
 */
export type Group = Readonly<Record<string, AnyMember>>

/** With a service more, of which it is a member. */
type Of<M extends AnyMember, Self> =
  M extends Method<infer P, infer A, infer D, infer R>
    ? (params: P) => Effect.Effect<A, JsonRpcError<D> | RequestError, R | Self>
    : M extends Notification<infer P, infer R>
      ? (params: P) => Effect.Effect<void, RequestError, R | Self>
      : M extends Subscription<infer P, infer A, infer R>
        ? (params: P) => Stream.Stream<A, JsonRpcError | RequestError | LaggedError, R | Self>
        : M extends IncomingNotification<infer A, infer R>
          ? Stream.Stream<A, Schema.SchemaError | LaggedError, R | Self>
          : never

/**
 * The client of a group: a function for each method, notification and subscription, a stream for what comes by itself.
 *
 * @category models
 * @since 3.0.0
 */
export type Client<G extends Group> = { readonly [K in keyof G]: Of<G[K], never> }

/**
 * The same for a client that is in the context.
 *
 * @category models
 * @since 3.0.0
 */
export type Accessors<G extends Group, Self> = { readonly [K in keyof G]: Of<G[K], Self> }

/**
 * What the server may call: a function for each name. A failure is an error answer: its own `code` and `message`, if it has
 * them, else -32603.
 *
 * **Details** On each connection up to `concurrency` of them run at once. Up to 1,024 more calls wait in order; what comes
 * beyond that is answered with -32000. They take no places of the client's own calls. A connection is in use while one
 * runs: it is not idle, and waits for the answer for up to `retireTimeout` when it retires, and for up to the pool's
 * `shutdownTimeout` when the client closes.
 *
 * **Gotchas** A handler is interrupted when its connection is lost.
 *
 * @category options
 * @since 3.0.0
 */
export type Handlers<R> = Readonly<Record<string, (params: unknown) => Effect.Effect<unknown, unknown, R>>>

/**
 * The options of a client: those of a multiplexer, and two.
 *
 * @category options
 * @since 3.0.0
 */
export interface Options<R = never, RHandlers = never, Pool = WebSocketPool>
  extends Omit<MultiplexerOptions<never, unknown, unknown, R, Pool>, "codec"> {
  /** The notification that cancels a request, given its `id`: `"$/cancelRequest"` for language servers. Default: none. */
  readonly cancelMethod?: string | undefined
  /** What the server may call, see `Handlers`; any other call is answered with -32601. Default: nothing. */
  readonly handlers?: Handlers<RHandlers> | undefined
}

/**
 * `Options` with a `Config` in place of each value.
 *
 * @category options
 * @since 3.0.0
 */
export type OptionsConfig<R = never, RHandlers = never, Pool = WebSocketPool> = {
  readonly [K in keyof Options<R, RHandlers, Pool>]: Config.Config<Options<R, RHandlers, Pool>[K]> | undefined
}

/** Names that a tag has for itself. */
type Reserved =
  | keyof PlainTagClass<unknown, unknown, string>
  | "layer"
  | "layerConfig"
  | "use"
  | "name"
  | "length"
  | "prototype"
  | "pipe"

/**
 * No member may be called as something that the tag has itself.
 *
 * @category models
 * @since 3.0.0
 */
export type WithoutReserved = { readonly [K in Exclude<Extract<Reserved, string>, "toString">]?: never }

/**
 * A tag with accessors of its own: see `Tag`.
 *
 * @category tags
 * @since 3.0.0
 */
export type TagClass<Self, Id extends string, G extends Group> = PlainTagClass<Self, Client<G>, Id> &
  Accessors<G, Self> & {
    /** Makes this client: see `layer`. */
    readonly layer: <R = never, RHandlers = never, Pool = WebSocketPool>(
      options?: Options<R, RHandlers, Pool>
    ) => Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>>
    /** Makes this client with options from `Config`: see `layerConfig`. */
    readonly layerConfig: <R = never, RHandlers = never, Pool = WebSocketPool>(
      options: OptionsConfig<R, RHandlers, Pool>
    ) => Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>>
  }
