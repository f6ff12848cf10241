/**
 * JSON-RPC 2.0 over the connections of a pool: calls, notifications and subscriptions, typed by schemas.
 *
 * @since 3.0.0
 */
import type { Decoder, Encoder } from "#edition/messages/schema"
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import type * as Types from "#effect/Types"
import type {
  Client,
  Group,
  IncomingNotification,
  Method,
  Notification,
  Options,
  OptionsConfig,
  Subscription,
  TagClass,
  WithoutReserved
} from "./jsonrpc/api.js"
import * as client from "./jsonrpc/client.js"
import * as members from "./jsonrpc/group.js"
import type { WebSocketPool } from "./WebSocketPool.js"

export {
  type Accessors,
  type AnyMember,
  type Client,
  type Group,
  type Handlers,
  type IncomingNotification,
  JsonRpcError,
  type Member,
  type Method,
  type Notification,
  type Options,
  type OptionsConfig,
  type Subscription,
  type TagClass,
  type WithoutReserved
} from "./jsonrpc/api.js"

/**
 * A method that the server has: on the client a function from its params to an effect of its result.
 *
 * **Details** Without `params` it takes none. `error` is a schema of an error's `data`; without one that is unknown.
 *
 * **Errors** `JsonRpcError`: the server's. `ParseError`: params, result or data do not match; it shows no value. Those of
 * `Multiplexer.request`.
 *
 * @category constructors
 * @since 3.0.0
 */
export const method: <
  P = void,
  IP = unknown,
  RP = never,
  A = unknown,
  IA = unknown,
  RA = never,
  D = unknown,
  ID = unknown,
  RD = never
>(
  name: string,
  schemas?: {
    /** Encodes the params. */
    readonly params?: Encoder<P, IP, RP> | undefined
    /** Decodes the result. */
    readonly result?: Decoder<A, IA, RA> | undefined
    /** Decodes the data of an error. */
    readonly error?: Decoder<D, ID, RD> | undefined
  }
) => Method<Types.NoInfer<P>, Types.NoInfer<A>, Types.NoInfer<D>, Types.NoInfer<RP | RA | RD>> = members.method

/**
 * A notification to the server: on the client a function from its params to an effect that is done when the socket has taken
 * it.
 *
 * @category constructors
 * @since 3.0.0
 */
export const notification: <P = void, IP = unknown, RP = never>(
  name: string,
  schemas?: {
    /** Encodes the params. */
    readonly params?: Encoder<P, IP, RP> | undefined
  }
) => Notification<Types.NoInfer<P>, Types.NoInfer<RP>> = members.notification

/**
 * A subscription: on the client a function from its params to a stream of its items.
 *
 * **Details** The stream calls `subscribe`, and takes the notifications whose id is what that gave. When it ends it calls
 * `unsubscribe` with `[id]`. Notifications that come before the answer are kept, up to `bufferSize`.
 *
 * **Gotchas** A lost connection ends it with `ConnectionClosedError`: `Stream.retry` subscribes anew.
 *
 * @category constructors
 * @since 3.0.0
 */
export const subscription: <P = void, IP = unknown, RP = never, A = unknown, IA = unknown, RA = never>(options: {
  /** The method that begins it, and gives its id. */
  readonly subscribe: string
  /** The method that ends it. */
  readonly unsubscribe: string
  /** The name of its notifications. */
  readonly notification: string
  /** Encodes the params of `subscribe`. */
  readonly params?: Encoder<P, IP, RP> | undefined
  /** Decodes an item. */
  readonly item: Decoder<A, IA, RA>
  /** The id in a notification's params. Default: `params.subscription`. */
  readonly id?: ((params: unknown) => unknown) | undefined
  /** The item in a notification's params. Default: `params.result`. */
  readonly value?: ((params: unknown) => unknown) | undefined
}) => Subscription<Types.NoInfer<P>, Types.NoInfer<A>, Types.NoInfer<RP | RA>> = members.subscription

/**
 * Notifications that the server sends by itself: on the client a stream of their params, which ends when the client or its
 * pool does.
 *
 * **Gotchas** It hears what comes over the connections that are leased. With several, each comes once for each connection that
 * the server tells; `minConnections` keeps one leased.
 *
 * @category constructors
 * @since 3.0.0
 */
export const incoming: <A = unknown, IA = unknown, RA = never>(
  name: string,
  schemas?: {
    /** Decodes the params. */
    readonly params?: Decoder<A, IA, RA> | undefined
  }
) => IncomingNotification<Types.NoInfer<A>, Types.NoInfer<RA>> = members.incoming

/**
 * Makes the client of a group over the pool in the context.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @category constructors
 * @since 3.0.0
 */
export const make: <G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  group: G,
  options?: Options<R, RHandlers, Pool>
) => Effect.Effect<Client<G>, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers> | Scope.Scope> = (
  group,
  options
) => client.make(group, options)

/**
 * Makes the client behind a tag of one's own. A tag made by `Tag` has its own `layer`.
 *
 * @category layers
 * @since 3.0.0
 */
export const layer: <Self, G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  tag: Context.Key<Self, Client<G>>,
  group: G,
  options?: Options<R, RHandlers, Pool>
) => Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>> = client.layer

/**
 * The same with options from `Config`; undefined keys are ignored.
 *
 * @category layers
 * @since 3.0.0
 */
export const layerConfig: <Self, G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  tag: Context.Key<Self, Client<G>>,
  group: G,
  options: OptionsConfig<R, RHandlers, Pool>
) => Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>> = client.layerConfig

/**
 * Makes a tag for the client of a group. It has an accessor for each member, and layers.
 *
 * **Gotchas** A member may not be called as something that the tag has itself, such as `layer` or `key`: that is a type error.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { JsonRpc, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * class Calculator extends JsonRpc.Tag("Calculator")<Calculator>()({
 *   add: JsonRpc.method("add", { params: Schema.Array(Schema.Number), result: Schema.Number })
 * }) {}
 *
 * const program = Effect.map(Calculator.add([2, 3]), (sum) => {
 *   console.log(sum) // 5
 * })
 *
 * const server = WebSocketTransport.layerMemory((peer) =>
 *   Effect.forever(
 *     Effect.flatMap(peer.receive, (message) => {
 *       const { id, params } = JSON.parse(String(message))
 *       return peer.send(JSON.stringify({ jsonrpc: "2.0", id, result: params[0] + params[1] }))
 *     })
 *   )
 * )
 *
 * const Live = Calculator.layer().pipe(
 *   Layer.provide(WebSocketPool.layer({ url: "ws://calculator" })),
 *   Layer.provide(server)
 * )
 * Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category tags
 * @since 3.0.0
 */
export const Tag: <const Id extends string>(
  id: Id
) => <Self>() => <const G extends Group & WithoutReserved>(group: G) => TagClass<Self, Id, G> = client.Tag
